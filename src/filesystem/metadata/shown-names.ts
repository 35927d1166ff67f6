import type { MetadataEntry } from '../../metadata/entry.js';
import { mayBeKeptAs } from '../../providers/names.js';
import type { Ino, Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { isLocalName } from '../../tree/local-names.js';

/**
 * Shows an object under the name that a program on another machine gave it, although the service keeps it under another name (`shown` in
 * its entry). Answers the names that mean something else now.
 */
export function showName(
  table: InodeTable,
  directory: Ino,
  { ino, name, parent, remote }: Inode,
  { id, shown }: MetadataEntry,
): string[] {
  if (shown === undefined || name === shown || parent !== directory || remote?.id !== id || name !== remote?.name)
    return [];
  if (!isLocalName(shown) || !mayBeKeptAs(shown, remote.name) || table.isTaken(directory, shown)) return [];
  table.update(ino, { name: shown });
  return [name, shown];
}
