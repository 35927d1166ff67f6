/**
 * Finds hard links that another machine has made and that this machine does not know yet. Called before the last known name is removed,
 * because that would also remove the object, and with it the content of the other names.
 *
 * This costs a request only if the inode is known to have several names, or to have had several.
 */
import { codeOf } from '../../base/errors.js';
import { lruOf } from '../../base/lru.js';
import type { NamePlace } from '../../metadata/entry.js';
import type { MetadataStore } from '../../metadata/store.js';
import { type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { isLocalName } from '../../tree/local-names.js';
import type { EntryPlace } from './entry-of-inode.js';
import type { LinkEntries } from './link-entries.js';

/**
 * The maximal age of the list of the store's files, ms. A new list costs a request, and `rm -rf` of a tree of hard links needs one for
 * each. Other machines take longer than this to write a new name to the store.
 */
const LIST_AGE_MS = 2_000;
/** How many inodes with several names in the past are remembered: about 100 bytes each. */
const REMEMBERED = 10_000;

/** A name of the inode in an entry. */
interface Told {
  readonly place: NamePlace;
  /** True if the name is in the entry of the first name that counts. Other entries may be stale. */
  readonly isListed: boolean;
}

export interface UnknownNamesOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly names: LinkEntries;
  /** Makes changes of the table that become no entries. */
  readonly quietly: <T>(act: () => T) => T;
  readonly placeOf: (inode: Inode) => EntryPlace | null;
}

/** A name that was found. */
export interface FoundName {
  readonly parent: Ino;
  readonly name: string;
}

export class RemoteLinks {
  readonly #o: UnknownNamesOptions;
  readonly #hadSeveral = lruOf<Ino, true>(REMEMBERED);

  constructor(options: UnknownNamesOptions) {
    this.#o = options;
  }

  /** Remembers an inode that has lost a further name: other machines may have added names that its entry does not list. */
  noteRemoved(ino: Ino): void {
    this.#hadSeveral.set(ino, true);
  }

  /**
   * Adds the names that it finds to the table. `isListingOld`: the listing of the inode's folder is from an earlier mount, and the entries
   * here may be as old. `list` lists a directory anew. Throws the provider's error if it cannot find out whether there are more names.
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
      // If the folder is gone, so is the name.
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

  /** Reads the folder's entries. The folder's listing is due and would read them anyway, so this costs no extra request. */
  async #lookAtStore(
    { ino }: Inode,
    { folder }: EntryPlace,
    list: (directory: Ino) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { table, store } = this.#o;
    // A listing of the root shows the store's folder, but may be from an earlier mount, too.
    const root = [...table.upwards(ino)].at(-1);
    if (!store.isFound && root !== undefined && table.isRoot(root)) await list(root.ino);
    await store.prepare(folder, 'foreground', signal);
  }

  #mayHaveMore({ ino, remote }: Inode, { folder, name }: EntryPlace): boolean {
    if (this.#hadSeveral.has(ino)) return true;
    const entries = this.#o.store.entriesAbout(folder, name, remote?.id);
    return entries.some(({ entry }) => entry.alias === true || (entry.names ?? []).length > 0);
  }

  /** All names of the inode in entries. */
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
      // An alias does not have the way to its own folder. If the folder is unknown, the entry of the first name has it.
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

  /** True if the entry of the name that counts is an alias of the inode; without such an entry, if the entry of the first name lists it. */
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
