// @module-tag long
import { describe, expect, it } from 'vitest';
import { isComplete } from '../../support/extent.js';
import { cleanUpWorlds } from '../world.js';
import { createPosixWorld, posix } from './posix.js';
import type { Step } from './steps.js';

/** The same in each ordinary run, so that a failure points to the change under test. POSIX_SEED and POSIX_SECONDS choose others. */
const seed = Number(process.env.POSIX_SEED ?? 1);
const chosenSeconds = process.env.POSIX_SECONDS;
/** Each kind of event beside the program's calls, once. The test counts them, so that no kind can silently have no effect. */
const company: readonly Step[] = [
  ['mkdir', 'a'],
  ['mkdir', 'b'],
  ['create', 'a/a', 100, 1],
  ['create', 'c', 70_000, 3],
  ['open', 0, 'a/a', ['O_RDWR']],
  ['open', 1, 'c', ['O_RDWR']],
  ['during_upload', 'b/a', 300, 1, [1, 'before', false], ['unlink', 'b/a']],
  ['during_upload', 'b/b', 300, 2, [1, 'after', true], ['rename', 'b/b', 'b/c']],
  ['elsewhere', 'move', 'a/a', 'a/b'],
  ['pread', 0, 0, 100],
  ['elsewhere', 'move', 'a/b', 'b/a'],
  ['pwrite', 0, 50, 10, 9],
  ['fstat', 0],
  ['elsewhere', 'move', 'a', 'b/b'],
  ['elsewhere', 'remove', 'c', ''],
  ['pread', 1, 0, 70_000],
  ['fstat', 1],
];

/** The steps that a failure printed, to repeat them. */
const again = process.env.POSIX_AGAIN;

describe('random system calls', () => {
  cleanUpWorlds();

  it.each(['4shared', 'acronis'] as const)('on %s meet uploads and acts of other clients', async (provider) => {
    const world = await createPosixWorld(provider);
    const told = { provider, seed, programs: 0, writeBack: true, withOthers: true, again: company };
    expect(await posix(world, told)).toMatchObject({ met: 2, acts: 4 });
  });

  it.each([
    ['4shared', 'close waits', 'alone', 4],
    ['4shared', '--write-back', 'alone', 4],
    ['5sync', 'close waits', 'alone', 3],
    ['acronis', 'close waits', 'alone', 3],
    ['4shared', 'close waits', 'among other clients', 4],
    ['acronis', '--write-back', 'among other clients', 4],
    ['5sync', '--write-back', 'among other clients', 4],
    ...(isComplete
      ? ([
          ['4sync', 'close waits', 'among other clients', 4],
          ['4shared', '--write-back', 'among other clients', 4],
          ['acronis', 'close waits', 'among other clients', 4],
          ['5sync', 'close waits', 'among other clients', 4],
        ] as const)
      : []),
  ] as const)('do on %s what they do in an ordinary directory, %s, %s', async (provider, mode, beside, seconds) => {
    const world = await createPosixWorld(provider);
    const result = await posix(world, {
      provider,
      seed,
      seconds: Number(chosenSeconds ?? seconds),
      programs: 1_000_000,
      writeBack: mode === '--write-back',
      withOthers: beside === 'among other clients',
      ...(beside === 'alone' ? { carriesMetadata: true } : {}),
      ...(again === undefined ? {} : { again: JSON.parse(again) as Step[] }),
    });
    console.log(
      `${provider}, seed ${seed}: ${result.programs} programs of ${result.steps} steps, ${result.met} uploads met, ${result.acts} acts of others`,
    );
    expect(result.programs).toBeGreaterThan(again === undefined ? 0 : -1);
  });
});
