import type { Sql, Statement } from '../base/sqlite.js';
import type { RemoteEntry } from '../providers/provider.js';
import { emptyOverlay, type Ino, type Overlay } from './inode.js';
import { addListedParameters, insertListed, type RowParameters } from './rows.js';

/** A listed object, and the local name of its new row. */
export interface ListedRow {
  readonly name: string;
  readonly entry: RemoteEntry;
}

/** The attributes of new rows that the listing does not have. */
export interface FirstAttributes {
  /** In the order of the rows. Null: the defaults. */
  readonly overlays: readonly (Overlay | null)[];
  /** Called in the same transaction with the number of each row. Undefined: the object is known, so no row was inserted. */
  inserted(inos: readonly (Ino | undefined)[]): void;
}

/** The numbers of rows in one statement. More than 64 gain nothing; the remainder takes the next smaller size. */
const sizes = [64, 8, 1];

/**
 * Inserts the new objects of a listing, many rows in one statement. The unique index rejects objects that are known. A query for each
 * object before that would take as long as the insertion.
 */
export class ListedRows {
  readonly #statements: readonly (readonly [size: number, statement: Statement])[];
  readonly #inoOf: Statement;

  constructor(sql: Sql) {
    this.#statements = sizes.map((size) => [size, sql.prepare(insertListed(size))] as const);
    this.#inoOf = sql
      .prepare('SELECT ino FROM inode WHERE parent = ? AND name = ? AND kind = ? AND remote_id = ?')
      .pluck();
  }

  /**
   * Answers the number of each new row, in the order of `rows`. Undefined: the object is known, in any folder, so its row was not inserted.
   * No row of the directory may have one of the names.
   */
  insert(parent: Ino, rows: readonly ListedRow[], overlays: readonly (Overlay | null)[]): (Ino | undefined)[] {
    const inos: (Ino | undefined)[] = [];
    for (const [size, statement] of this.#statements)
      while (rows.length - inos.length >= size) {
        const part = rows.slice(inos.length, inos.length + size);
        const parameters: RowParameters = [];
        for (const [at, { name, entry }] of part.entries())
          addListedParameters(parameters, parent, name, entry, overlays[inos.length + at] ?? emptyOverlay);
        const { changes, lastInsertRowid } = statement.run(parameters);
        // The numbers of one statement are consecutive if it left no row out.
        const last = Number(lastInsertRowid);
        for (const [at, row] of part.entries())
          inos.push(changes === size ? last - size + 1 + at : this.#inserted(parent, row));
      }
    return inos;
  }

  #inserted(parent: Ino, { name, entry }: ListedRow): Ino | undefined {
    return this.#inoOf.get(parent, name, entry.kind === 'folder' ? 1 : 0, entry.id) as Ino | undefined;
  }
}
