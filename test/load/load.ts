/** Many writers and readers under faults: nothing is lost, nobody reads what nobody wrote, and memory stays flat. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { FaultRule } from '../../src/sandbox/index.js';
import { fourShared } from '../mount/faults/fourshared.js';
import { faultsOf, type RequestKind, type Target } from '../mount/faults/table.js';
import { createWorld, type World } from '../mount/world.js';

export interface LoadOptions {
  readonly seconds: number;
  readonly writers: number;
  readonly readers: number;
  readonly writeBack: boolean;
  readonly seed: number;
  /** Of all requests, between 0 and 1. */
  readonly faulty: number;
}

export interface LoadResult {
  readonly counts: Readonly<Record<string, number>>;
  /** By what was done and what the program was told. */
  readonly errors: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  readonly requests: number;
  readonly faults: number;
  /** VmRSS of the mount over time, MiB. */
  readonly memory: readonly { readonly second: number; readonly mib: number }[];
}

/** So that the cache evicts, and files come from the service again. */
const CACHE = '24M';
/** Half of it is how long one try may stand still: stalls are common here. */
const DEADLINE = '10s';
const SAMPLE_MS = 5000;
/** Low enough that the larger files go in chunks and take their names afterwards. */
const SIMPLE_UPLOAD_LIMIT = 100_000;

/** Which requests are of which kind, at 4shared. */
const routes: Readonly<Record<RequestKind, Partial<FaultRule>>> = {
  download: { route: '^GET /files/\\{id\\}/download$' },
  query: { route: '^GET /(?!files/\\{id\\}/download)' },
  upload: { host: 'upload' },
  change: { host: 'api', route: '^(POST|PUT|DELETE) ' },
};

/** Faults that pass, mixed: what a server refuses for good is an answer, and not a fault. */
function faultRules(faulty: number): FaultRule[] {
  const kinds = Object.keys(routes) as RequestKind[];
  return kinds.flatMap((kind) => {
    const target: Target = { kind, bytes: 100_000 };
    const mixed = faultsOf(fourShared.wordings).filter(
      ({ nature, only }) => nature !== 'refusal' && (only?.includes(kind) ?? true),
    );
    return mixed.map((fault) => ({
      ...routes[kind],
      probability: faulty / mixed.length,
      // Nobody listens on port 9 (discard): a client that went there would only fail.
      action: fault.action(target, 'http://127.0.0.1:9'),
    }));
  });
}

/** The world must be ended by the caller. */
export function createLoadWorld(): Promise<World> {
  return createWorld({ simpleUploadLimit: SIMPLE_UPLOAD_LIMIT, latencyMs: 5 });
}

export async function load(world: World, options: LoadOptions): Promise<LoadResult> {
  const { seconds, writers, readers, seed } = options;
  const flags = options.writeBack ? ['--write-back'] : [];
  await world.mount('--cache-size', CACHE, '--deadline', DEADLINE, ...flags);
  const { pid } = await world.status();
  const run = (rest: string): Promise<string> =>
    world.out(`cd "$TOP" && exec python3 '${resolve('test/load/load.py')}' "$MNT" ${rest}`);
  const memory: { second: number; mib: number }[] = [];
  const begun = Date.now();
  const sample = async (): Promise<void> => {
    memory.push({ second: Math.round((Date.now() - begun) / 1000), mib: await residentMib(pid) });
  };
  const sampling = setInterval(() => void sample(), SAMPLE_MS);
  world.sandbox.faults.seed(seed);
  for (const rule of faultRules(options.faulty)) world.sandbox.faults.add(rule);
  const worked = JSON.parse(
    await run(`--work ${seconds} --seed ${seed} --writers ${writers} --readers ${readers}`).finally(() =>
      clearInterval(sampling),
    ),
  ) as LoadResult;
  const counted = { requests: world.sandbox.log.entries().length, faults: world.sandbox.faults.fired() };
  world.sandbox.faults.clear();
  await world.cli(['uploads', 'retry', world.mnt]);
  await world.umount();
  await sample();
  // From the service alone.
  await world.clearCache();
  await world.mount();
  const checked = JSON.parse(await run('--check')) as LoadResult;
  await world.umount();
  const left = world.sandbox.store
    .tree()
    .filter(({ name, status }) => name.includes('.syncmount') || status !== 'normal');
  const problems = [...worked.problems, ...checked.problems, ...left.map(({ path }) => `left at the service: ${path}`)];
  return { ...worked, ...counted, problems, memory: memory.filter(({ mib }) => mib > 0) };
}

/** 0 once the process is gone. */
async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}
