/**
 * What the account's metadata says of objects that a listing shows for the first time: their rows begin with it. To write a row, read it
 * again and change it costs twice as much. Entries that concern more than the row itself are left to `ApplyEntries`.
 */
import type { MetadataEntry } from '../../metadata/entry.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { RemoteEntry } from '../../providers/provider.js';
import { type Ino, listedInode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { FirstAttributes, ListedRow } from '../../tree/listed-rows.js';
import { appliedTo, inodeKindOf } from './entry-of-inode.js';
import type { RowStates } from './row-states.js';

export interface FirstAttributesOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly states: RowStates;
}

/** Null where nothing is known of the directory. */
export function firstAttributesOf(
  { table, store, states }: FirstAttributesOptions,
  directory: Ino,
  rows: readonly ListedRow[],
): FirstAttributes | null {
  const folder = table.get(directory)?.remote?.id;
  if (folder === undefined || !store.hasEntriesOf(folder)) return null;
  const entries = store.entriesOfNames(
    folder,
    rows.map(({ entry }) => entry.name),
  );
  const found = rows.map(({ name, entry: object }) => {
    const timed = entries.get(object.name);
    if (timed === undefined || !isOfRowAlone(timed.entry, object)) return null;
    return { ...timed, ...appliedTo(listedInode(0, directory, name, object), timed.entry) };
  });
  return {
    overlays: found.map((each) => each?.overlay ?? null),
    inserted(inos) {
      for (const [at, ino] of inos.entries()) {
        const each = found[at];
        if (each == null || ino === undefined) continue;
        for (const [name, value] of each.xattrs) table.xattrs.set(ino, name, value);
        states.put(ino, { place: null, time: each.time, timesSet: each.entry.mtime !== undefined });
      }
    },
  };
}

/** Does the entry describe this object, and neither another name nor another place of it? */
function isOfRowAlone({ kind, id, gone, alias, ...more }: MetadataEntry, object: RemoteEntry): boolean {
  if (gone === true || alias === true) return false;
  if (more.belongs !== undefined || more.names !== undefined || more.shown !== undefined) return false;
  return id === object.id && inodeKindOf(kind) === (object.kind === 'folder' ? 'directory' : 'file');
}
