/**
 * A name that another machine has given to an object is that object's as soon as what had it here is gone. Until then, the listing shows
 * the object under a marked name.
 */
import type { Statement } from '../../base/sqlite.js';
import type { Ino } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { keyOf } from '../../tree/listing.js';
import { candidate } from '../../tree/local-names.js';

export class ReturnedNames {
  readonly #table: InodeTable;
  readonly #marked: Statement;

  constructor(table: InodeTable) {
    this.#table = table;
    // The index has the local names: rows without a mark are not read.
    this.#marked = table.sql
      .prepare(
        `SELECT ino FROM inode WHERE parent = ? AND instr(name, ' (~') > 0
           AND remote_name IN (SELECT value FROM json_each(?)) ORDER BY remote_id`,
      )
      .pluck();
  }

  /** Gives names that have become free to objects of the directory. Answers the names that mean something else now. */
  giveBack(directory: Ino, freed: readonly string[]): string[] {
    const table = this.#table;
    const free = freed.filter((name) => !table.isTaken(directory, name));
    if (free.length === 0) return [];
    const changed: string[] = [];
    for (const ino of this.#marked.all(directory, JSON.stringify(free)) as Ino[]) {
      const { name, remote } = table.get(ino) ?? {};
      if (name === undefined || remote == null || table.isTaken(directory, remote.name)) continue;
      if (name !== candidate({ id: keyOf(remote), name: remote.name }, 1)) continue;
      table.update(ino, { name: remote.name });
      changed.push(name, remote.name);
    }
    return changed;
  }
}
