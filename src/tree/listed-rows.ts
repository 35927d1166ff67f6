import type { Sql, Statement } from '../base/sqlite.js';
import type { RemoteEntry } from '../providers/provider.js';
import { emptyOverlay, type Ino, type Overlay } from './inode.js';
import { addListedParameters, insertListed, type RowParameters } from './rows.js';

/** A listed object, and the name that its new row gets. */
export interface ListedRow {
  readonly name: string;
  readonly entry: RemoteEntry;
}

/** What new rows begin with, beyond what the listing says of their objects. */
export interface FirstAttributes {
  /** In the order of the rows; null: the defaults. */
  readonly overlays: readonly (Overlay | null)[];
  /** Called in the same transaction with the number of each row; undefined: the object is known, and no row was inserted. */
  inserted(inos: readonly (Ino | undefined)[]): void;
}

/** Rows of one statement, by size. More than 64 gain nothing; what is left over goes one size down. */
const sizes = [64, 8, 1];

/**
 * Inserts the new objects of a listing, many rows in one statement. To ask for each object first whether it is known would take as long
 * as the insertion; the indexes tell that anyway.
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
   * Answers the number of each new row, in the order of `rows`. Undefined where the object is known, wherever it lies: that row is not
   * inserted. No row of the directory may have one of the names.
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
        // The numbers of one statement follow each other, as long as it left none out.
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
