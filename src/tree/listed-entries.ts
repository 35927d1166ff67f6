import type { Pieces } from '../base/event-loop-turns.js';
import type { RemoteEntry } from '../providers/provider.js';
import { isTemporaryName } from '../providers/temporary-names.js';
import type { Ino } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { keyOf } from './listing.js';

/**
 * The entries of a listing by key, without those that no tree can hold (the directory in itself, or the root in it). A duplicate counts
 * once.
 *
 * Objects with a temporary name are left out, with one exception: if the table knows the object by another name, and no other object has
 * that name, the object keeps it. A crash may have interrupted its replacement, which the next mount finishes or undoes.
 */
export function* listedEntries(
  table: InodeTable,
  directory: Ino,
  answer: readonly RemoteEntry[],
  pieces: Pieces,
): Generator<void, Map<string, RemoteEntry>> {
  const present = new Map<string, RemoteEntry>();
  const temporaries: RemoteEntry[] = [];
  for (const entry of answer) {
    if (pieces.isFull()) yield;
    const known = entry.kind === 'folder' ? table.byRemote('folder', entry.id) : undefined;
    if (known !== undefined && (known.ino === directory || table.isRoot(known))) continue;
    present.set(keyOf(entry), entry);
    if (isTemporaryName(entry.name)) temporaries.push(entry);
  }
  const names = new Set<string>();
  for (const { name } of temporaries.length > 0 ? present.values() : []) {
    if (pieces.isFull()) yield;
    names.add(name);
  }
  for (const entry of temporaries) {
    if (pieces.isFull()) yield;
    // A later duplicate has another name.
    if (present.get(keyOf(entry)) !== entry) continue;
    const known = table.byRemote(entry.kind, entry.id)?.remote;
    // An object that is being moved out of another folder is not shown in this one.
    const isHere = known != null && known.parentId === entry.parentId && !names.has(known.name);
    if (isHere) present.set(keyOf(entry), { ...entry, name: known.name });
    else present.delete(keyOf(entry));
  }
  return present;
}
