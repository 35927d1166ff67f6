/** Look-ups in the tables of the metadata cost the same in a folder of ten entries and of a hundred thousand. */
import { expect, it } from 'vitest';
import { openDatabase, type Sql } from '../../src/base/sqlite.js';
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
      const rows = state.sql.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...places) as { detail: string }[];
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

it.each<[string, (tables: MetadataTables) => unknown]>([
  ['the entries of a folder', (tables) => tables.entriesOf('f')],
  ['the machines that know a folder', (tables) => tables.machinesOf('f')],
  ['removals in a folder', (tables) => tables.supersededIn('f')],
])('finds %s by folder', (_, call) => {
  for (const detail of plansOf(call)) expect(detail).toMatch(/^SEARCH .*\(.*folder=\?/);
});

it('finds the entries of an object by its id', () => {
  for (const detail of plansOf((tables) => tables.entriesOfObject('i'))) expect(detail).toMatch(/^SEARCH .*\(id=\?\)/);
});
