/** Objects that another machine gave a new content and another name. They must not go on to show the attributes of the former content. */
import { compareTimes, type LogicalTime, noTime } from '../../metadata/logical-time.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { RowStates } from './row-states.js';
import type { ListedFolder } from './unapplied-entries.js';

/** The objects of a removed name that show an entry of it, though they have another name in the folder now, and no entry of that. */
export function movedFrom(
  { table, store, states }: { readonly table: InodeTable; readonly store: MetadataStore; readonly states: RowStates },
  { directory, folder }: ListedFolder,
  name: string,
): { readonly row: Inode; readonly time: LogicalTime }[] {
  return store.entriesAbout(folder, name, undefined).flatMap(({ entry, time }) => {
    const row = entry.id === undefined ? undefined : table.byRemote('file', entry.id);
    if (row?.remote == null || row.parent !== directory || row.overlay.mode === null) return [];
    if (compareTimes(states.get(row.ino)?.time ?? noTime, time) !== 0) return [];
    return store.entryOf(folder, row.remote.name) === undefined ? [{ row, time }] : [];
  });
}
