/**
 * Entries that other machines have withdrawn. If only one machine has an entry of a name, it removes the name by dropping its entry,
 * without a removal entry. A machine that shows the name notes a retraction when it reads the file again: the entry was in it, and no
 * longer is.
 */
import type { Sql, Statement } from '../base/sqlite.js';
import type { LogicalTime } from './logical-time.js';

/** A withdrawn entry: it was in a file of the machine, and is in none of its files that were read since. */
export interface Retraction {
  readonly name: string;
  /** The time of the withdrawn entry. */
  readonly time: LogicalTime;
}

interface Row {
  readonly machine: string;
  readonly folder: string;
  readonly name: string;
  readonly wall: number;
  readonly counter: number;
}

export class Retractions {
  readonly #note: Statement;
  readonly #noteAll: Statement;
  readonly #revoke: Statement;
  readonly #machines: Statement;
  readonly #of: Statement;
  readonly #forget: Statement;
  readonly #forgetFolders: Statement;
  readonly #any: Statement;

  constructor(sql: Sql) {
    this.#note = sql.prepare(
      'INSERT OR REPLACE INTO metadata_retracted (machine, folder, name, wall, counter) VALUES (?, ?, ?, ?, ?)',
    );
    this.#noteAll = sql.prepare(
      `INSERT OR REPLACE INTO metadata_retracted (machine, folder, name, wall, counter)
       SELECT machine, folder, name, wall, counter FROM metadata_other WHERE machine = ? AND pack = ?`,
    );
    this.#any = sql.prepare('SELECT EXISTS (SELECT 1 FROM metadata_retracted)').pluck();
    this.#revoke = sql.prepare('DELETE FROM metadata_retracted WHERE machine = ? AND folder = ? AND name = ?');
    this.#machines = sql.prepare('SELECT DISTINCT machine FROM metadata_retracted WHERE folder = ?').pluck();
    this.#of = sql.prepare('SELECT * FROM metadata_retracted WHERE folder = ? AND machine = ?');
    this.#forget = sql.prepare('DELETE FROM metadata_retracted WHERE folder = ? AND machine = ?');
    this.#forgetFolders = sql.prepare(
      `DELETE FROM metadata_retracted WHERE NOT EXISTS
         (SELECT 1 FROM inode WHERE kind = 1 AND remote_id = metadata_retracted.folder)`,
    );
  }

  get isEmpty(): boolean {
    return this.#any.get() === 0;
  }

  note({ machine, folder, name, wall, counter }: Row): void {
    this.#note.run(machine, folder, name, wall, counter);
  }

  /** Notes all entries of a pack that is gone. They may be in another pack, not read yet, which then revokes the retractions. */
  noteAll(machine: string, pack: number): void {
    this.#noteAll.run(machine, pack);
  }

  /** Drops a retraction because the entry is in another file of the machine. */
  revoke(machine: string, folder: string, name: string): void {
    this.#revoke.run(machine, folder, name);
  }

  machinesOf(folder: string): string[] {
    return this.#machines.all(folder) as string[];
  }

  of(folder: string, machine: string): Retraction[] {
    const rows = this.#of.all(folder, machine) as Row[];
    return rows.map(({ name, wall, counter }) => ({ name, time: { wall, counter, machine } }));
  }

  /** Drops the retractions of a folder that were applied. */
  forget(folder: string, machine: string): void {
    this.#forget.run(folder, machine);
  }

  /** Drops those of folders that are gone: nothing will ever apply them. */
  forgetFolders(): void {
    this.#forgetFolders.run();
  }
}
