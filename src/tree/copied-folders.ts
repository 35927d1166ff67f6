/**
 * Recognizes folders that a service moves by copying. 4shared's document says "create a copy of a folder in another folder and then delete
 * the original", so all objects in it get new ids. When such a directory is listed again, each row becomes the row of its object's copy. So
 * rows keep their inode numbers, their metadata, and contents that are not stored yet.
 *
 * The rows themselves show this, also after a crash: the folder in which their object was last seen is not their directory's folder.
 */
import { entriesPerTurn, inTurns, Pieces } from '../base/event-loop-turns.js';
import type { Statement } from '../base/sqlite.js';
import type { RemoteEntry, RemoteFolder } from '../providers/provider.js';
import { mayBeSameContent } from '../providers/revision.js';
import type { Ino, Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { keyOf } from './listing.js';
import { scanning } from './scan.js';

/** How many rows are checked. All rows of a copied folder show the copy, except objects that were stored there since. */
const SAMPLE = 64;

export class CopiedFolders {
  readonly #table: InodeTable;
  readonly #isCopied: Statement;

  constructor(table: InodeTable) {
    this.#table = table;
    this.#isCopied = table.sql
      .prepare(
        `SELECT EXISTS (SELECT 1 FROM (SELECT remote_parent FROM inode WHERE parent = ? AND remote_id IS NOT NULL LIMIT ${SAMPLE}) WHERE remote_parent <> ?)`,
      )
      .pluck();
  }

  /** Gives each row of a directory the copy of its object, from the directory's listing. Call before the listing is merged. */
  async adopt(directory: Ino, folder: RemoteFolder, listed: readonly RemoteEntry[]): Promise<void> {
    if (this.#isCopied.get(directory, folder.id) !== 1) return;
    const [table, pieces] = [this.#table, new Pieces()];
    const rows = await inTurns(scanning(table, directory, (row) => row, pieces));
    const present = new Set(listed.map(keyOf));
    const byName = new Map(listed.map((entry) => [entry.name, entry]));
    const copies = rows.flatMap((row): [Inode, RemoteEntry][] => {
      const { remote } = row;
      if (remote === null || remote.parentId === folder.id || present.has(keyOf(remote))) return [];
      const copy = byName.get(remote.name);
      return copy !== undefined && isCopy(remote, copy) ? [[row, copy]] : [];
    });
    // Not a piece of the merge, so that this machine's metadata entries follow the objects.
    for (let at = 0; at < copies.length; at += entriesPerTurn)
      table.transaction(() => {
        for (const [{ ino, remote }, copy] of copies.slice(at, at + entriesPerTurn)) {
          const isAsRead = table.get(ino)?.remote?.id === remote?.id;
          if (isAsRead && table.byRemote(copy.kind, copy.id) === undefined) table.update(ino, { remote: copy });
        }
      });
  }
}

function isCopy(old: RemoteEntry, now: RemoteEntry): boolean {
  if (old.kind === 'folder' || now.kind === 'folder') return old.kind === now.kind;
  return mayBeSameContent(old, now);
}
