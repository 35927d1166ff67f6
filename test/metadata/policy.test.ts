/** What decides: the order of changes, the entry that counts, where entries go, when they are written. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MetadataEntry, type TimedEntry, timeOf } from '../../src/metadata/entry.js';
import { compareTimes, type LogicalTime, noTime, timeAfter } from '../../src/metadata/logical-time.js';
import { latestByName } from '../../src/metadata/merge.js';
import { type Arrival, indexPack, maxBytes, maxEntries, placeEntries } from '../../src/metadata/placement.js';
import { mayWriteAtOnce, type WriteState, writeTime } from '../../src/metadata/schedule.js';
import { isRemovalDone, planMerge, type RemovalState, upkeepTime } from '../../src/metadata/upkeep.js';

const DAY = 86_400_000;
const times = fc.record({ wall: fc.nat(9), counter: fc.nat(3), machine: fc.constantFrom('a', 'b', 'c') });

describe('the time of a change', () => {
  it('is a total order', () => {
    fc.assert(
      fc.property(times, times, times, (a, b, c) => {
        expect(Math.sign(compareTimes(a, b)) + Math.sign(compareTimes(b, a))).toBe(0);
        if (compareTimes(a, b) <= 0 && compareTimes(b, c) <= 0) expect(compareTimes(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('is later than all that the machine has seen, whatever its own clock says', () => {
    fc.assert(
      fc.property(times, fc.nat(9), fc.constantFrom('a', 'b', 'c'), (seen, now, machine) => {
        expect(compareTimes(timeAfter(seen, now, machine), seen)).toBeGreaterThan(0);
      }),
    );
  });

  it('lets the one win that knew the other, with clocks that are a day apart', () => {
    const now = 1_800_000_000_000;
    const first = timeAfter(noTime, now + DAY, 'fast');
    const second = timeAfter(first, now, 'slow');
    expect(compareTimes(second, first)).toBeGreaterThan(0);
    expect(second).toEqual({ wall: now + DAY, counter: 1, machine: 'slow' });
  });
});

describe('the entry that counts', () => {
  const timed = (name: string, time: LogicalTime): TimedEntry => {
    const entry: MetadataEntry = { folder: 'f', name, kind: 'file', clock: [time.wall, time.counter] };
    return { entry, time: timeOf(entry, time.machine) };
  };

  it('is the same in whatever order machines are read, however often', () => {
    const all = fc.array(fc.tuple(fc.constantFrom('x', 'y'), times), { maxLength: 12 });
    fc.assert(
      fc.property(all, fc.infiniteStream(fc.nat()), (list, noise) => {
        const given = list.map(([name, time]) => timed(name, time));
        const shuffled = [...given, ...given].map((item) => [noise.next().value, item] as const);
        shuffled.sort(([a], [b]) => a - b);
        const [one, other] = [latestByName(given), latestByName(shuffled.map(([, item]) => item))];
        expect(new Map([...other].sort())).toEqual(new Map([...one].sort()));
        for (const [name, { time }] of one)
          for (const item of given)
            if (item.entry.name === name) expect(compareTimes(time, item.time)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('the pack of a new entry', () => {
  const arrive = (folder: string, count: number, near: string[] = [], bytes = 100): Arrival => ({
    folder,
    sizes: Array.from({ length: count }, () => bytes),
    near,
  });
  const empty = { packs: [], packsOf: () => [] };

  it.each([
    ['a small store is the index alone', empty, [arrive('a', 100), arrive('b', 200)], [[0], [0]]],
    [
      'beyond that, folders go to a pack together',
      empty,
      [arrive('a', 3000), arrive('b', 200), arrive('c', 5)],
      [[0], [1], [0]],
    ],
    [
      'a folder stays in its pack, beyond the room for new folders',
      { packs: [{ pack: 1, entries: 3500, bytes: 1 }], packsOf: (folder: string) => (folder === 'a' ? [1] : []) },
      [arrive('a', 500), arrive('b', 3000), arrive('c', 200)],
      [[1], [0], [2]],
    ],
    [
      'a full pack: the rest of the folder goes to another',
      {
        packs: [
          { pack: 0, entries: 3072, bytes: 1 },
          { pack: 1, entries: maxEntries - 1, bytes: 1 },
        ],
        packsOf: () => [1],
      },
      [arrive('a', 3)],
      [[1, 2, 2]],
    ],
    [
      'a new folder goes to its neighbours, the nearest first',
      {
        packs: [
          { pack: 0, entries: 3072, bytes: 1 },
          { pack: 1, entries: 9, bytes: 1 },
          { pack: 2, entries: 9, bytes: 1 },
          { pack: 3, entries: 9, bytes: 1 },
        ],
        packsOf: (folder: string) => ({ parent: [2], grandparent: [1] })[folder] ?? [],
      },
      [arrive('a', 1, ['parent', 'grandparent']), arrive('b', 1, ['stranger', 'grandparent']), arrive('c', 1)],
      [[2], [1], [3]],
    ],
    ['an entry larger than a pack has one for itself', empty, [arrive('a', 2, [], 2 * maxBytes)], [[1, 2]]],
  ])('%s', (_, state, arrivals, expected) => {
    expect(
      placeEntries(state, arrivals).map((packs) => ([...new Set(packs)].length === 1 ? [packs[0]] : packs)),
    ).toEqual(expected);
  });

  it('is never overfull, and a folder is in no more packs than it must be', () => {
    const arrivals = fc.array(
      fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 1, max: 3000 }), fc.constantFrom(60, 5000)),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(arrivals, (list) => {
        const placed = placeEntries(
          empty,
          list.map(([folder, count, bytes]) => arrive(folder, count, ['a', 'b'], bytes)),
        );
        const loads = new Map<number, { entries: number; bytes: number }>();
        const packsOf = new Map<string, Set<number>>();
        const entriesOf = new Map<string, number>();
        for (const [at, [folder, count, bytes]] of list.entries()) {
          expect(placed[at]).toHaveLength(count);
          entriesOf.set(folder, (entriesOf.get(folder) ?? 0) + count * (bytes > 1024 ? bytes / 1024 : 1));
          for (const pack of placed[at] ?? []) {
            const load = loads.get(pack) ?? { entries: 0, bytes: 0 };
            loads.set(pack, { entries: load.entries + 1, bytes: load.bytes + bytes });
            packsOf.set(folder, (packsOf.get(folder) ?? new Set()).add(pack));
          }
        }
        for (const [pack, { entries, bytes }] of loads) {
          expect(entries).toBeLessThanOrEqual(pack === indexPack ? maxEntries * 0.75 : maxEntries);
          expect(bytes).toBeLessThanOrEqual(pack === indexPack ? maxBytes / 8 : maxBytes);
        }
        for (const [folder, packs] of packsOf)
          expect(packs.size).toBeLessThanOrEqual(2 + Math.ceil((entriesOf.get(folder) ?? 0) / (maxEntries / 8)));
      }),
      { numRuns: 30 },
    );
  });
});

describe('the time to write', () => {
  const at = 1_000_000_000;
  const state: WriteState = {
    firstChange: at,
    lastChange: at,
    lastWrite: null,
    failures: 0,
    lastFailure: 0,
    limit: null,
  };
  const hourly = (limit: number) => ({ limit, remaining: limit, resetAt: at });

  it.each([
    ['a single change waits for its like', state, 8],
    ['a stream of changes does not put it off for ever', { ...state, lastChange: at + 24_000 }, 25],
    ['60 requests an hour: three writes of two', { ...state, lastWrite: at, limit: hourly(60) }, 1200],
    ['60 requests an hour: the first one waits no longer', { ...state, limit: hourly(60) }, 8],
    ['6,000 requests an hour', { ...state, lastWrite: at, limit: hourly(6000) }, 12],
    ['a limit that is not told', { ...state, lastWrite: at, limit: hourly(0) }, 8],
    ['after a failure', { ...state, failures: 1, lastFailure: at + 5000 }, 15],
    ['after many failures', { ...state, failures: 40, lastFailure: at }, 600],
  ])('%s', (_, given, seconds) => {
    expect((writeTime(given) - at) / 1000).toBe(seconds);
  });

  const left = (remaining: number) => ({ limit: 60, remaining, resetAt: at + 1 });

  it.each([
    ['without a limit', state, true],
    ['while half of the hour is left', { ...state, limit: left(30) }, true],
    ['not when others need the rest', { ...state, limit: left(29) }, false],
    ['in the next hour', { ...state, limit: { ...left(0), resetAt: at } }, true],
    ['not where it has just failed', { ...state, failures: 1, lastFailure: at - 9_999 }, false],
    ['once it is to be tried again', { ...state, failures: 1, lastFailure: at - 10_000 }, true],
  ])('at once for fsync: %s', (_, given, isAllowed) => {
    expect(mayWriteAtOnce(given, at, at)).toBe(isAllowed);
  });
});

describe('the packs that are merged', () => {
  /** Packs from 1 on by their entries; pack 0, the index, is empty. */
  const packs = (...entries: number[]) => [
    { pack: indexPack, entries: 3, bytes: 300 },
    ...entries.map((count, at) => ({ pack: at + 1, entries: count, bytes: count * 100 })),
  ];

  it.each([
    ['none of a small store', packs(), null],
    ['not a single one: the next is still being filled', packs(5), null],
    ['not full ones', packs(4000, 4096, 3000), null],
    ['not one that has shrunken among full ones', packs(4000, 10, 4000), null],
    ['two that have shrunken, into the one with the higher number', packs(10, 20), { from: [1], into: 2 }],
    ['also where full ones lie between', packs(10, 4000, 20), { from: [1], into: 3 }],
    ['in any order', packs(10, 4000, 20).reverse(), { from: [1], into: 3 }],
    ['four at once', packs(10, 20, 30, 40, 50), { from: [1, 2, 3], into: 4 }],
    ['no more than three quarters of a pack', packs(1024, 1024, 1024, 1024), { from: [1, 2], into: 3 }],
    ['not empty ones: they need no file', packs(0, 10, 0), null],
    ['up to a quarter of a pack', packs(1025, 10), null],
    [
      'by bytes, too',
      [
        { pack: 1, entries: 1, bytes: maxBytes / 4 + 1 },
        { pack: 2, entries: 1, bytes: 10 },
        { pack: 3, entries: 1, bytes: 20 },
      ],
      { from: [2], into: 3 },
    ],
  ])('%s', (_, given, expected) => {
    expect(planMerge(given)).toEqual(expected);
  });

  it('come to an end, with nothing lost, no pack overfull, and each entry in a pack with a higher number', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(maxEntries), { maxLength: 20 }), (entries) => {
        const loads = new Map(packs(...entries).map((load) => [load.pack, load]));
        const count = (): number => [...loads.values()].reduce((sum, load) => sum + load.entries, 0);
        const before = count();
        for (let left = loads.size; ; left--) {
          expect(left).toBeGreaterThan(0);
          const merge = planMerge([...loads.values()]);
          if (merge === null) break;
          for (const pack of merge.from) {
            expect(pack).toBeLessThan(merge.into);
            const [from, into] = [loads.get(pack), loads.get(merge.into)];
            if (from === undefined || into === undefined) throw new Error('there is no such pack');
            const { pack: number } = into;
            loads.set(number, { pack: number, entries: into.entries + from.entries, bytes: into.bytes + from.bytes });
            loads.delete(pack);
          }
        }
        expect(count()).toBe(before);
        for (const { entries: held } of loads.values()) expect(held).toBeLessThanOrEqual(maxEntries);
      }),
    );
  });
});

describe('a removal', () => {
  const now = 1_800_000_000_000;
  const done: RemovalState = { writtenAt: now - DAY, now, isFolderKnown: true, isOlderElsewhere: false };

  it.each([
    ['has done its work when no file holds an older entry', done, true],
    ['stays while another machine has an older entry', { ...done, isOlderElsewhere: true }, false],
    ['stays while that is not known', { ...done, isFolderKnown: false }, false],
    ['stays for a day', { ...done, writtenAt: now - DAY + 1 }, false],
    ['stays while its time is yet to come', { ...done, writtenAt: now + DAY }, false],
  ])('%s', (_, given, expected) => {
    expect(isRemovalDone(given)).toBe(expected);
  });

  it.each([
    ['the first upkeep at once', null, null, 0],
    ['the next an hour later', now, null, now + 3_600_000],
    ['also where there are many requests', now, 6000, now + 3_600_000],
    ['60 requests an hour: a fiftieth of them', now, 60, now + (3_600_000 * 10) / 1.2],
    ['a limit that is not told', now, 0, now + 3_600_000],
  ])('%s', (_, last, limit, expected) => {
    expect(upkeepTime(last, limit === null ? null : { limit, remaining: limit, resetAt: now })).toBeCloseTo(expected);
  });
});
