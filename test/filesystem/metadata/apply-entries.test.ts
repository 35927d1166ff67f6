/** Entries of other machines are applied without keeping the event loop from everything else. */
import { expect, it } from 'vitest';
import { entriesPerTurn } from '../../../src/base/event-loop-turns.js';
import { ApplyEntries, type ApplyEntriesOptions } from '../../../src/filesystem/metadata/apply-entries.js';

it('gives the event loop a turn between the folders that have waited for the same pack', async () => {
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  const begun: number[] = [];
  const options = {
    table: { get: (ino: number) => ({ remote: { id: `folder ${ino}` } }), transaction: <T>(act: () => T): T => act() },
    store: {
      machinesOf: () => ['another'],
      timesAfter: (machine: string | null) => {
        if (machine !== null) begun.push(turns);
        return [];
      },
      recall: () => undefined,
      applied: () => undefined,
    },
  } as unknown as ApplyEntriesOptions;
  const apply = new ApplyEntries(options);
  count();
  await Promise.all([1, 2, 3, 4].map((ino) => apply.to(ino, () => Promise.resolve())));
  isOver = true;
  expect(new Set(begun).size).toBe(4);
});

it('looks up the entries of a folder some hundred at a time, each time anew after a turn, and only those that are not shown', async () => {
  const names = Array.from({ length: 1300 }, (_, at) => `file ${String(at).padStart(4, '0')}`);
  const time = { wall: 7, counter: 0, machine: 'another' };
  const shownAlready = new Set(names.slice(500, 750));
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  let asked = 0;
  const lookUps: number[] = [];
  const shown = new Map<string, number>();
  const rowOf = (name: string) => ({
    ino: 2 + names.indexOf(name),
    kind: 'file',
    remote: { id: name },
    overlay: {},
    name,
    parent: 1,
  });
  const pageAfter = (after: string, limit: number): string[] => names.filter((name) => name > after).slice(0, limit);
  const options = {
    table: {
      get: (ino: number) => (ino === 1 ? { remote: { id: 'folder' } } : rowOf(names[ino - 2] ?? '')),
      transaction: <T>(act: () => T): T => act(),
      further: { find: () => undefined },
      update: (ino: number) => shown.set(names[ino - 2] ?? '', turns),
    },
    states: {
      // What is known of the names is asked for as often as the entries are.
      namesAfter: (_: number, after: string, limit: number) => {
        asked++;
        return pageAfter(after, limit).map((name) => {
          const state = shownAlready.has(name) ? { place: null, time, timesSet: false } : undefined;
          return { name, ino: rowOf(name).ino, hasXattrs: false, state };
        });
      },
      put: () => undefined,
    },
    store: {
      machinesOf: () => ['another'],
      timesAfter: (machine: string | null, _: string, after: string, limit: number) =>
        machine === null ? [] : pageAfter(after, limit).map((name) => ({ name, id: name, ...time })),
      entriesAfter: (_: string | null, folder: string, after: string, limit: number) => {
        lookUps.push(turns);
        const entryOf = (name: string) => ({ entry: { folder, name, kind: 'file', clock: [7, 0], id: name }, time });
        return new Map(pageAfter(after, limit).map((name) => [name, entryOf(name)]));
      },
      retractionsOf: () => [],
      recall: () => undefined,
      applied: () => undefined,
    },
  } as unknown as ApplyEntriesOptions;
  count();
  await new ApplyEntries(options).to(1, () => Promise.resolve());
  isOver = true;
  expect([...shown.keys()]).toEqual(names.filter((name) => !shownAlready.has(name)));
  expect(asked).toBe(6);
  // A page whose entries are all shown needs none.
  expect(lookUps).toHaveLength(5);
  expect(new Set(lookUps).size).toBe(lookUps.length);
  const applied = [...shown.values()];
  const perTurn = [...new Set(applied)].map((turn) => applied.filter((at) => at === turn).length);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(entriesPerTurn);
});
