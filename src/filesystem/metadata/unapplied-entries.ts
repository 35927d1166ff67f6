/**
 * Finds the entries of a folder that its inodes do not show yet. SQLite compares, so that only those entries are read. After most listings
 * there are none, and this query is all the work.
 */
import type { Sql, Statement } from '../../base/sqlite.js';
import type { Ino } from '../../tree/inode.js';

/** An entry of one machine, with its clock. */
export interface UnappliedEntry {
  readonly name: string;
  /** The object's id; null if the entry has none. */
  readonly id: string | null;
  readonly wall: number;
  readonly counter: number;
}

export interface UnappliedPage {
  /** In the order of the names; also entries whose object has another name here. */
  readonly entries: readonly UnappliedEntry[];
  /** The start of the next page: the last name of this one. Null at the end. */
  readonly next: string | null;
}

/** A folder of the service, and the directory that shows it. */
export interface ListedFolder {
  readonly folder: string;
  readonly directory: Ino;
}

export class UnappliedEntries {
  readonly #own: Queries;
  readonly #others: Queries;

  constructor(sql: Sql) {
    this.#own = queriesOf(sql, 'metadata_own', 'x.folder = @folder');
    this.#others = queriesOf(sql, 'metadata_other', 'x.folder = @folder AND x.machine = @machine');
  }

  /** The unapplied ones of the first `limit` entries after a name. `of`: the machine that wrote them; `isOwn`: this machine. */
  after(of: string, isOwn: boolean, shown: ListedFolder, name: string, limit: number): UnappliedPage {
    const { last, unapplied } = isOwn ? this.#own : this.#others;
    const next = last.get({ ...shown, machine: of, after: name, skipped: limit - 1 }) as string | undefined;
    const entries = unapplied.all({ ...shown, machine: of, after: name, last: next ?? null }) as UnappliedEntry[];
    return { entries, next: next ?? null };
  }
}

interface Queries {
  readonly last: Statement;
  readonly unapplied: Statement;
}

function queriesOf(sql: Sql, table: string, where: string): Queries {
  const last = sql
    .prepare(
      `SELECT x.name FROM ${table} AS x WHERE ${where} AND x.name > @after ORDER BY x.name LIMIT 1 OFFSET @skipped`,
    )
    .pluck();
  // Compares like `compareTimes`. A NULL in it means that the entry is not shown. In `coalesce`: every text is less than a blob.
  const isShown = `(x.id IS NULL OR x.id = i.remote_id) AND (r.wall, r.counter, r.machine) >= (x.wall, x.counter, @machine)`;
  const unapplied = sql.prepare(
    `SELECT x.name, x.id, x.wall, x.counter FROM ${table} AS x
     LEFT JOIN inode AS i ON i.parent = @directory AND i.name = x.name
     LEFT JOIN metadata_row AS r ON r.ino = i.ino
     WHERE ${where} AND x.name > @after AND x.name <= coalesce(@last, x'') AND (${isShown}) IS NOT TRUE
     ORDER BY x.name`,
  );
  return { last, unapplied };
}
