/**
 * What another machine does not say any more. A machine that removes what nobody else has an entry of drops its own entry, and leaves
 * no removal. Who has shown that entry finds out here, when he reads the file again: the name was in it, and is not.
 */
import type { Sql, Statement } from '../base/sqlite.js';
import type { LogicalTime } from './logical-time.js';

/** An entry that was in a file of the machine, and is in none of its files that were read since. */
export interface Retraction {
  readonly name: string;
  /** Of the entry that was there. */
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

  /** A whole pack goes. Its entries may be in another one that was not read yet. */
  noteAll(machine: string, pack: number): void {
    this.#noteAll.run(machine, pack);
  }

  /** The machine says it, after all: its entry has moved to another of its files. */
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

  /** They were applied. */
  forget(folder: string, machine: string): void {
    this.#forget.run(folder, machine);
  }

  /** Those of folders that are gone will never be applied. */
  forgetFolders(): void {
    this.#forgetFolders.run();
  }
}
