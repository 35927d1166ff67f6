/**
 * Finds names that another machine has given an inode and that are not known here yet (hard links). It is asked before the last known
 * name goes: with it would go the object, and so the content of the other names.
 *
 * A request is made only where something tells that the inode has several names, or had: removing any other file costs none.
 */
import { codeOf } from '../../base/errors.js';
import { lruOf } from '../../base/lru.js';
import type { NamePlace } from '../../metadata/entry.js';
import type { MetadataStore } from '../../metadata/store.js';
import { type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { isLocalName } from '../../tree/local-names.js';
import type { CarriedNames } from './carried-names.js';
import type { EntryPlace } from './entry-of-inode.js';

/**
 * How old the list of the store's files may be, ms. It costs a request, and `rm -rf` of a tree of hard links asks for it at each of them.
 * Other machines need longer to write a new name there.
 */
const LIST_AGE_MS = 2_000;
/** Inodes that had several names here, which are remembered: about 100 bytes each. */
const REMEMBERED = 10_000;

/** A name that entries tell of. */
interface Told {
  readonly place: NamePlace;
  /** By the entry of the first name that counts. Other entries may be outdated. */
  readonly isListed: boolean;
}

export interface UnknownNamesOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly names: CarriedNames;
  /** Changes of the table that become no entries. */
  readonly quietly: <T>(act: () => T) => T;
  readonly placeOf: (inode: Inode) => EntryPlace | null;
}

/** A name that was found. */
export interface FoundName {
  readonly parent: Ino;
  readonly name: string;
}

export class UnknownNames {
  readonly #o: UnknownNamesOptions;
  readonly #hadSeveral = lruOf<Ino, true>(REMEMBERED);

  constructor(options: UnknownNamesOptions) {
    this.#o = options;
  }

  /** A program has taken a further name away here: other machines may have given more, which its entry does not list. */
  noteRemoved(ino: Ino): void {
    this.#hadSeveral.set(ino, true);
  }

  /**
   * Adds the names that are found to the table. `isListingOld`: the listing of its folder is from an earlier mount, as may be what is known
   * of the store. `list` lists a directory anew. Throws the provider's error where it cannot be known whether there are more.
   */
  async find(
    inode: Inode,
    isListingOld: boolean,
    list: (directory: Ino) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<FoundName[]> {
    const { table, store, placeOf } = this.#o;
    const place = placeOf(inode);
    if (place === null || (inode.remote === null && !isSpecial(inode))) return [];
    if (isListingOld) await this.#lookAtStore(inode, place, list, signal);
    if (!this.#mayHaveMore(inode, place)) return [];
    await store.prepareAnew(place.folder, LIST_AGE_MS, signal);
    const found: FoundName[] = [];
    for (const told of this.#told(inode, place)) {
      if (this.#isKnown(inode, told.place)) continue;
      await store.prepareAnew(told.place.folder, LIST_AGE_MS, signal);
      if (!this.#counts(inode, told)) continue;
      let directory = this.#directoryOf(told.place);
      if (directory === undefined) {
        const outdated = this.#o.names.outdatedOn(told.place);
        if (outdated === undefined) continue;
        await listIfThere(outdated, list);
        directory = this.#directoryOf(told.place);
      }
      // Where the folder has gone, so has the name.
      const { name } = told.place;
      if (directory === undefined || !isLocalName(name) || !table.isShown(directory)) continue;
      const at = directory.ino;
      const isAdded = table.transaction(() =>
        this.#o.quietly(() => {
          if (table.get(inode.ino)?.parent == null || table.isTaken(at, name)) return false;
          table.addName(inode.ino, at, name);
          return true;
        }),
      );
      if (isAdded) found.push({ parent: at, name });
    }
    return found;
  }

  /** As the listing of the folder does it, which is due: so this costs no request more. */
  async #lookAtStore(
    { ino }: Inode,
    { folder }: EntryPlace,
    list: (directory: Ino) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { table, store } = this.#o;
    // Which folder holds the store is told by the listing of the root, which may be as old.
    const root = [...table.upwards(ino)].at(-1);
    if (!store.isFound && root !== undefined && table.isRoot(root)) await list(root.ino);
    await store.prepare(folder, 'foreground', signal);
  }

  #mayHaveMore({ ino, remote }: Inode, { folder, name }: EntryPlace): boolean {
    if (this.#hadSeveral.has(ino)) return true;
    const entries = this.#o.store.entriesAbout(folder, name, remote?.id);
    return entries.some(({ entry }) => entry.alias === true || (entry.names ?? []).length > 0);
  }

  /** All places where an entry puts a name of the inode. */
  #told({ remote }: Inode, { folder, name }: EntryPlace): Told[] {
    const { store } = this.#o;
    const counting = store.entryOf(folder, name);
    const told = new Map<string, Told>();
    const add = (place: NamePlace, isListed: boolean): void => {
      const key = JSON.stringify([place.folder, place.name]);
      const before = told.get(key);
      if (before === undefined || before.place.path.length === 0 || isListed)
        told.set(key, { place, isListed: isListed || before?.isListed === true });
    };
    for (const { entry, time } of store.entriesAbout(folder, name, remote?.id)) {
      // The way to it is in the entry of the first name, unless its folder is known.
      if (entry.alias === true) add({ folder: entry.folder, name: entry.name, path: [] }, false);
      const isCounting = counting?.time.machine === time.machine && counting.entry.clock.join() === entry.clock.join();
      for (const place of entry.names ?? []) add(place, isCounting);
    }
    told.delete(JSON.stringify([folder, name]));
    return [...told.values()];
  }

  #isKnown({ ino }: Inode, { folder, name }: NamePlace): boolean {
    const { table } = this.#o;
    const directory = table.byRemote('folder', folder);
    return directory !== undefined && table.child(directory.ino, name)?.ino === ino;
  }

  /** Does what is known of the place say that the name is one of the inode's? */
  #counts({ ino }: Inode, { place, isListed }: Told): boolean {
    const { store, names } = this.#o;
    const latest = store.entryOf(place.folder, place.name)?.entry;
    if (latest === undefined) return isListed;
    return latest.alias === true && names.find(latest)?.ino === ino;
  }

  #directoryOf(place: NamePlace): Inode | undefined {
    const { table, names, quietly } = this.#o;
    return table.transaction(() => quietly(() => names.directoryOf(place)));
  }
}

/** Another client may have removed the directory. */
async function listIfThere(directory: Ino, list: (directory: Ino) => Promise<void>): Promise<void> {
  try {
    await list(directory);
  } catch (error) {
    if (codeOf(error) !== 'not-found') throw error;
  }
}
