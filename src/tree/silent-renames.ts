import { toMs } from '../base/timespec.js';
import { hasUnsafeCharacters, mayBecome } from '../providers/names.js';
import type { RemoteEntry } from '../providers/provider.js';
import type { Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { keyOf } from './listing.js';

/**
 * True if the service has silently changed the name that this mount gave the object: then the object keeps the given name here. Only the
 * first listing after this mount named or stored the object shows that. In a later listing, another name is another client's rename, if
 * clients can rename at all (`isRenamable`).
 */
export function isSilentlyRenamed(table: InodeTable, known: Inode, now: RemoteEntry, isRenamable: boolean): boolean {
  const { ino, remote, overlay, parent, confirmedAt } = known;
  if (remote === null || parent === null || remote.parentId !== now.parentId || remote.name === now.name) return false;
  if (!mayBecome(remote.name, now.name)) return false;
  if (!isRenamable || table.unlistedNames.has(ino)) return true;
  const changedAt = Math.max(overlay.ctime === null ? 0 : toMs(overlay.ctime), confirmedAt ?? 0);
  return changedAt >= (table.get(parent)?.listedAt ?? 0);
}

/**
 * The remote name to which a row's present local name belongs. `listing`: the entries of its directory at the service now, by `keyOf`. With
 * `impliesFolders` folders are only parts of the files' paths, and no client can rename anything.
 */
export function listedName(
  table: InodeTable,
  known: Inode,
  listing: ReadonlyMap<string, RemoteEntry>,
  impliesFolders: boolean,
): string {
  const { ino, remote, name } = known;
  if (remote === null) return name;
  const entry = listing.get(keyOf(remote));
  const isGiven = entry !== undefined && isSilentlyRenamed(table, known, entry, !impliesFolders);
  table.unlistedNames.delete(ino);
  return isGiven ? entry.name : remote.name;
}

/** True if services may change the name by more than letter case. */
export function isUnusual(name: string): boolean {
  return hasUnsafeCharacters(name) || name.normalize('NFC') !== name;
}
