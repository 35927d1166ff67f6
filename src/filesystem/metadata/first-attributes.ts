/**
 * Attributes, from the account's metadata, of objects that a listing shows for the first time. Their rows are inserted with them, because
 * an insert and a later update cost twice as much. `ApplyEntries` applies entries that concern more than the row.
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

/** Null if no machine has an entry of the directory's folder. */
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

/** True if the entry describes this object, and no further name or other place of it. */
function isOfRowAlone({ kind, id, gone, alias, ...more }: MetadataEntry, object: RemoteEntry): boolean {
  if (gone === true || alias === true) return false;
  if (more.belongs !== undefined || more.names !== undefined || more.shown !== undefined) return false;
  return id === object.id && inodeKindOf(kind) === (object.kind === 'folder' ? 'directory' : 'file');
}
