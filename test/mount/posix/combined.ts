/**
 * Random programs (compare.py) on a service that follows a random combination of readings, through mounts that are killed, mounted
 * again, and followed by another machine's.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { type AnySandboxOptions, type ProviderName, readingsOf } from '../../../src/sandbox/index.js';
import { acronisValues, fiveSyncValues, fourSharedValues } from '../../support/reading-values.js';
import { kill } from '../kill.js';
import { createServiceWorld, joinWorld, type World } from '../world.js';
import { checkOne, Pair } from './pair.js';
import { type Cast, programs, type Step } from './steps.js';

type Reading = string | number | boolean;

/** Everything that a seed decides, except the programs. `COMBINED_AGAIN` overrides parts of it. */
export interface Combination {
  /** The readings that differ from the default. */
  readonly readings: Readonly<Record<string, Reading>>;
  readonly settings: Readonly<Record<string, number>>;
  readonly closing: 'stored at close' | 'write-back';
  readonly removal: 'trash' | 'permanent';
  readonly metadata: 'account' | 'local';
  /** `client`: another client moves and removes. `machine`: another machine of the account continues after this one has unmounted. */
  readonly company: 'none' | 'client' | 'machine';
  /** The event after each program. */
  readonly breaks: readonly ('none' | 'kill' | 'remount')[];
}

const valuesOf: Readonly<Record<ProviderName, Readonly<Record<string, readonly Reading[]>>>> = {
  '4shared': { ...fourSharedValues },
  '4sync': { ...fourSharedValues },
  // The test waits for another client's changes: a feed with a long lag would take all of the time.
  '5sync': { ...fiveSyncValues, changesLagSeconds: [0, 2] },
  acronis: { ...acronisValues },
};

const settingsOf: Readonly<Record<ProviderName, Readonly<Record<string, readonly number[]>>>> = {
  // The first value is so low that larger files go in chunks. The second one is the document's.
  '4shared': { simpleUploadLimit: [60_000, 150_000_000] },
  '4sync': { simpleUploadLimit: [60_000, 150_000_000] },
  // With the first limit the largest files go in parts. So many requests let the mount poll as often as it can.
  '5sync': { simpleUploadLimit: [1_500_000, 100_000_000], requestsPerHour: [1_000_000] },
  acronis: { tokenLifetimeSeconds: [2, 3600] },
};

/** Larger than two blocks of the largest kind. */
const LARGEST = 9_000_000;
/** How long another machine may take to show changes, ms: its listing of the metadata files may be a minute old. */
const SHOWING_MS = 90_000;

const oneOf = (values: Readonly<Record<string, readonly Reading[]>>): fc.Arbitrary<Record<string, Reading>> =>
  fc.record(Object.fromEntries(Object.entries(values).map(([name, all]) => [name, fc.constantFrom(...all)])));

/** The combination for a seed, without choices that exclude each other. */
export function combinationOf(provider: ProviderName, seed: number): Combination {
  const kind = fc.record({
    readings: oneOf(valuesOf[provider]),
    settings: oneOf(settingsOf[provider]) as fc.Arbitrary<Record<string, number>>,
    closing: fc.constantFrom('stored at close', 'write-back'),
    removal: fc.constantFrom('trash', 'permanent'),
    metadata: fc.constantFrom('account', 'account', 'local'),
    company: fc.constantFrom('none', 'client', 'machine'),
    breaks: fc.array(fc.constantFrom('none', 'kill', 'remount'), { minLength: 2, maxLength: 3 }),
  });
  const [drawn] = fc.sample(kind, { seed, numRuns: 1 });
  if (drawn === undefined) throw new Error('nothing was drawn');
  const defaults = readingsOf[provider] as Readonly<Record<string, Reading>>;
  const readings = Object.fromEntries(
    Object.entries(drawn.readings).filter(([name, value]) => value !== defaults[name]),
  );
  // Nothing can be removed permanently there: docs/semantics.md, "A service that does not delete".
  const removal = readings.deletion === 'none' ? 'trash' : drawn.removal;
  // Local metadata never reaches another machine. And nobody can follow a file if another client's move gives it a new id.
  const isAlone =
    (drawn.metadata === 'local' && drawn.company === 'machine') ||
    (readings.moveKeepsId === false && drawn.company === 'client');
  const company = isAlone ? 'none' : drawn.company;
  // A large file whose upload lands in the root needs an entry of the account's metadata: docs/semantics.md.
  const metadata = readings.multipartPath === 'root' ? 'account' : drawn.metadata;
  return { ...drawn, readings, removal, company, metadata } as Combination;
}

/** Names that the service tells apart according to docs/semantics.md. */
export function namesFor(provider: ProviderName, readings: Combination['readings']): readonly string[] {
  const plain = ['a', 'b', 'c', 'ü'];
  const cleans = readings.storedNames !== undefined;
  // 5sync has folders only as parts of paths. And if empty files are refused, nobody can tell whether the reason is the odd name.
  if ((provider === '5sync' && cleans) || readings.emptyContent === 'refused') return plain;
  const odd = [...plain, 'x:y', 'end.', 'Q'];
  const tellsApart = !cleans && provider !== 'acronis' && readings.nameCase !== 'insensitive';
  return tellsApart ? [...odd, 'A', 'u\u0308', 't\tb ', '%2F'] : odd;
}

/** True if the service holds each file under its own name, in its own folder. */
function isLiteral({ readings }: Combination): boolean {
  return readings.storedNames === undefined && readings.emptyContent === undefined && readings.multipartPath !== 'root';
}

/** Throws if anything differs. Returns the number of programs that ran. */
export async function combined(
  provider: ProviderName,
  seed: number,
  chosen: Combination,
  again?: readonly Step[],
): Promise<number> {
  const { readings, settings, closing } = chosen;
  const world = await createServiceWorld({ provider, readings, ...settings } as AnySandboxOptions);
  const top = join(world.directory, 'local');
  await mkdir(top);
  const flags = [
    ...['--binding', 'kernel', '--dir-ttl', '50ms', '--delete', chosen.removal, '--metadata', chosen.metadata],
    ...(closing === 'write-back' ? ['--write-back'] : []),
  ];
  const service = !isLiteral(chosen) ? 'never' : closing === 'write-back' ? 'at the end' : 'after each program';
  const moves = provider === '5sync' ? 'remove' : 'move';
  const cast: Cast = {
    others: chosen.company === 'client' ? moves : 'none',
    mostActs: provider === '5sync' ? 1 : 8,
    names: namesFor(provider, readings),
    largest: LARGEST,
  };
  const pairs: Pair[] = [];
  const on = (one: World): Pair => {
    const pair = new Pair(one, provider, service, top);
    pairs.push(pair);
    return pair;
  };
  const same = async (pair: Pair, when: string, patience = 0): Promise<void> => {
    const difference = await pair.differenceOfTrees(patience);
    if (difference !== null) throw new Error(`${when}: ${difference}`);
  };
  let ran = 0;
  try {
    await world.mount(...flags);
    const pair = on(world);
    for (const [n, after] of chosen.breaks.entries()) {
      if (again === undefined) await checkOne(pair, programs(cast), seed * 100 + n);
      else if (n === 0) {
        const problem = await pair.run(again);
        if (problem !== null) throw new Error(problem);
      }
      ran++;
      if (after === 'kill') await kill(world);
      if (after === 'remount') await world.umount();
      if (after !== 'none') await world.mount(...flags);
      if (after !== 'none') await same(pair, `after ${after}`);
    }
    if (chosen.company === 'machine') {
      const other = await joinWorld(world);
      await world.umount();
      await other.mount(...flags);
      const second = on(other);
      await same(second, 'on the other machine', SHOWING_MS);
      const [steps = []] = fc.sample(programs({ ...cast, others: 'none' }), { seed: seed * 100 + 99, numRuns: 1 });
      const problem = again === undefined ? await second.runIn('run-0', steps) : null;
      if (problem !== null) throw new Error(`on the other machine: ${problem}`);
      ran++;
      await other.umount();
      await world.mount(...flags);
      await same(pair, 'after the other machine', SHOWING_MS);
    }
    await world.umount();
    const difference = await pair.differenceThere();
    if (difference !== null) throw new Error(`after the unmount: ${difference}`);
    await world.clearCache();
    await world.mount(...flags);
    await same(pair, 'after a remount with an empty cache');
    const { failed, pending } = await world.status();
    if (failed.length + pending.length > 0) throw new Error(`not stored: ${JSON.stringify([...failed, ...pending])}`);
    await world.umount();
    if (chosen.metadata === 'account') {
      const fresh = await joinWorld(world);
      await fresh.mount(...flags);
      await same(on(fresh), 'on a fresh machine', SHOWING_MS);
      await fresh.umount();
    }
    return ran;
  } catch (error) {
    throw new Error(
      `${error instanceof Error ? error.message : error}\n${JSON.stringify(chosen)}\n${(await world.log()).slice(-3000)}`,
      { cause: error },
    );
  } finally {
    for (const pair of pairs) pair.end();
  }
}
