/** `scripts/fsx`, once everything is built. */
import { parseArgs } from 'node:util';
import { type ProviderName, providerNames } from '../../../src/sandbox/index.js';
import { createFsxWorld, fsx } from './fsx.js';

const help = 'usage: scripts/fsx [--operations N] [--seed S] [--runs N] [--provider 4shared|4sync|5sync|acronis]';
/** One in 400 operations. */
const REMOUNTS = 0.1;

interface Chosen {
  readonly operations: number;
  readonly seed: number;
  readonly runs: number;
  readonly provider: ProviderName;
}

function options(): Chosen {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { operations: text, seed: text, runs: text, provider: text } });
  const operations = Number(values.operations ?? 20_000);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const runs = Number(values.runs ?? 1);
  const provider = providerNames.find((name) => name === (values.provider ?? '4shared'));
  if (![operations, seed, runs].every(Number.isInteger) || provider === undefined) throw new Error('bad value');
  return { operations, seed, runs, provider };
}

/** The exit status: 0 where every run went well, 2 for bad usage. */
export async function main(): Promise<number> {
  let chosen: Chosen;
  try {
    chosen = options();
  } catch {
    console.error(help);
    return 2;
  }
  const { operations, seed: first, runs, provider } = chosen;
  let failed = 0;
  for (let seed = first; seed < first + runs; seed++) {
    for (const writeBack of [false, true]) {
      const name = `${provider}, seed ${seed}, ${writeBack ? '--write-back' : 'close waits'}`;
      const world = await createFsxWorld(provider);
      const started = Date.now();
      try {
        const done = await fsx(world, { seed, operations, writeBack, remounts: REMOUNTS });
        console.log(`${name}: ${done} operations in ${Math.round((Date.now() - started) / 1000)} s`);
      } catch (error) {
        failed++;
        console.log(`${name}: FAILED\n${error instanceof Error ? error.message : error}`);
      } finally {
        await world.end();
      }
    }
  }
  console.log(failed === 0 ? 'passed' : `FAILED: ${failed} of ${2 * runs} runs`);
  return failed === 0 ? 0 : 1;
}
