/** A listing is merged, and a directory is read, in pieces, while other work changes them. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entriesPerTurn, inTurns, Pieces } from '../../src/base/event-loop-turns.js';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../../src/providers/provider.js';
import type { Ino, Inode } from '../../src/tree/inode.js';
import { InodeTable } from '../../src/tree/inode-table.js';
import { LocalChanges } from '../../src/tree/listing.js';
import { mergeListing, merging } from '../../src/tree/merge.js';
import { scanning } from '../../src/tree/scan.js';
import { stateMigrations } from '../../src/tree/state-schema.js';

const file = (id: string, name: string, modified = 1000): RemoteFile => ({
  kind: 'file',
  id,
  parentId: 'root',
  name,
  size: 1,
  modified,
  md5: null,
  access: 'write',
});
const rootFolder: RemoteFolder = {
  kind: 'folder',
  id: 'root',
  parentId: null,
  name: '',
  modified: 0,
  access: 'write',
  fileCount: null,
  folderCount: null,
};

let state: StateDatabase;
let table: InodeTable;
let changes: LocalChanges;
let root: Ino;

beforeEach(() => {
  state = openDatabase(':memory:', stateMigrations);
  table = new InodeTable(state.sql);
  changes = new LocalChanges();
  root = table.insert({ parent: null, name: '', kind: 'directory', remote: rootFolder }).ino;
});
afterEach(() => state.close());

/** Merges, and calls `between` after each piece. A piece is one entry unless `size` is given. */
function merge(entries: readonly RemoteEntry[], between: () => void = () => {}, size = 1) {
  const order = { changes, since: changes.begin() };
  const work = merging(table, root, entries, order, 5000, false, new Pieces(size));
  try {
    for (;;) {
      const piece = table.transaction(() => work.next());
      if (piece.done === true) return piece.value;
      between();
    }
  } finally {
    work.return(undefined as never);
    changes.end();
  }
}

const byName = (): Map<string, string> =>
  new Map(table.children(root).map(({ name, remote }) => [name, remote?.id ?? 'local']));
const listing = (...pairs: string[]): RemoteFile[] => pairs.map((pair) => file(pair.slice(0, 1), pair.slice(1)));

describe('between two pieces of a merge', () => {
  const objects = ['1', '2', '3', '4', '5', '6', '7'];
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', '/', 'x/y'];
  const listings = fc
    .uniqueArray(fc.constantFrom(...objects), { maxLength: 7 })
    .chain((ids) => fc.tuple(...ids.map((id) => fc.constantFrom(...names).map((name) => file(id, name)))));

  it('each object that is in both listings has a name, and each name that is in both has an object', () => {
    fc.assert(
      fc.property(listings, listings, (old, now) => {
        state.sql.exec('DELETE FROM inode WHERE parent IS NOT NULL OR ino <> 1');
        table = new InodeTable(state.sql);
        merge(old);
        const before = byName();
        const seen: Map<string, string>[] = [];
        merge(now, () => seen.push(byName()));
        const after = byName();
        const kept = [...before.keys()].filter((name) => after.has(name));
        const ids = [...before.values()].filter((id) => now.some((entry) => entry.id === id));
        for (const moment of seen) {
          expect(kept.filter((name) => !moment.has(name))).toEqual([]);
          const there = new Set(moment.values());
          expect(ids.filter((id) => !there.has(id))).toEqual([]);
        }
        expect([...after.values()].toSorted()).toEqual(now.map(({ id }) => id).toSorted());
      }),
      { numRuns: 500 },
    );
  });

  it('the result is the same as in one piece', () => {
    fc.assert(
      fc.property(listings, listings, (old, now) => {
        const results = [1, 2, 1000].map((size) => {
          state.sql.exec('DELETE FROM inode WHERE parent IS NOT NULL OR ino <> 1');
          table = new InodeTable(state.sql);
          merge(old, undefined, size);
          const { names: told } = merge(now, undefined, size);
          return [[...byName()].toSorted(), [...told].toSorted()];
        });
        expect(results[0]).toEqual(results[2]);
        expect(results[1]).toEqual(results[2]);
      }),
      { numRuns: 300 },
    );
  });

  it('a file whose content is not stored yet keeps its name, and exists once', () => {
    merge(listing('1a', '2b'));
    let done = false;
    merge(listing('1a', '3new', '4z'), () => {
      if (!done) table.insert({ parent: root, name: 'new', kind: 'file', localSize: 3 });
      done = true;
    });
    expect([...byName()].toSorted()).toEqual([
      ['a', '1'],
      ['new', 'local'],
      ['z', '4'],
    ]);
  });

  it.each(Array.from({ length: 30 }, (_, at) => at))('what this mount does after piece %i wins', (at) => {
    merge(listing('1a', '2b', '3c', '4d'));
    let piece = 0;
    const now = [file('1', 'a', 2000), file('2', 'b2'), file('3', 'c'), file('5', 'c2'), file('4', 'd')];
    merge(now, () => {
      if (piece++ !== at) return;
      const of = (id: string): Inode => table.byRemote('file', id) as Inode;
      table.update(of('1').ino, { parent: null, remote: null });
      changes.note('file', '1');
      table.update(of('4').ino, { parent: null, remote: null });
      changes.note('file', '4');
      table.update(of('3').ino, { name: 'd', remote: file('3', 'd') });
      changes.note('file', '3');
      table.insert({ parent: root, name: 'made', kind: 'file', remote: file('6', 'made') });
      changes.note('file', '6');
    });
    if (piece <= at) return;
    expect([...byName()].toSorted()).toEqual([
      ['b2', '2'],
      ['c2', '5'],
      ['d', '3'],
      ['made', '6'],
    ]);
  });

  it('a crash leaves the directory with its old listing time, and the next listing repairs it', () => {
    merge(listing('1a', '2b', '3c'));
    const order = { changes, since: changes.begin() };
    const work = merging(table, root, listing('2a', '1b', '4d'), order, 9000, false, new Pieces(1));
    for (let i = 0; i < 14; i++) table.transaction(() => work.next());
    const again = new InodeTable(state.sql);
    expect(again.get(root)?.listedAt).toBe(5000);
    expect(again.child(root, 'a')).toBeDefined();
    expect(again.child(root, 'b')).toBeDefined();
    work.return(undefined as never);
    changes.end();
    table = again;
    merge(listing('2a', '1b', '4d'));
    expect([...byName()].toSorted()).toEqual([
      ['a', '2'],
      ['b', '1'],
      ['d', '4'],
    ]);
  });

  it('a merge that fails stops watching for changes', () => {
    const order = { changes, since: changes.begin() };
    const work = merging(table, root, listing('1a', '2b'), order, 9000, false, new Pieces(1));
    table.transaction(() => work.next());
    work.return(undefined as never);
    const watch = table.watch(root);
    table.insert({ parent: root, name: 'x', kind: 'file' });
    expect([...watch.names]).toEqual(['x']);
    table.unwatch(root, watch);
  });
});

describe('other work waits for one piece at most', () => {
  const many = Array.from({ length: 5 * entriesPerTurn }, (_, i) => file(`id${i}`, `name ${i}`));

  /** The most calls of table methods that change or read a row between two turns of the event loop. */
  async function busiest(work: () => Promise<unknown>): Promise<number> {
    let calls = 0;
    let most = 0;
    for (const method of ['insert', 'insertListed', 'update', 'peek'] as const) {
      const inner = table[method].bind(table) as (...parameters: unknown[]) => unknown;
      Object.assign(table, {
        [method]: (...parameters: unknown[]) => {
          calls += method === 'insertListed' ? (parameters[1] as unknown[]).length : 1;
          most = Math.max(most, calls);
          return inner(...parameters);
        },
      });
    }
    let isOver = false;
    const onTurn = (): void => {
      calls = 0;
      if (!isOver) setImmediate(onTurn);
    };
    setImmediate(onTurn);
    await work();
    isOver = true;
    expect(most).toBeGreaterThan(0);
    return most;
  }
  const listed = (entries: readonly RemoteEntry[]) =>
    mergeListing(table, root, entries, { changes, since: changes.begin() }, 1);

  // A row may be touched twice for one entry: it loses one name and gets another. The counter may be reset one turn late.
  const bound = 4 * entriesPerTurn + 10;

  it.each<[string, RemoteEntry[], RemoteEntry[]]>([
    ['new', [], many],
    ['the same', many, many],
    ['changed', many, many.map((entry) => ({ ...entry, modified: 2000 }))],
    ['gone', many, []],
    ['replaced by others of the same names', many, many.map((entry) => ({ ...entry, id: `new ${entry.id}` }))],
    ['all of one name', [], many.map((entry) => ({ ...entry, name: 'same' }))],
  ])('when all are %s', async (_what, before, now) => {
    await listed(before);
    expect(await busiest(() => listed(now))).toBeLessThan(bound);
    expect(table.children(root)).toHaveLength(now.length);
  });

  it('when the directory is read', async () => {
    await listed(many);
    const read = (): Promise<string[]> => inTurns(scanning(table, root, ({ name }) => name, new Pieces()));
    expect(await busiest(read)).toBeLessThan(bound);
  });
});

describe('a directory that is read in pieces', () => {
  it('has the state at the end of the last piece, ordered by inode number', () => {
    const count = 2 * entriesPerTurn;
    merge(
      Array.from({ length: count }, (_, i) => file(`id${i}`, `n${String(i).padStart(5, '0')}`)),
      undefined,
      1000,
    );
    const elsewhere = table.insert({ parent: null, name: 'away', kind: 'file', remote: file('away', 'away') });
    const other = table.insert({ parent: root, name: 'zdir', kind: 'directory' });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(count - 1), fc.nat(5)), { maxLength: 12 }), (steps) => {
        const work = scanning(table, root, ({ ino, name }) => `${ino} ${name}`, new Pieces(200));
        const inos = table.children(root).map(({ ino }) => ino);
        let made = 0;
        for (;;) {
          const piece = work.next();
          if (piece.done === true) {
            expect(piece.value).toEqual(table.children(root).map(({ ino, name }) => `${ino} ${name}`));
            return;
          }
          const [which, what] = steps[made++] ?? [0, 5];
          const ino = inos[which] ?? 0;
          if (table.get(ino)?.kind !== 'file') continue;
          if (what === 0) table.update(ino, { parent: root, name: `a moved ${ino} ${made}` });
          if (what === 1) table.update(ino, { parent: root, name: `z moved ${ino} ${made}` });
          if (what === 2) table.update(ino, { parent: other.ino, name: `${ino}` });
          if (what === 3) table.insert({ parent: root, name: `made ${Date.now()} ${Math.random()}`, kind: 'file' });
          if (what === 4) table.update(elsewhere.ino, { parent: root, name: `came ${made}` });
        }
      }),
      { numRuns: 60 },
    );
  });
});
