/** What each inode shows: the time of the entry, and where this machine's own entry of it lies. A row for each inode that has one. */
import type { Sql, Statement } from '../../base/sqlite.js';
import { type LogicalTime, noTime } from '../../metadata/logical-time.js';
import type { Ino } from '../../tree/inode.js';
import type { EntryPlace } from './entry-of-inode.js';

export interface RowState {
  /** Where this machine's entry lies; null: it has none. */
  readonly place: EntryPlace | null;
  /** Of the entry that the inode shows. */
  readonly time: LogicalTime;
}

interface Raw {
  readonly ino: Ino;
  readonly folder: string | null;
  readonly name: string | null;
  readonly wall: number;
  readonly counter: number;
  readonly machine: string;
}

/** Rows of the migration that are handed out at once. */
const PAGE = 500;

export class RowStates {
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #track: Statement;
  readonly #remove: Statement;
  readonly #orphans: Statement;
  readonly #unrecorded: Statement;

  constructor(sql: Sql) {
    this.#get = sql.prepare('SELECT * FROM metadata_row WHERE ino = ?');
    this.#put = sql.prepare(
      'INSERT OR REPLACE INTO metadata_row (ino, folder, name, wall, counter, machine) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#track = sql.prepare("INSERT OR IGNORE INTO metadata_row (ino, wall, counter, machine) VALUES (?, 0, 0, '')");
    this.#remove = sql.prepare('DELETE FROM metadata_row WHERE ino = ?');
    this.#orphans = sql.prepare(
      'SELECT r.* FROM metadata_row r LEFT JOIN inode i ON i.ino = r.ino WHERE i.ino IS NULL',
    );
    // Times that nobody set are those of the last write, which the service knows to within its upload: a minute.
    this.#unrecorded = sql
      .prepare(
        `SELECT ino FROM inode WHERE ino > ? AND (parent IS NOT NULL OR remote_parent IS NULL) AND
           (mode IS NOT NULL OR uid IS NOT NULL OR gid IS NOT NULL OR kind > 1 OR further_names > 0
            OR (mtime_sec IS NOT NULL AND modified IS NOT NULL AND abs(mtime_sec - modified / 1000) > 60)
            OR EXISTS (SELECT 1 FROM xattr WHERE xattr.ino = inode.ino))
         ORDER BY ino LIMIT ${PAGE}`,
      )
      .pluck();
  }

  get(ino: Ino): RowState | undefined {
    const raw = this.#get.get(ino) as Raw | undefined;
    return raw === undefined ? undefined : stateOf(raw);
  }

  put(ino: Ino, { place, time }: RowState): void {
    this.#put.run(ino, place?.folder ?? null, place?.name ?? null, time.wall, time.counter, time.machine);
  }

  /** From now on the inode's changes are entries, also where all of its attributes but the times are the defaults. */
  track(ino: Ino): void {
    this.#track.run(ino);
  }

  remove(ino: Ino): void {
    this.#remove.run(ino);
  }

  /** Inodes that are gone. */
  orphans(): { readonly ino: Ino; readonly place: EntryPlace | null }[] {
    return (this.#orphans.all() as Raw[]).map((raw) => ({ ino: raw.ino, ...stateOf(raw) }));
  }

  /** The next inodes after `ino` whose attributes are not the defaults. */
  attributedAfter(ino: Ino): Ino[] {
    return this.#unrecorded.all(ino) as Ino[];
  }
}

function stateOf({ folder, name, wall, counter, machine }: Raw): RowState {
  return {
    place: folder === null || name === null ? null : { folder, name },
    time: wall === 0 ? noTime : { wall, counter, machine },
  };
}
