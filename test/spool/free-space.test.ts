import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FreeSpace, reserveOf } from '../../src/spool/free-space.js';

const MIB = 1024 * 1024;

describe('the free space for contents', () => {
  it.each([
    [8 * MIB, MIB],
    [256 * MIB, 32 * MIB],
    [1000 * 1024 * MIB, 32 * MIB],
  ])('of a disk of %i bytes keeps %i back', (total, reserve) => {
    expect(reserveOf(total)).toBe(reserve);
  });

  it('takes what fits and refuses what does not with ENOSPC', () => {
    const directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    const freeSpace = new FreeSpace(directory);
    for (let i = 0; i < 100; i++) freeSpace.require(4096);
    expect(() => freeSpace.require(Number.MAX_SAFE_INTEGER)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    freeSpace.require(4096);
    rmSync(directory, { recursive: true });
  });
});
