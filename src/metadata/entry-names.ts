/** Finds entries of all machines by a prefix of their name or of their object's id. */
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

  /** The names of entries with such an object's id. */
  withIds(folder: string, prefix: string): string[] {
    return this.#byId.all({ folder, ...rangeOf(prefix) }) as string[];
  }
}

/** The half-open range in which all texts with this ASCII prefix sort. */
function rangeOf(prefix: string): { from: string; to: string } {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { from: prefix, to: prefix.slice(0, -1) + String.fromCharCode(last + 1) };
}
