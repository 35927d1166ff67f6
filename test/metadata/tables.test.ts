/** Look-ups in the tables of the metadata cost the same in a folder of ten entries and of a hundred thousand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openDatabase, type Sql } from '../../src/base/sqlite.js';
import { lineOf, type MetadataEntry, type NamePlace } from '../../src/metadata/entry.js';
import { MetadataTables } from '../../src/metadata/tables.js';
import { stateMigrations } from '../../src/tree/state-schema.js';

/** How SQLite finds the rows of each statement that the call prepares: https://sqlite.org/eqp.html */
function plansOf(call: (tables: MetadataTables) => unknown): string[] {
  const state = openDatabase(':memory:', stateMigrations);
  try {
    const texts: string[] = [];
    const recording = new Proxy(state.sql, {
      get(sql, property) {
        if (property !== 'prepare') return Reflect.get(sql, property) as unknown;
        return (text: string) => {
          texts.push(text);
          return sql.prepare(text);
        };
      },
    }) as Sql;
    call(new MetadataTables(recording));
    expect(texts).not.toEqual([]);
    return texts.flatMap((text) => {
      const places = Array.from(text.match(/\?/g) ?? [], () => null);
      const named = Object.fromEntries(Array.from(text.matchAll(/@(\w+)/g), ([, name]) => [name, null]));
      const values = text.includes('@') ? [named] : places;
      const rows = state.sql.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...values) as { detail: string }[];
      return rows.map(({ detail }) => detail).filter((detail) => /^(SEARCH|SCAN)/.test(detail));
    });
  } finally {
    state.close();
  }
}

it.each<[string, (tables: MetadataTables) => unknown]>([
  ['the entries of a name', (tables) => tables.entriesOfName('f', 'n')],
  ['whether others know a name', (tables) => tables.isKnownToOthers('f', 'n')],
  ['whether they know it as it was', (tables) => tables.isOlderElsewhere('f', 'n')],
])('finds %s by folder and name', (_, call) => {
  for (const detail of plansOf(call)) expect(detail).toMatch(/^SEARCH .*\(.*folder=\? AND name=\?/);
});

it('finds the entries of some names by folder and name', () => {
  const ofNames = plansOf((tables) => tables.entriesOfNames('f', ['n', 'o'])).filter(
    (detail) => !/^SCAN n\b/.test(detail),
  );
  expect(ofNames).toHaveLength(2);
  for (const detail of ofNames) expect(detail).toMatch(/^SEARCH .*\(.*folder=\? AND name=\?/);
});

it('finds of some names what entriesOfName finds of each', () => {
  const state = openDatabase(':memory:', stateMigrations);
  try {
    const tables = new MetadataTables(state.sql);
    tables.machine = 'this';
    const entry = (folder: string, name: string, wall: number): MetadataEntry => ({
      folder,
      name,
      kind: 'file',
      clock: [wall, 0],
    });
    const put = (machine: string, of: MetadataEntry): void =>
      tables.putOthers(machine, 1, [{ entry: of, line: lineOf(of) }]);
    for (const name of ['a', 'c', 'd']) tables.putOwn(entry('f', name, 1));
    for (const name of ['a', 'b', 'd', 'e']) put('m', { ...entry('f', name, 2), ...(name === 'd' && { gone: true }) });
    for (const name of ['b', 'c']) put('n', entry('f', name, 3));
    put('n', entry('g', 'a', 4));
    for (const names of [['a', 'b'], ['d'], ['c', 'e', 'none'], []]) {
      const one = names.flatMap((name) => tables.entriesOfName('f', name));
      const atOnce = tables.entriesOfNames('f', names);
      expect(new Set(atOnce.map((timed) => JSON.stringify(timed)))).toEqual(
        new Set(one.map((timed) => JSON.stringify(timed))),
      );
      expect(atOnce).toHaveLength(one.length);
    }
    expect(tables.entriesOfNames('f', ['a', 'b'])).toHaveLength(4);
    expect([tables.hasEntriesOf('f'), tables.hasEntriesOf('g'), tables.hasEntriesOf('h')]).toEqual([true, true, false]);
  } finally {
    state.close();
  }
});

it.each<[string, (tables: MetadataTables) => unknown]>([
  ['the entries of a folder', (tables) => tables.entriesOf('f')],
  ['the machines that know a folder', (tables) => tables.machinesOf('f')],
  ['removals in a folder', (tables) => tables.supersededIn('f')],
  ['whether anything is known of a folder', (tables) => tables.hasEntriesOf('f')],
])('finds %s by folder', (_, call) => {
  for (const detail of plansOf(call)) expect(detail).toMatch(/^SEARCH .*\(.*folder=\?/);
});

it('finds what tells of the names of an object, and an object that is an entry alone, by its id', () => {
  for (const detail of plansOf((tables) => tables.soughtByObject('i'))) expect(detail).toMatch(/^SEARCH .*\(id=\?\)/);
  for (const detail of plansOf((tables) => tables.entriesOfObject('empty:0')))
    expect(detail).toMatch(/^SEARCH .*\(id=\?\)/);
});

it('finds all entries of an object by its id in each pack, for which no index is changed all over with each pack', () => {
  const [own, packs, ofPack] = plansOf((tables) => tables.entriesOfObject('i'));
  expect([own, packs]).toEqual([expect.stringMatching(/^SEARCH .*\(id=\?\)/), 'SCAN p']);
  expect(ofPack).toMatch(/^SEARCH .*\(machine=\? AND pack=\? AND id=\?\)/);
});

it('finds the entries that an earlier version has read', () => {
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  const path = join(directory, 'state.db');
  const lines: MetadataEntry[] = [
    { folder: 'f', name: 'plain', kind: 'file', clock: [2, 1], id: 'i1', mode: '0600' },
    { folder: 'f', name: 'first', kind: 'file', clock: [2, 2], id: 'i2', names: [place('also')] },
    { folder: 'g', name: 'also', kind: 'file', clock: [2, 3], id: 'i2', alias: true, of: place('first') },
    { folder: 'f', name: 'nothing', kind: 'file', clock: [2, 4], id: 'empty:00' },
    { folder: 'f', name: 'removed', kind: 'file', clock: [2, 5], gone: true },
  ];
  try {
    const before = stateMigrations.findIndex((step) => step.includes('metadata_another'));
    const old = openDatabase(path, stateMigrations.slice(0, before));
    const put = old.sql.prepare(
      'INSERT INTO metadata_other (machine, folder, name, id, pack, wall, counter, body) VALUES (?, ?, ?, ?, 1, ?, ?, ?)',
    );
    for (const entry of lines) put.run('m', entry.folder, entry.name, entry.id ?? null, ...entry.clock, lineOf(entry));
    old.sql.prepare("INSERT INTO metadata_other_pack (machine, pack, file) VALUES ('m', 1, '{}')").run();
    old.close();
    const state = openDatabase(path, stateMigrations);
    const tables = new MetadataTables(state.sql);
    const entries = (found: readonly { readonly entry: MetadataEntry }[]) => found.map(({ entry }) => entry);
    for (const entry of lines) expect(entries(tables.entriesOfName(entry.folder, entry.name))).toEqual([entry]);
    expect(entries(tables.entriesOfObject('i1'))).toEqual([lines[0]]);
    expect(entries(tables.soughtByObject('i1'))).toEqual([]);
    expect(new Set(entries(tables.soughtByObject('i2')))).toEqual(new Set(lines.slice(1, 3)));
    expect(entries(tables.entriesOfObject('empty:00'))).toEqual([lines[3]]);
    tables.putOwn({ folder: 'f', name: 'removed', kind: 'file', clock: [1, 0] });
    expect(tables.supersededIn('f')).toEqual(['removed']);
    expect(tables.otherNames('m', 1)).toHaveLength(lines.length);
    state.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});

function place(name: string): NamePlace {
  return { folder: 'f', name, path: [['f', '/']] };
}
