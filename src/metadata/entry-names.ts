/** Finds names of entries by what their names or ids begin with. Entries of all machines. */
import type { Sql, Statement } from '../base/sqlite.js';

export class EntryNames {
  readonly #byName: Statement;
  readonly #byId: Statement;

  constructor(sql: Sql) {
    const both = (condition: string): Statement =>
      sql
        .prepare(
          `SELECT name FROM metadata_own WHERE folder = @folder AND ${condition}
           UNION SELECT name FROM metadata_other WHERE folder = @folder AND ${condition}`,
        )
        .pluck();
    this.#byName = both('name >= @from AND name < @to');
    this.#byId = both('id >= @from AND id < @to');
  }

  withPrefix(folder: string, prefix: string): string[] {
    return this.#byName.all({ folder, ...rangeOf(prefix) }) as string[];
  }

  /** Of entries whose object's id begins so. */
  withIds(folder: string, prefix: string): string[] {
    return this.#byId.all({ folder, ...rangeOf(prefix) }) as string[];
  }
}

/** Text that begins with an ASCII prefix sorts within. */
function rangeOf(prefix: string): { from: string; to: string } {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { from: prefix, to: prefix.slice(0, -1) + String.fromCharCode(last + 1) };
}
