/**
 * Inodes with many names (hard links). The entry of the first name lists all others, so to write it with each of ten thousand links would
 * take as long as a hundred million names. It is written once, before the store's files are; until then a row of the state says that it
 * is to be, in the transaction that changed the names.
 */
import type { Sql, Statement } from '../../base/sqlite.js';
import type { Ino } from '../../tree/inode.js';

/** Above so many further names the entry is put off. */
const MANY_NAMES = 32;

const prefix = 'metadata names of ';

export class PutOffNames {
  readonly #put: Statement;
  readonly #remove: Statement;
  /** Is the entry of each further name to be written, too? */
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

  /** `withAliases`: the first name has changed, of which all entries tell. Part of the caller's transaction. */
  add(ino: Ino, withAliases: boolean): void {
    const all = withAliases || this.#due.get(ino) === true;
    this.#due.set(ino, all);
    this.#put.run(`${prefix}${ino}`, String(all));
  }

  /** Takes the next one out; the row stays until `done`, for a process that dies in between. */
  next(): { readonly ino: Ino; readonly withAliases: boolean } | undefined {
    for (const [ino, withAliases] of this.#due) {
      this.#due.delete(ino);
      return { ino, withAliases };
    }
    return undefined;
  }

  /** Unless it was added again meanwhile. */
  done(ino: Ino): void {
    if (!this.#due.has(ino)) this.#remove.run(`${prefix}${ino}`);
  }
}
