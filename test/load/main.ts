/** `scripts/load`, once everything is built. */
import { parseArgs } from 'node:util';
import { createLoadWorld, type LoadResult, load } from './load.js';
import { pinCosts } from './pin-costs.js';
import { type Cost, metadataCosts, walkCosts } from './walk-costs.js';

const help = `usage: scripts/load [--seconds N] [--writers N] [--readers N] [--seed S] [--faulty PERCENT]
       scripts/load --entries N [--folders N] [--dir-ttl T] [--one-answer | --metadata | --pins]`;

interface Options {
  readonly seconds: number;
  readonly writers: number;
  readonly readers: number;
  readonly seed: number;
  readonly faulty: number;
  /** 0: no walks. */
  readonly entries: number;
  readonly folders: number;
  readonly ttl: string;
  readonly inOneAnswer: boolean;
  /** The account carries the modes of all files. */
  readonly hasMetadata: boolean;
  /** All files are pinned. */
  readonly isPinned: boolean;
}

function options(): Options {
  const text = { type: 'string' } as const;
  const load = { seconds: text, writers: text, readers: text, seed: text, faulty: text };
  const walks = {
    entries: text,
    folders: text,
    'dir-ttl': text,
    'one-answer': { type: 'boolean' },
    metadata: { type: 'boolean' },
    pins: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ options: { ...load, ...walks } });
  const entries = Number(values.entries ?? 0);
  const chosen = {
    entries,
    // As many files in each as in the million of 5,000 folders.
    folders: Number(values.folders ?? Math.ceil(entries / 200)),
    seconds: Number(values.seconds ?? 120),
    writers: Number(values.writers ?? 32),
    readers: Number(values.readers ?? 32),
    seed: Number(values.seed ?? Date.now() % 1_000_000),
    faulty: Number(values.faulty ?? 5) / 100,
  };
  if (Object.values(chosen).some(Number.isNaN)) throw new Error('bad value');
  return {
    ...chosen,
    ttl: values['dir-ttl'] ?? '60s',
    inOneAnswer: values['one-answer'] ?? false,
    hasMetadata: values.metadata ?? false,
    isPinned: values.pins ?? false,
  };
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
  if (chosen.entries > 0) {
    await walk(chosen);
    return 0;
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

/** The table of docs/performance.md. */
async function walk({ entries, folders, ttl, inOneAnswer, hasMetadata, isPinned }: Options): Promise<void> {
  console.log(`${entries} files in ${folders} folders, --dir-ttl ${ttl}`);
  console.log('act                     CPU s  loop s  MiB  stall ms  requests  seconds');
  const show = ({ act, cpu, loop, mib, stall, requests, seconds }: Cost): void =>
    console.log(
      [act.padEnd(22), ...[cpu, loop].map((s) => s.toFixed(2).padStart(7))].join('') +
        [String(mib).padStart(6), stall.toFixed(1).padStart(9), String(requests).padStart(10)].join('') +
        seconds.toFixed(1).padStart(9),
    );
  const costs = isPinned ? pinCosts : hasMetadata ? metadataCosts : walkCosts;
  await costs({ folders, files: Math.ceil(entries / folders), inOneAnswer }, ['--dir-ttl', ttl], show);
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
