import { lruOf } from '../base/lru.js';
import type { Sql, Statement } from '../base/sqlite.js';
import type { Ino, InodeKind } from './inode.js';

/** The number of counts in memory, about 50 bytes each. */
const CACHED_COUNTS = 32_768;

/** The number of directories in a directory, for the link count that `stat` shows. */
export class SubdirectoryCounts {
  readonly #count: Statement;
  readonly #known = lruOf<Ino, number>(CACHED_COUNTS);

  constructor(sql: Sql) {
    this.#count = sql.prepare('SELECT COUNT(*) FROM inode WHERE parent = ? AND kind = 1').pluck();
  }

  /** Only the first call costs a query. */
  of(directory: Ino): number {
    const known = this.#known.get(directory);
    if (known !== undefined) return known;
    const count = this.#count.get(directory) as number;
    this.#known.set(directory, count);
    return count;
  }

  /** Notes that a row is new, or has another parent. */
  moved(kind: InodeKind, from: Ino | null, to: Ino | null): void {
    if (kind !== 'directory' || from === to) return;
    this.#add(from, -1);
    this.#add(to, 1);
  }

  #add(parent: Ino | null, change: number): void {
    const count = parent === null ? undefined : this.#known.peek(parent);
    if (parent !== null && count !== undefined) this.#known.set(parent, count + change);
  }

  /** Drops the counts after a rollback, or after rows were removed. */
  clear(): void {
    this.#known.clear();
  }
}
