/**
 * Gives objects their names when these become free. If another machine gives an object a name that something else still has here, the
 * listing shows the object under a marked name until the other one is gone.
 */
import type { Statement } from '../../base/sqlite.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { Ino, Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { keyOf } from '../../tree/listing.js';
import { candidate } from '../../tree/local-names.js';
import type { ListedFolder } from './unapplied-entries.js';

export interface ReturnedNamesOptions {
  readonly table: InodeTable;
  readonly store: Pick<MetadataStore, 'entryOf'>;
}

/** The names of a folder that entries have changed. */
interface ToldNames extends ListedFolder {
  readonly names: readonly string[];
}

export class FreedNames {
  readonly #table: InodeTable;
  readonly #store: Pick<MetadataStore, 'entryOf'>;
  readonly #marked: Statement;

  constructor({ table, store }: ReturnedNamesOptions) {
    this.#table = table;
    this.#store = store;
    // The index has the local names: rows without a mark are not read.
    this.#marked = table.sql
      .prepare(
        `SELECT ino FROM inode WHERE parent = ? AND instr(name, ' (~') > 0
           AND remote_name IN (SELECT value FROM json_each(?)) ORDER BY remote_id`,
      )
      .pluck();
  }

  /**
   * Directories under marks of these names that have no entry. For implied directories: another machine may have removed or replaced such a
   * directory, and no listing shows that.
   */
  untold({ directory, folder, names }: ToldNames): { readonly inode: Inode }[] {
    return this.#markedOf(directory, names).flatMap((inode) => {
      const said = this.#store.entryOf(folder, inode.remote?.name ?? '')?.entry;
      const isTold = said?.kind === 'directory' && said.gone !== true;
      return inode.kind !== 'directory' || isTold ? [] : [{ inode }];
    });
  }

  /** Gives free names to the directory's objects that are shown under marks of them. Answers the names that mean something else now. */
  giveBack(directory: Ino, freed: readonly string[]): string[] {
    const table = this.#table;
    const free = freed.filter((name) => !table.isTaken(directory, name));
    if (free.length === 0) return [];
    const changed: string[] = [];
    for (const { ino, name, remote } of this.#markedOf(directory, free)) {
      if (remote === null || table.isTaken(directory, remote.name)) continue;
      table.update(ino, { name: remote.name });
      changed.push(name, remote.name);
    }
    return changed;
  }

  /** The inodes that are shown under marks of these names. */
  #markedOf(directory: Ino, names: readonly string[]): Inode[] {
    if (names.length === 0) return [];
    const inos = this.#marked.all(directory, JSON.stringify(names)) as Ino[];
    return inos.flatMap((ino) => {
      const inode = this.#table.get(ino);
      if (inode?.remote == null) return [];
      const { name, remote } = inode;
      return name === candidate({ id: keyOf(remote), name: remote.name }, 1) ? [inode] : [];
    });
  }
}
