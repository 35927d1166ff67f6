/** The state of each inode's metadata: the time of the entry that it shows, and the place of this machine's own entry. */
import type { Sql, Statement } from '../../base/sqlite.js';
import { entryOnlyPrefix } from '../../metadata/held/entry-only.js';
import { compareTimes, type LogicalTime, noTime } from '../../metadata/logical-time.js';
import type { Ino } from '../../tree/inode.js';
import type { EntryPlace } from './entry-of-inode.js';

export interface RowState {
  /** True if a program has set the times, here or on another machine. */
  readonly timesSet: boolean;
  /** The place of this machine's entry; null: it has none. */
  readonly place: EntryPlace | null;
  /** The time of the entry that the inode shows. */
  readonly time: LogicalTime;
}

interface Raw {
  readonly ino: Ino;
  readonly folder: string | null;
  readonly name: string | null;
  readonly wall: number;
  readonly counter: number;
  readonly machine: string;
  readonly times_set: 0 | 1;
}

/** The range of inode numbers in one step of the migration: about a millisecond. */
const PAGE = 1000;

export class RowStates {
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #track: Statement;
  readonly #timesSet: Statement;
  readonly #remove: Statement;
  readonly #orphans: Statement;
  readonly #unrecorded: Statement;
  readonly #next: Statement;
  readonly #entryOnly: Statement;

  constructor(sql: Sql) {
    this.#get = sql.prepare('SELECT * FROM metadata_row WHERE ino = ?');
    this.#put = sql.prepare(
      `INSERT INTO metadata_row (ino, folder, name, wall, counter, machine, times_set) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (ino) DO UPDATE SET folder = excluded.folder, name = excluded.name,
         wall = excluded.wall, counter = excluded.counter, machine = excluded.machine, times_set = MAX(times_set, excluded.times_set)`,
    );
    const tracked = "INSERT INTO metadata_row (ino, wall, counter, machine, times_set) VALUES (?, 0, 0, ''";
    this.#track = sql.prepare(`${tracked}, 0) ON CONFLICT (ino) DO NOTHING`);
    this.#timesSet = sql.prepare(`${tracked}, 1) ON CONFLICT (ino) DO UPDATE SET times_set = 1`);
    this.#remove = sql.prepare('DELETE FROM metadata_row WHERE ino = ?');
    this.#orphans = sql.prepare(
      'SELECT r.* FROM metadata_row r LEFT JOIN inode i ON i.ino = r.ino WHERE i.ino IS NULL',
    );
    // A time that no program set is that of the last write. The service's time differs from it by an upload: a minute at most.
    this.#unrecorded = sql
      .prepare(
        `SELECT ino FROM inode WHERE ino >= ? AND ino < ? AND (parent IS NOT NULL OR remote_parent IS NULL) AND
           (mode IS NOT NULL OR uid IS NOT NULL OR gid IS NOT NULL OR kind > 1 OR further_names > 0
            OR (mtime_sec IS NOT NULL AND modified IS NOT NULL AND abs(mtime_sec - modified / 1000) > 60)
            OR EXISTS (SELECT 1 FROM xattr WHERE xattr.ino = inode.ino))
         ORDER BY ino`,
      )
      .pluck();
    const range = `remote_id >= '${entryOnlyPrefix}' AND remote_id < '${entryOnlyPrefix}~'`;
    this.#entryOnly = sql.prepare(`SELECT ino FROM inode WHERE kind = 0 AND ${range}`).pluck();
    this.#next = sql.prepare('SELECT MIN(ino) FROM inode WHERE ino >= ?').pluck();
  }

  get(ino: Ino): RowState | undefined {
    const raw = this.#get.get(ino) as Raw | undefined;
    return raw === undefined ? undefined : stateOf(raw);
  }

  /** Writes the state of an inode. `timesSet` never goes back to false. */
  put(ino: Ino, { place, time, timesSet = false }: Omit<RowState, 'timesSet'> & Partial<RowState>): void {
    const { wall, counter, machine } = time;
    this.#put.run(ino, place?.folder ?? null, place?.name ?? null, wall, counter, machine, timesSet ? 1 : 0);
  }

  /** Makes an entry of each later change of the inode, also if all of its attributes except the times are the defaults. */
  track(ino: Ino): void {
    this.#track.run(ino);
  }

  /** Like `track`, and notes that a program has set the times. */
  noteTimesSet(ino: Ino): void {
    this.#timesSet.run(ino);
  }

  remove(ino: Ino): void {
    this.#remove.run(ino);
  }

  /** Notes that the inode shows the defaults, as of this time. */
  reset(ino: Ino, time: LogicalTime): void {
    this.remove(ino);
    this.put(ino, { place: null, time });
  }

  /** The states of inodes that are gone. */
  orphans(): (RowState & { readonly ino: Ino })[] {
    return (this.#orphans.all() as Raw[]).map((raw) => ({ ino: raw.ino, ...stateOf(raw) }));
  }

  /** Empty files that are entries only. */
  entryOnly(): Ino[] {
    return this.#entryOnly.all() as Ino[];
  }

  /** Some inodes from `from` on with other attributes than the defaults. `next`: the start of the next step; null at the end. */
  attributedFrom(from: Ino): { readonly inos: readonly Ino[]; readonly next: Ino | null } {
    const first = this.#next.get(from) as Ino | null;
    if (first === null) return { inos: [], next: null };
    const next = first + PAGE;
    return { inos: this.#unrecorded.all(first, next) as Ino[], next };
  }
}

function stateOf({ folder, name, wall, counter, machine, times_set }: Raw): RowState {
  return {
    timesSet: times_set === 1,
    place: folder === null || name === null ? null : { folder, name },
    time: wall === 0 ? noTime : { wall, counter, machine },
  };
}

/** True if an inode has nothing to take from an entry of `time`. `shown`: the time of the entry that it shows. */
export function isShown(shown: LogicalTime | undefined, time: LogicalTime): boolean {
  return shown !== undefined && compareTimes(shown, time) >= 0;
}
