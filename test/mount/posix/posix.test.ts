import { describe, expect, it } from 'vitest';
import { cleanUpWorlds } from '../world.js';
import { createPosixWorld, posix } from './posix.js';

/** The same in each ordinary run, so that it says something of what was changed; POSIX_SEED and POSIX_SECONDS choose others. */
const seed = Number(process.env.POSIX_SEED ?? 1);
const chosenSeconds = process.env.POSIX_SECONDS;

describe('random system calls', () => {
  cleanUpWorlds();

  it.each([
    ['4shared', 'close waits', 6],
    ['4shared', '--write-back', 5],
    ['5sync', 'close waits', 4],
    ['acronis', 'close waits', 4],
  ] as const)('do on %s what they do in an ordinary directory, %s', async (provider, mode, seconds) => {
    const world = await createPosixWorld(provider);
    const result = await posix(world, {
      provider,
      seed,
      seconds: Number(chosenSeconds ?? seconds),
      programs: 1_000_000,
      writeBack: mode === '--write-back',
    });
    console.log(`${provider}, seed ${seed}: ${result.programs} programs of ${result.steps} steps`);
    expect(result.programs).toBeGreaterThan(0);
  });
});
