// @module-tag long
import { describe, expect, it } from 'vitest';
import { type ProviderName, providerNames } from '../../../src/sandbox/index.js';
import { cleanUpWorlds } from '../world.js';
import { type Combination, combinationOf, combined } from './combined.js';
import type { Step } from './steps.js';

/** Other seeds: `COMBINED_SEED=100 COMBINED_SEEDS=50 npx vitest run test/mount/posix/combined -t 5sync` */
const first = Number(process.env.COMBINED_SEED ?? 3);
const count = Number(process.env.COMBINED_SEEDS ?? 1);
/** Replaces parts of the combination that the seed chooses. A failure prints the combination, and the steps of its program. */
const otherwise = JSON.parse(process.env.COMBINED_AGAIN ?? '{}') as Partial<Combination>;
const steps = process.env.POSIX_AGAIN;

describe('random programs on a service that follows a random combination of readings', () => {
  cleanUpWorlds();

  const seeds = Array.from({ length: count }, (_, n) => first + n);
  const all = providerNames.flatMap((provider) => seeds.map((seed): [ProviderName, number] => [provider, seed]));
  it.each(all)(
    'do on %s, seed %i, what they do in an ordinary directory',
    { timeout: 300_000 },
    async (provider, seed) => {
      const chosen = { ...combinationOf(provider, seed), ...otherwise };
      const again = steps === undefined ? undefined : (JSON.parse(steps) as Step[]);
      expect(await combined(provider, seed, chosen, again)).toBeGreaterThanOrEqual(chosen.breaks.length);
    },
  );
});
