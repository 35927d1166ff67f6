/**
 * Implied directories: the service has no directories, only files with paths (5sync). Such a directory needs an entry of its own if no file
 * in it is stored, or if it has attributes of its own.
 */

import { lruOf } from '../../base/lru.js';
import type { Statement } from '../../base/sqlite.js';
import { entryOnlyPrefix, isEntryOnly } from '../../metadata/held/entry-only.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { Ino, Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { EntryPlace } from './entry-of-inode.js';
import type { RowStates } from './row-states.js';

/** How many directories are remembered: about 100 bytes each. */
const REMEMBERED = 10_000;

export interface ImpliedDirectoriesOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly states: RowStates;
  /** Writes the entry of a directory. */
  readonly record: (directory: Inode) => void;
}

export class ImpliedDirectories {
  readonly #o: ImpliedDirectoriesOptions;
  readonly #stored: Statement;
  readonly #storedBelow: Statement;
  /** Directories that lost their last file in this mount. */
  readonly #hadFiles = lruOf<Ino, true>(REMEMBERED);

  constructor(options: ImpliedDirectoriesOptions) {
    this.#o = options;
    const { sql } = options.table;
    const stored = (directory: string): string =>
      `EXISTS (SELECT 1 FROM inode f WHERE f.parent = ${directory} AND f.kind = 0 AND f.remote_id IS NOT NULL
         AND f.remote_id NOT LIKE '${entryOnlyPrefix}%')`;
    this.#stored = sql.prepare(`SELECT ${stored('?')}`).pluck();
    this.#storedBelow = sql
      .prepare(
        `WITH RECURSIVE below (ino) AS (
           VALUES (?) UNION ALL SELECT d.ino FROM below JOIN inode d ON d.parent = below.ino AND d.kind = 1
         ) SELECT 1 FROM below WHERE ${stored('below.ino')} LIMIT 1`,
      )
      .pluck();
  }

  /**
   * Called for each change of a row by this machine, in its transaction. If a directory has left its place and other machines may still
   * show it there, answers that place: no listing shows them that it is gone. `place`: the place before the change.
   */
  changed(
    ino: Ino,
    before: Omit<Inode, 'ino'> | null,
    after: Omit<Inode, 'ino'>,
    place: EntryPlace | null,
  ): EntryPlace | null {
    this.#fileChanged(before, after);
    // The root has no parent, and stays.
    if (before?.remote?.kind !== 'folder' || before.parent === null || place === null) return null;
    const { parent, remote } = after;
    const isThere = remote?.kind === 'folder' && remote.parentId === place.folder && remote.name === place.name;
    if (parent !== null && isThere) return null;
    // No other machine has seen a directory that this machine has just made, if it never held a file.
    const isNew = this.#o.store.isUnwritten(place.folder, place.name) && !this.#hadFiles.has(ino);
    return isNew ? null : place;
  }

  #fileChanged(before: Pick<Inode, 'parent' | 'remote'> | null, after: Omit<Inode, 'ino'>): void {
    const { kind } = after;
    if (kind !== 'file' && (kind !== 'directory' || before === null)) return;
    const was = before !== null && isStored(before) ? before.parent : null;
    const is = isStored(after) ? after.parent : null;
    if (was === is) return;
    if (is !== null && kind === 'file') this.#filled(is);
    if (was !== null) this.#emptied(was);
  }

  /**
   * Called when a file in a directory is stored. Drops the directory's entry if it tells nothing but that the directory exists, and is not
   * in the account yet. The directory's time is then that of its newest file. Directories above keep their entries, because the service
   * has no time of a directory that holds only directories.
   */
  #filled(directory: Ino): void {
    const { table, store, states } = this.#o;
    const at = table.get(directory);
    const state = states.get(directory);
    if (at === undefined || state?.place == null || state.timesSet || hasAttributes(at)) return;
    if (table.xattrs.names(directory).length > 0 || !store.isUnwritten(state.place.folder, state.place.name)) return;
    store.remove(state.place.folder, state.place.name);
    states.remove(directory);
  }

  /**
   * Called when a stored file or a directory has left a directory. Writes the entries that it and those above need now. While a file is
   * stored below, only the directory's own time is lost: those above kept their entries.
   */
  #emptied(directory: Ino): void {
    const { table, states, record } = this.#o;
    for (const at of table.upwards(directory)) {
      if (at.parent === null || this.#stored.get(at.ino) === 1) return;
      const hasStoredBelow = this.#storedBelow.get(at.ino) === 1;
      if (hasStoredBelow && at.ino !== directory) return;
      this.#hadFiles.set(at.ino, true);
      if (states.get(at.ino)?.place == null) record(at);
      if (hasStoredBelow) return;
    }
  }
}

function isStored({ remote }: Pick<Inode, 'remote'>): boolean {
  return remote !== null && !isEntryOnly(remote);
}

function hasAttributes({ overlay: { mode, uid, gid } }: Inode): boolean {
  return mode !== null || uid !== null || gid !== null;
}
