/** Random system calls through a mount against the same ones in an ordinary directory: see compare.py. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnySandboxOptions, ProviderName } from '../../../src/sandbox/index.js';
import { createServiceWorld, type World } from '../world.js';
import { checkOne, Pair } from './pair.js';
import { type Cast, programs, type Step } from './steps.js';

export interface PosixOptions {
  readonly provider: ProviderName;
  readonly seed: number;
  /** Fewer where the time is over. */
  readonly programs: number;
  readonly seconds?: number;
  readonly writeBack: boolean;
  /** Another client moves and removes what is stored, as far as the service lets it. */
  readonly withOthers: boolean;
  /** Another machine shows in the end what the service cannot hold; `false`: with `--metadata local`. */
  readonly carriesMetadata?: boolean;
  /** These steps alone, again: what a failure has printed. */
  readonly again?: readonly Step[];
}

/**
 * What another client can do. On 5sync it cannot move, and what it did shows with the next poll, 5 s later at the earliest: once a
 * program.
 */
function castOf(provider: ProviderName, withOthers: boolean): Cast {
  if (!withOthers) return { others: 'none', mostActs: 0 };
  return provider === '5sync' ? { others: 'remove', mostActs: 1 } : { others: 'move', mostActs: MOST_ACTS };
}

/** Of another client in one program: each of them has the whole tree listed anew. */
const MOST_ACTS = 16;
/** Another client's acts are waited for; a listing is the truth for so long. */
const SHORT_TTL = '50ms';

function sandboxOptions(provider: ProviderName): AnySandboxOptions {
  // Without end for the program's calls, and so many that polls are as frequent as they can be.
  if (provider === '5sync') return { provider, requestsPerHour: 1_000_000 };
  // Low enough that the larger files go in chunks and take their names afterwards.
  return provider === 'acronis' ? { provider } : { provider, simpleUploadLimit: 60_000 };
}

/** The world must be ended by the caller. */
export async function createPosixWorld(provider: ProviderName): Promise<World> {
  return createServiceWorld(sandboxOptions(provider));
}

export interface PosixResult {
  programs: number;
  steps: number;
  /** Uploads that were met on their way. */
  met: number;
  /** What another client did. */
  acts: number;
}

/** Throws with a script that does again what went wrong. */
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
