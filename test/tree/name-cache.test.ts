import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import { InodeTable } from '../../src/tree/inode-table.js';
import { MAX_NAMES, MIN_LOOKUPS, NameCache, readableAt } from '../../src/tree/name-cache.js';
import { stateMigrations } from '../../src/tree/state-schema.js';

describe('names in memory', () => {
  const named = (parent: number | null, name: string) => ({ parent, name });
  let limits: number[];
  let inDirectory: [string, number][];
  let cache: NameCache;
  const ask = (times: number) => {
    for (let i = 1; i < times; i++) cache.namesIn(1);
    return cache.namesIn(1);
  };

  beforeEach(() => {
    limits = [];
    inDirectory = [['a', 10]];
    cache = new NameCache((_, limit) => {
      limits.push(limit);
      return inDirectory.slice(0, limit);
    });
  });

  it('are read once a directory has many look-ups, and not before', () => {
    expect(ask(MIN_LOOKUPS - 1)).toBeUndefined();
    expect(limits).toEqual([]);
    expect([...(ask(1) ?? [])]).toEqual([['a', 10]]);
    ask(1000);
    expect(limits).toEqual([MIN_LOOKUPS + 1]);
  });

  it.each([
    [0, 0],
    [MIN_LOOKUPS / 2, 0],
    [MIN_LOOKUPS, MIN_LOOKUPS],
    [MIN_LOOKUPS + 1, 0],
    [MIN_LOOKUPS * 2, MIN_LOOKUPS * 2],
    [MAX_NAMES, MAX_NAMES],
    [MAX_NAMES * 2, 0],
  ])('at look-up %i up to %i of them may be read', (asked, most) => {
    expect(readableAt(asked)).toBe(most);
  });

  it('are cached once there were as many look-ups as names', () => {
    inDirectory = Array.from({ length: 200 }, (_, i) => [`f${i}`, i]);
    expect(ask(255)).toBeUndefined();
    expect(ask(1)?.size).toBe(200);
  });

  it('are not cached for a directory with very many names, however many look-ups it has', () => {
    inDirectory = Array.from({ length: MAX_NAMES + 1 }, (_, i) => [`f${i}`, i]);
    expect(ask(MAX_NAMES)).toBeUndefined();
    limits = [];
    expect(ask(3 * MAX_NAMES)).toBeUndefined();
    expect(limits).toEqual([]);
  });

  it('are dropped when a directory grows beyond that', () => {
    inDirectory = Array.from({ length: MAX_NAMES }, (_, i) => [`f${i}`, i]);
    expect(ask(MAX_NAMES)?.size).toBe(MAX_NAMES);
    cache.moved(99_999, null, named(1, 'one more'));
    expect(cache.namesIn(1)).toBeUndefined();
  });

  it('follow creations, renames, moves and removals', () => {
    ask(MIN_LOOKUPS);
    cache.moved(11, null, named(1, 'b'));
    cache.moved(10, named(1, 'a'), named(1, 'c'));
    expect([...(cache.namesIn(1) ?? [])]).toEqual([
      ['b', 11],
      ['c', 10],
    ]);
    cache.moved(11, named(1, 'b'), named(2, 'b'));
    cache.moved(10, named(1, 'c'), named(null, 'c'));
    expect([...(cache.namesIn(1) ?? [])]).toEqual([]);
  });

  it('are right after two objects have exchanged their names, in either order', () => {
    inDirectory = [
      ['a', 10],
      ['b', 11],
    ];
    ask(MIN_LOOKUPS);
    cache.moved(10, named(1, 'a'), named(1, 'b'));
    cache.moved(11, named(1, 'b'), named(1, 'a'));
    expect(new Map(cache.namesIn(1))).toEqual(
      new Map([
        ['a', 11],
        ['b', 10],
      ]),
    );
  });
});

describe('a child found through the names in memory', () => {
  let database: StateDatabase;
  beforeEach(() => {
    database = openDatabase(':memory:', stateMigrations);
  });
  afterEach(() => database.close());

  const names = ['a', 'b', 'c'];
  const directories = [1, 2];
  const name = fc.constantFrom(...names);
  const directory = fc.constantFrom(...directories, null);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('make' as const), directory: fc.constantFrom(...directories), name }),
    fc.record({ kind: fc.constant('move' as const), which: fc.nat(), directory, name }),
    fc.record({ kind: fc.constant('exchange' as const), which: fc.nat(), other: fc.nat() }),
    fc.record({ kind: fc.constant('undone' as const), which: fc.nat(), directory, name }),
  );

  it('is the one that the database holds, whatever was done', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const { sql } = database;
        sql.exec('DELETE FROM inode');
        const table = new InodeTable(sql);
        const inDatabase = sql.prepare('SELECT ino FROM inode WHERE parent = ? AND name = ?').pluck();
        const made: number[] = [];
        const pick = (which: number) => made[which % made.length] ?? 0;
        for (const parent of directories) for (let i = 0; i < MIN_LOOKUPS; i++) table.child(parent, 'a');
        const isFree = (parent: number | null, name: string) =>
          parent === null || table.child(parent, name) === undefined;
        for (const step of steps) {
          if (step.kind === 'make') {
            if (isFree(step.directory, step.name))
              made.push(table.insert({ kind: 'file', parent: step.directory, name: step.name }).ino);
          } else if (made.length === 0) {
            continue;
          } else if (step.kind === 'exchange') {
            const [one, other] = [table.get(pick(step.which)), table.get(pick(step.other))];
            if (one === undefined || other === undefined) continue;
            table.transaction(() => {
              table.update(one.ino, { parent: null });
              table.update(other.ino, { parent: one.parent, name: one.name });
              if (one.ino !== other.ino) table.update(one.ino, { parent: other.parent, name: other.name });
            });
          } else if (isFree(step.directory, step.name)) {
            const move = () => table.update(pick(step.which), { parent: step.directory, name: step.name });
            if (step.kind === 'move') move();
            else
              expect(() =>
                table.transaction(() => {
                  move();
                  throw new Error('undone');
                }),
              ).toThrow('undone');
          }
          for (const parent of directories) {
            for (const name of names) {
              expect(table.child(parent, name)?.ino).toBe(inDatabase.get(parent, name));
            }
          }
        }
      }),
    );
  });
});
