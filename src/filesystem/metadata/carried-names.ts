/**
 * Names of inodes that have several (hard links) as entries of the metadata store. The entry of the first name, which the object at the
 * service has, lists the others; each of those has an entry that says where the first one is. So whichever folder is looked at first,
 * all names are known, and none of them can be taken for the last.
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

/** An entry is read, compared and written: 0.1 ms. */
const NAMES_PER_TURN = 100;

export class CarriedNames {
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

  /** A further name of the inode is gone: so is its entry. */
  removed({ parent, name }: Named): void {
    const folder = parent === null ? undefined : this.#table.get(parent)?.remote?.id;
    if (folder !== undefined) this.#store.remove(folder, name);
  }

  /** Adds the hard links that an inode's entry lists, except names of which a later entry says otherwise. */
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

  /** Writes the entries of an inode's further names, or of one, which say where its first name and its object are now. */
  record(ino: Ino, given?: Named): void {
    atOnce(this.recording(ino, given));
  }

  /** The same in pieces, for an inode with many names. */
  *recording(ino: Ino, given?: Named): Generator<void, void> {
    const pieces = new Pieces(NAMES_PER_TURN);
    const inode = this.#table.get(ino);
    if (inode === undefined || inode.furtherNames === 0) return;
    const { parent, remote } = inode;
    // It is not at the service yet: what stores it comes here again.
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

  /** The inode that the entry of a further name is of, if it is known and has its first name. */
  find({ id, of, kind }: MetadataEntry): Inode | undefined {
    const table = this.#table;
    const held = id === undefined ? undefined : table.byRemote('file', id);
    if (held?.parent != null) return held;
    const directory = of === undefined ? undefined : table.byRemote('folder', of.folder);
    const named = of === undefined || directory === undefined ? undefined : table.child(directory.ino, of.name);
    return named !== undefined && named.kind !== 'directory' && entryKindOf(named.kind) === kind ? named : undefined;
  }

  /**
   * The directory of a name. Those on the way to it that were never listed become known, without a request: before one of them is shown,
   * its parent is listed, and that listing decides. Undefined where the folder is not there (any more).
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

  /** The directory on the way to a name whose listing lacks the next one: that came later, or has gone. */
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

  /** Many names lie in few directories: the way to each of those is looked up once. */
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

  /** A name in a directory. Null where the service does not know one of the folders on the way yet. */
  placeOf(parent: Ino, name: string): NamePlace | null {
    const path: [string, string][] = [];
    for (const at of this.#table.upwards(parent)) {
      if (at.remote === null) return null;
      // The name of the root is nobody's business.
      path.unshift([at.remote.id, at.remote.name || '/']);
    }
    const folder = path.at(-1)?.[0];
    return folder === undefined ? null : { folder, name, path };
  }
}

function unlisted(id: string, name: string, parentId: string): RemoteFolder {
  return { kind: 'folder', id, name, parentId, modified: 0, access: 'write', fileCount: null, folderCount: null };
}
