import { describe, expect, it } from 'vitest';
import { cleanUpWorlds } from '../world.js';
import { createFsxWorld, fsx } from './fsx.js';

/**
 * The work of each run. It is the same each time, so that a failure points to the change under test. FSX_SEED and FSX_OPERATIONS
 * choose others. The long runs are in scripts/fsx.
 */
const OPERATIONS = Number(process.env.FSX_OPERATIONS ?? 200);
const seed = Number(process.env.FSX_SEED ?? 1);

describe('one file under random reads, writes, truncates and mappings', () => {
  cleanUpWorlds();

  it.each([
    ['close waits', false],
    ['--write-back', true],
  ])('holds what was written, %s', async (_, writeBack) => {
    const world = await createFsxWorld('4shared');
    const done = await fsx(world, { seed, operations: OPERATIONS, writeBack, remounts: 0.1 });
    expect(done).toBe(OPERATIONS);
  });
});
