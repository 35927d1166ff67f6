/**
 * Deferred entries of inodes with many names (hard links). The entry of the first name lists all further names, so writing it at each of
 * ten thousand links would take as long as writing a hundred million names. So it is written once, just before the store's files. Until
 * then a row of the state marks it as due; the transaction that changes the names writes this row.
 */
import type { Sql, Statement } from '../../base/sqlite.js';
import type { Ino } from '../../tree/inode.js';

/** With more further names than this the entry is deferred. */
const MANY_NAMES = 32;

const prefix = 'metadata names of ';

export class DeferredNames {
  readonly #put: Statement;
  readonly #remove: Statement;
  /** The deferred inodes; true if the entries of their further names are due, too. */
  readonly #due: Map<Ino, boolean>;

  constructor(sql: Sql) {
    this.#put = sql.prepare('INSERT OR REPLACE INTO memory (name, value) VALUES (?, ?)');
    this.#remove = sql.prepare('DELETE FROM memory WHERE name = ?');
    const rows = sql.prepare('SELECT name, value FROM memory WHERE name >= ? AND name < ?').raw();
    const found = rows.all(prefix, `${prefix}~`) as [string, string][];
    this.#due = new Map(found.map(([name, value]) => [Number(name.slice(prefix.length)), value === 'true']));
  }

  static areMany({ furtherNames }: { readonly furtherNames: number }): boolean {
    return furtherNames > MANY_NAMES;
  }

  get size(): number {
    return this.#due.size;
  }

  /** Marks an entry as due. `withAliases`: the first name has changed, which all alias entries tell. Part of the caller's transaction. */
  add(ino: Ino, withAliases: boolean): void {
    const all = withAliases || this.#due.get(ino) === true;
    this.#due.set(ino, all);
    this.#put.run(`${prefix}${ino}`, String(all));
  }

  /** Takes the next inode out. Its row stays until `done`, in case the process dies in between. */
  next(): { readonly ino: Ino; readonly withAliases: boolean } | undefined {
    for (const [ino, withAliases] of this.#due) {
      this.#due.delete(ino);
      return { ino, withAliases };
    }
    return undefined;
  }

  /** Removes the inode's row, unless it was added again meanwhile. */
  done(ino: Ino): void {
    if (!this.#due.has(ino)) this.#remove.run(`${prefix}${ino}`);
  }
}
