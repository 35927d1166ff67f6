import type { Sql, Statement } from '../base/sqlite.js';

export const cacheMigrations = [
  `
  CREATE TABLE revision (
    key     TEXT PRIMARY KEY,
    size    INTEGER NOT NULL,       -- bytes of the whole revision
    blocks  BLOB,                   -- BlockMap.encode(); NULL: being written, not to be trusted
    used_at INTEGER NOT NULL        -- ms
  ) WITHOUT ROWID;
  `,
  `
  ALTER TABLE revision ADD COLUMN checked INTEGER NOT NULL DEFAULT 0; -- 1: all of it was seen to have its MD5
  `,
];

export interface RevisionRow {
  readonly key: string;
  readonly size: number;
  readonly blocks: Uint8Array | null;
  readonly used_at: number;
  readonly checked: 0 | 1;
}

/** The list of cached revisions. Losing it costs downloads, nothing else. */
export class CacheIndex {
  readonly #all: Statement;
  readonly #one: Statement;
  readonly #put: Statement;
  readonly #used: Statement;
  readonly #delete: Statement;

  constructor(sql: Sql) {
    this.#all = sql.prepare('SELECT * FROM revision ORDER BY used_at');
    this.#one = sql.prepare('SELECT * FROM revision WHERE key = ?');
    this.#put = sql.prepare(`
      INSERT OR REPLACE INTO revision (key, size, blocks, used_at, checked)
      VALUES (@key, @size, @blocks, @used_at, @checked)
    `);
    this.#used = sql.prepare('UPDATE revision SET used_at = ? WHERE key = ?');
    this.#delete = sql.prepare('DELETE FROM revision WHERE key = ?');
  }

  /** From the longest unused to the last used. */
  all(): RevisionRow[] {
    return this.#all.all() as RevisionRow[];
  }

  get(key: string): RevisionRow | undefined {
    return this.#one.get(key) as RevisionRow | undefined;
  }

  put(row: RevisionRow): void {
    this.#put.run(row);
  }

  used(key: string, usedAt: number): void {
    this.#used.run(usedAt, key);
  }

  delete(key: string): void {
    this.#delete.run(key);
  }
}
