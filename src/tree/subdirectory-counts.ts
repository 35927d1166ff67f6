import { lruOf } from '../base/lru.js';
import type { Sql, Statement } from '../base/sqlite.js';
import type { Ino, InodeKind } from './inode.js';

/** Counts kept in memory, about 50 bytes each. */
const CACHED_COUNTS = 32_768;

/** How many directories lie in a directory, for the link count that `stat` shows. */
export class SubdirectoryCounts {
  readonly #count: Statement;
  readonly #known = lruOf<Ino, number>(CACHED_COUNTS);

  constructor(sql: Sql) {
    this.#count = sql.prepare('SELECT COUNT(*) FROM inode WHERE parent = ? AND kind = 1').pluck();
  }

  /** A query at the first call only. */
  of(directory: Ino): number {
    const known = this.#known.get(directory);
    if (known !== undefined) return known;
    const count = this.#count.get(directory) as number;
    this.#known.set(directory, count);
    return count;
  }

  /** A row came, or has another parent. */
  moved(kind: InodeKind, from: Ino | null, to: Ino | null): void {
    if (kind !== 'directory' || from === to) return;
    this.#add(from, -1);
    this.#add(to, 1);
  }

  #add(parent: Ino | null, change: number): void {
    const count = parent === null ? undefined : this.#known.peek(parent);
    if (parent !== null && count !== undefined) this.#known.set(parent, count + change);
  }

  /** A transaction was rolled back, or rows were removed. */
  clear(): void {
    this.#known.clear();
  }
}
