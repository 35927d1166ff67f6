import type { MetadataEntry } from '../../metadata/entry.js';
import { mayBeKeptAs } from '../../providers/names.js';
import type { Ino, Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { isLocalName } from '../../tree/local-names.js';

/**
 * Another machine's program gave an object of the directory a name that the service has changed: it is shown here, too. Answers the
 * names that now mean something else.
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
