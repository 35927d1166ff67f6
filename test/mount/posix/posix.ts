/** Compares random system calls on a mount with the same calls in an ordinary directory: see compare.py. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnySandboxOptions, ProviderName } from '../../../src/sandbox/index.js';
import { createServiceWorld, type World } from '../world.js';
import { checkOne, Pair } from './pair.js';
import { type Cast, programs, type Step } from './steps.js';

export interface PosixOptions {
  readonly provider: ProviderName;
  readonly seed: number;
  /** The number of programs; fewer if `seconds` are over before. */
  readonly programs: number;
  readonly seconds?: number;
  readonly writeBack: boolean;
  /** Another client moves and removes what is stored, as far as the service lets it. */
  readonly withOthers: boolean;
  /** True: at the end, another machine must show the metadata too. False: the mount has `--metadata local`. */
  readonly carriesMetadata?: boolean;
  /** Runs only these steps, which a failure printed. */
  readonly again?: readonly Step[];
}

/**
 * The abilities of another client. On 5sync it cannot move. It acts once in a program, because its act shows at the next poll, 5 s later
 * at the earliest.
 */
function castOf(provider: ProviderName, withOthers: boolean): Cast {
  if (!withOthers) return { others: 'none', mostActs: 0 };
  return provider === '5sync' ? { others: 'remove', mostActs: 1 } : { others: 'move', mostActs: MOST_ACTS };
}

/** The most acts of another client in one program. After each act the mount lists the whole tree again. */
const MOST_ACTS = 16;
/** How long a listing stays fresh if the test waits for another client's acts. */
const SHORT_TTL = '50ms';

function sandboxOptions(provider: ProviderName): AnySandboxOptions {
  // Enough for the program's calls, and for polls as often as the mount can.
  if (provider === '5sync') return { provider, requestsPerHour: 1_000_000 };
  // So low that the larger files go in chunks and get their names afterwards.
  return provider === 'acronis' ? { provider } : { provider, simpleUploadLimit: 60_000 };
}

/** The caller must end the world. */
export async function createPosixWorld(provider: ProviderName): Promise<World> {
  return createServiceWorld(sandboxOptions(provider));
}

export interface PosixResult {
  programs: number;
  steps: number;
  /** The number of uploads that a step met in flight. */
  met: number;
  /** The number of another client's acts. */
  acts: number;
}

/** Throws an error with a script that repeats the failure. */
export async function posix(world: World, options: PosixOptions): Promise<PosixResult> {
  const { provider, seed, writeBack, withOthers, again, seconds = Number.POSITIVE_INFINITY } = options;
  await mkdir(join(world.directory, 'local'));
  const ttl = withOthers ? ['--dir-ttl', SHORT_TTL] : [];
  const metadata = ['--metadata', options.carriesMetadata === false ? 'local' : 'account'];
  await world.mount('--binding', 'kernel', ...(writeBack ? ['--write-back'] : []), ...ttl, ...metadata);
  const pair = new Pair(world, provider, writeBack ? 'at the end' : 'after each program');
  const result: PosixResult = { programs: 0, steps: 0, met: 0, acts: 0 };
  try {
    if (again !== undefined) {
      const problem = await pair.run(again);
      if (problem !== null) throw new Error(problem);
    }
    const kind = programs(castOf(provider, withOthers));
    const until = Date.now() + (again === undefined ? seconds * 1000 : 0);
    for (let n = 0; n < options.programs && Date.now() < until; n++) {
      result.steps += await checkOne(pair, kind, seed + n);
      result.programs++;
    }
    result.met = pair.others.met;
    result.acts = pair.others.acts;
    await pair.compareAfterRemount(metadata);
    if (options.carriesMetadata === true) await pair.compareOnAnotherMachine(metadata);
  } finally {
    pair.end();
  }
  return result;
}
