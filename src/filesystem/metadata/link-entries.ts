/**
 * Hard links as entries of the metadata store. The object at the service has the inode's *first name*. The entry of the first name lists
 * the *further names*; each further name has an entry (an *alias*) that tells the first name. So every folder with one of the names shows
 * that there are others, and no machine takes one of them for the last.
 */
import { atOnce, Pieces } from '../../base/event-loop-turns.js';
import type { MetadataEntry, NamePlace, NewEntry, TimedEntry } from '../../metadata/entry.js';
import { compareTimes } from '../../metadata/logical-time.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { RemoteFolder } from '../../providers/provider.js';
import { type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { isLocalName } from '../../tree/local-names.js';
import type { Named } from '../../tree/name-cache.js';
import { entryKindOf } from './entry-of-inode.js';

/** The number of names before other work has a turn. To read, compare and write an entry takes 0.1 ms. */
const NAMES_PER_TURN = 100;

export class LinkEntries {
  readonly #table: InodeTable;
  readonly #store: MetadataStore;

  constructor(table: InodeTable, store: MetadataStore) {
    this.#table = table;
    this.#store = store;
  }

  /** The further names of an inode. */
  of(ino: Ino): NamePlace[] {
    return this.#placesOf(this.#table.further.of(ino));
  }

  /** Removes the entry of a further name that is gone. */
  removed({ parent, name }: Named): void {
    const folder = parent === null ? undefined : this.#table.get(parent)?.remote?.id;
    if (folder !== undefined) this.#store.remove(folder, name);
  }

  /** Adds the hard links that an inode's entry lists, except names with a later entry that is no alias. */
  addListed(ino: Ino, { entry, time }: TimedEntry): void {
    const table = this.#table;
    for (const place of entry.names ?? []) {
      const latest = this.#store.entryOf(place.folder, place.name);
      if (latest !== undefined && latest.entry.alias !== true && compareTimes(latest.time, time) > 0) continue;
      const directory = isLocalName(place.name) ? this.directoryOf(place) : undefined;
      if (directory !== undefined && !table.isTaken(directory.ino, place.name))
        table.addName(ino, directory.ino, place.name);
    }
  }

  /** Writes the alias entries of all further names of an inode, or of one, with its current first name and object. */
  record(ino: Ino, given?: Named): void {
    atOnce(this.recording(ino, given));
  }

  /** Like `record`, in pieces, for an inode with many names. */
  *recording(ino: Ino, given?: Named): Generator<void, void> {
    const pieces = new Pieces(NAMES_PER_TURN);
    const inode = this.#table.get(ino);
    if (inode === undefined || inode.furtherNames === 0) return;
    const { parent, remote } = inode;
    // The service does not have it yet: the upload that stores it calls this again.
    if (parent === null || (remote === null && !isSpecial(inode))) return;
    const of = this.placeOf(parent, remote?.name ?? inode.name);
    if (of === null) return;
    const id = remote === null ? {} : { id: remote.id };
    const kind = entryKindOf(inode.kind);
    for (const { folder, name } of given === undefined ? this.of(ino) : this.#placesOf([given])) {
      if (pieces.isFull()) yield;
      this.#store.put({ folder, name, kind, ...id, alias: true, of } as NewEntry);
    }
  }

  /** The inode of an alias entry; undefined if the table does not know the inode, or the inode has no name. */
  find({ id, of, kind }: MetadataEntry): Inode | undefined {
    const table = this.#table;
    const held = id === undefined ? undefined : table.byRemote('file', id);
    if (held?.parent != null) return held;
    const directory = of === undefined ? undefined : table.byRemote('folder', of.folder);
    const named = of === undefined || directory === undefined ? undefined : table.child(directory.ino, of.name);
    return named !== undefined && named.kind !== 'directory' && entryKindOf(named.kind) === kind ? named : undefined;
  }

  /**
   * The directory of a name. Adds directories on the way to the table if they were never listed, without a request: before a program sees
   * one of them, its parent is listed, and that listing decides. Undefined if the directory does not exist (any more).
   */
  directoryOf({ path, folder }: NamePlace): Inode | undefined {
    const table = this.#table;
    let at: Inode | undefined;
    for (const [id, name] of path) {
      const known = table.byRemote('folder', id);
      if (known?.parent != null || (known !== undefined && table.isRoot(known))) {
        at = known;
        continue;
      }
      const isKnown = at === undefined || at.listedAt !== null || known !== undefined;
      if (isKnown || at === undefined || table.isTaken(at.ino, name)) return undefined;
      at = table.insert({ parent: at.ino, name, kind: 'directory', remote: unlisted(id, name, at.remote?.id ?? '') });
    }
    return at ?? table.byRemote('folder', folder);
  }

  /** The directory on the way to a name whose listing lacks the next directory: the next one is newer than the listing, or gone. */
  outdatedOn({ path }: NamePlace): Ino | undefined {
    const table = this.#table;
    let at: Inode | undefined;
    for (const [id] of path) {
      const known = table.byRemote('folder', id);
      if (known === undefined || (known.parent === null && !table.isRoot(known))) return at?.ino;
      at = known;
    }
    return undefined;
  }

  /** The places of names. Looks up the way to each directory once, because many names lie in few directories. */
  #placesOf(names: readonly Named[]): NamePlace[] {
    const directories = new Map<Ino, NamePlace | null>();
    return names.flatMap(({ parent, name }) => {
      if (parent === null) return [];
      let found = directories.get(parent);
      if (found === undefined) {
        found = this.placeOf(parent, name);
        directories.set(parent, found);
      }
      return found === null ? [] : { ...found, name };
    });
  }

  /** The place of a name in a directory; null if the service does not have one of the folders on the way yet. */
  placeOf(parent: Ino, name: string): NamePlace | null {
    const path: [string, string][] = [];
    for (const at of this.#table.upwards(parent)) {
      if (at.remote === null) return null;
      // The root's name means nothing to other machines, and may be empty.
      path.unshift([at.remote.id, at.remote.name || '/']);
    }
    const folder = path.at(-1)?.[0];
    return folder === undefined ? null : { folder, name, path };
  }
}

function unlisted(id: string, name: string, parentId: string): RemoteFolder {
  return { kind: 'folder', id, name, parentId, modified: 0, access: 'write', fileCount: null, folderCount: null };
}
