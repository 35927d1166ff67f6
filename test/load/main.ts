/** `scripts/load`, once everything is built. */
import { parseArgs } from 'node:util';
import { createLoadWorld, type LoadResult, load } from './load.js';

const help = 'usage: scripts/load [--seconds N] [--writers N] [--readers N] [--seed S] [--faulty PERCENT]';

function options(): { seconds: number; writers: number; readers: number; seed: number; faulty: number } {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { seconds: text, writers: text, readers: text, seed: text, faulty: text } });
  const chosen = {
    seconds: Number(values.seconds ?? 120),
    writers: Number(values.writers ?? 32),
    readers: Number(values.readers ?? 32),
    seed: Number(values.seed ?? Date.now() % 1_000_000),
    faulty: Number(values.faulty ?? 5) / 100,
  };
  if (Object.values(chosen).some(Number.isNaN)) throw new Error('bad value');
  return chosen;
}

/** The exit status: 0 where nothing was lost, 2 for bad usage. */
export async function main(): Promise<number> {
  let chosen: ReturnType<typeof options>;
  try {
    chosen = options();
  } catch {
    console.error(help);
    return 2;
  }
  let failed = 0;
  for (const writeBack of [false, true]) {
    console.log(`${writeBack ? '--write-back' : 'close waits'}, seed ${chosen.seed}, ${chosen.seconds} s`);
    const world = await createLoadWorld();
    try {
      const result = await load(world, { ...chosen, writeBack });
      print(result);
      if (result.problems.length > 0) failed++;
    } catch (error) {
      failed++;
      console.log(`${error instanceof Error ? error.message : error}\n${(await world.log()).slice(-4000)}`);
    } finally {
      await world.end();
    }
  }
  console.log(failed === 0 ? 'passed' : 'FAILED');
  return failed === 0 ? 0 : 1;
}

function print({ counts, errors, problems, requests, faults, memory }: LoadResult): void {
  console.log(
    Object.entries({ ...counts, requests, faults })
      .map(([what, n]) => `${what} ${n}`)
      .join(', '),
  );
  for (const [what, n] of Object.entries(errors)) console.log(`  ${n} × ${what}`);
  console.log(`VmRSS, MiB: ${memory.map(({ second, mib }) => `${second} s ${mib}`).join(', ')}`);
  for (const problem of problems) console.log(`PROBLEM ${problem}`);
}
