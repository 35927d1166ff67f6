import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { openDatabase, type Sql, type StateDatabase, type Statement } from '../base/sqlite.js';

const cacheMigrations = [
  `
  CREATE TABLE revision (
    key     TEXT PRIMARY KEY,
    size    INTEGER NOT NULL,       -- bytes of the whole revision
    blocks  BLOB,                   -- BlockMap.encode(); NULL: being written, not to be trusted
    used_at INTEGER NOT NULL        -- ms
  ) WITHOUT ROWID;
  `,
  `
  ALTER TABLE revision ADD COLUMN checked INTEGER NOT NULL DEFAULT 0; -- 1: confirmed, see ContentCheck
  `,
  `
  ALTER TABLE revision ADD COLUMN stamp TEXT; -- of its file, when every block was there and seen to be sound; NULL: not so
  `,
  `
  ALTER TABLE revision ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0; -- 1: outside of the limit, see cache-space.ts
  `,
  `
  ALTER TABLE revision RENAME COLUMN checked TO confirmed;
  ALTER TABLE revision RENAME COLUMN stamp TO fingerprint;
  `,
];

export interface RevisionRow {
  readonly key: string;
  readonly size: number;
  readonly blocks: Uint8Array | null;
  readonly used_at: number;
  readonly confirmed: 0 | 1;
  readonly fingerprint: string | null;
  readonly pinned: 0 | 1;
}

/** `isPresent`: whether the only block of a revision is present. Null: the map has more than one block, so the whole row must be read. */
export type BriefRow = readonly [key: string, size: number, usedAt: number, pinned: 0 | 1, isPresent: 0 | 1 | null];

/** The table of cached revisions, with the presence and CRC of their blocks. Losing it costs downloads, nothing else. */
export class CacheIndex {
  readonly #page: Statement;
  readonly #total: Statement;
  readonly #one: Statement;
  readonly #put: Statement;
  readonly #touch: Statement;
  readonly #pin: Statement;
  readonly #delete: Statement;

  constructor(sql: Sql) {
    // A map of one block is four bytes of CRC and one byte of presence: BlockMap.encode().
    this.#page = sql
      .prepare(`
        SELECT key, size, used_at, pinned, CASE WHEN length(blocks) = 5 THEN substr(blocks, 5) = x'01' END
        FROM revision WHERE key > ? ORDER BY key LIMIT ?
      `)
      .raw();
    this.#total = sql.prepare('SELECT count(*), coalesce(sum(size), 0) FROM revision').raw();
    this.#one = sql.prepare('SELECT * FROM revision WHERE key = ?');
    this.#put = sql.prepare(`
      INSERT OR REPLACE INTO revision (key, size, blocks, used_at, confirmed, fingerprint, pinned)
      VALUES (@key, @size, @blocks, @used_at, @confirmed, @fingerprint, @pinned)
    `);
    this.#touch = sql.prepare('UPDATE revision SET used_at = ?, fingerprint = ? WHERE key = ?');
    this.#pin = sql.prepare('UPDATE revision SET pinned = ? WHERE key = ?');
    this.#delete = sql.prepare('DELETE FROM revision WHERE key = ?');
  }

  /** Up to `count` rows after a key, by key, without their maps: a hundred thousand maps are a second of garbage collection. */
  page(after: string, count: number): BriefRow[] {
    return this.#page.all(after, count) as BriefRow[];
  }

  /** The number of revisions, and the sum of their sizes in bytes. */
  total(): readonly [count: number, bytes: number] {
    return this.#total.get() as [number, number];
  }

  get(key: string): RevisionRow | undefined {
    return this.#one.get(key) as RevisionRow | undefined;
  }

  put(row: RevisionRow): void {
    this.#put.run(row);
  }

  touch(key: string, usedAt: number, fingerprint: string | null): void {
    this.#touch.run(usedAt, fingerprint, key);
  }

  /** Does nothing for a revision without a row. */
  pin(key: string, pinned: 0 | 1): void {
    this.#pin.run(pinned, key);
  }

  delete(key: string): void {
    this.#delete.run(key);
  }
}

/**
 * Opens the cache index. If it cannot be read, it is removed together with the blocks and made anew. If that fails too (a
 * read-only disk), the mount works without a cache. Throws if another process has the index open (`locked`).
 */
export function openIndex(directory: string, log: Log): { database: StateDatabase; isUsable: boolean } {
  const open = (): { database: StateDatabase; isUsable: boolean } => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return { database: openDatabase(join(directory, 'index.db'), cacheMigrations), isUsable: true };
  };
  try {
    return open();
  } catch (error) {
    if (codeOf(error) === 'locked') throw error;
    log.warn({ directory }, `the cache is rebuilt: ${messageOf(error)}`);
  }
  try {
    rmSync(directory, { recursive: true, force: true });
    return open();
  } catch (error) {
    log.error({ directory }, `nothing is cached: ${messageOf(error)}`);
    return { database: openDatabase(':memory:', cacheMigrations), isUsable: false };
  }
}
