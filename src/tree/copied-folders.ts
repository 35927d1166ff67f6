/**
 * A folder that this mount has moved may come out as a copy: 4shared's document says "create a copy of a folder in another folder and then
 * delete the original", and then all that is in it has other ids. The rows keep their inodes, their metadata and what waits to be stored:
 * each becomes the row of the copy of its object, when its directory is listed again.
 *
 * Such rows tell it themselves, also after a crash: the folder that their object was last seen in is not their directory's any more.
 */
import { entriesPerTurn, inTurns, Pieces } from '../base/event-loop-turns.js';
import type { Statement } from '../base/sqlite.js';
import type { RemoteEntry, RemoteFolder } from '../providers/provider.js';
import { mayBeSameContent } from '../providers/revision.js';
import type { Ino, Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { keyOf } from './listing.js';
import { scanning } from './scan.js';

/** All rows of a copied folder tell it, but for what was stored there since. */
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

  /** Gives the rows of a directory the objects of its listing that are copies of theirs. Call before the listing is merged. */
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
    // Not as a part of the merge: what this machine says of the objects has to follow them.
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
