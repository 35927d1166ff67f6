import { describe, expect, it } from 'vitest';
import { conflictName } from '../../../src/filesystem/core/conflict-name.js';

describe('conflictName', () => {
  const time = new Date(Date.UTC(2026, 6, 4, 10, 11, 12));

  it.each([
    ['a.txt', 'a (conflict 2026-07-04 10-11-12 h).txt'],
    ['a', 'a (conflict 2026-07-04 10-11-12 h)'],
    ['.hidden', '.hidden (conflict 2026-07-04 10-11-12 h)'],
    ['a.tar.gz', 'a.tar (conflict 2026-07-04 10-11-12 h).gz'],
  ])('of %s is %s', (name, expected) => {
    expect(conflictName(name, time, 'h')).toBe(expected);
  });

  it.each([['ä'.repeat(127)], [`a.${'x'.repeat(250)}`], [`${'🙂'.repeat(60)}.txt`]])('fits 255 bytes: %s', (name) => {
    const made = conflictName(name, time, 'host/name');
    expect(Buffer.byteLength(made)).toBeLessThanOrEqual(255);
    expect(made.isWellFormed()).toBe(true);
    expect(made).toContain('(conflict 2026-07-04 10-11-12 host_name)');
  });

  it('fits what the provider can hold', () => {
    expect(conflictName(`${'a'.repeat(90)}.txt`, time, 'h', 100)).toHaveLength(100);
  });
});
