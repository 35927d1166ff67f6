/**
 * Connects the inode table with the metadata store of the account (metadata/store.ts), in both directions:
 *
 * - A change of an inode on this machine becomes an entry, in the transaction of the change: the hooks of `InodeTable` and `XattrTable`
 *   call this class.
 * - After a listing, `ApplyEntries` applies entries that are later than the entries that the folder's inodes show.
 *
 * An inode has an entry if its mode or owner differ from the mount's defaults, if it has extended attributes, if a program has set its
 * times, or if the service has no object of it. Times that no program set need no entry: the service has them. Editors set the mode and
 * owner of each file that they save to those that it has already; that alone makes no entry.
 */
import { inTurns, turn } from '../../base/event-loop-turns.js';
import { isSameState, type NamePlace, type NewEntry, type TimedEntry } from '../../metadata/entry.js';
import { isEntryOnly } from '../../metadata/held/entry-only.js';
import { compareTimes, type LogicalTime, noTime } from '../../metadata/logical-time.js';
import { carried, type MetadataStore } from '../../metadata/store.js';
import type { Provider, RemoteEntry, RemoteFolder } from '../../providers/provider.js';
import { type AttributeDefaults, hasDefaultAttributes } from '../../tree/default-attributes.js';
import { type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { AppliedMetadata, ListedMetadata } from '../../tree/listed-metadata.js';
import type { AttributeChange } from '../api.js';
import { ApplyEntries } from './apply-entries.js';
import { DeferredNames } from './deferred-names.js';
import { type EntryPlace, entryOfInode, hasGivenName, rootEntryName } from './entry-of-inode.js';
import { ImpliedDirectories } from './implied-directories.js';
import { LinkEntries } from './link-entries.js';
import { RemoteLinks } from './remote-links.js';
import { type RowState, RowStates } from './row-states.js';

export interface AccountMetadataOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly provider: Pick<Provider, 'capabilities' | 'createFolder' | 'remove'>;
  readonly defaults: AttributeDefaults;
}

export class AccountMetadata implements ListedMetadata {
  readonly store: MetadataStore;
  readonly #table: InodeTable;
  readonly #impliesFolders: boolean;
  readonly #defaults: AttributeDefaults;
  readonly #states: RowStates;
  readonly #names: LinkEntries;
  /** Null if the service has directories of its own. */
  readonly #implied: ImpliedDirectories | null;
  readonly #apply: ApplyEntries;
  readonly #deferred: DeferredNames;
  /** Finds names of hard links that other machines have given. */
  readonly remoteLinks: RemoteLinks;
  #isClosed = false;

  constructor({ table, store, provider, defaults }: AccountMetadataOptions) {
    this.#table = table;
    this.#defaults = defaults;
    this.store = store;
    this.#impliesFolders = provider.capabilities.folders === 'implied';
    this.#states = new RowStates(table.sql);
    this.#names = new LinkEntries(table, store);
    this.#deferred = new DeferredNames(table.sql);
    store.deferredEntries = { count: () => this.#deferred.size, write: () => this.#writeDeferred() };
    this.#apply = new ApplyEntries({ table, store, provider, states: this.#states, names: this.#names });
    const record = (directory: Inode): void => this.#record(directory.ino, directory);
    this.#implied = this.#impliesFolders
      ? new ImpliedDirectories({ table, store, states: this.#states, record })
      : null;
    this.remoteLinks = new RemoteLinks({
      ...{ table, store, names: this.#names },
      quietly: (act) => this.#apply.quietly(act),
      placeOf: (inode) => this.#placeOf(inode),
    });
    table.onFurtherName = (ino, left, given) => {
      if (this.#apply.isApplying || table.isMerging) return;
      if (left !== null) this.#names.removed(left);
      if (left !== null) this.remoteLinks.noteRemoved(ino);
      // The other further names need no new entries: these tell only of the first name, which has not changed.
      if (given !== null) this.#names.record(ino, given);
      const inode = table.get(ino);
      if (inode !== undefined) this.#record(ino, inode);
    };
    table.onChange = (ino, before, after) => this.#changed(ino, before, after);
    table.xattrs.onChange = (ino) => {
      if (this.#apply.isApplying) return;
      this.#states.track(ino);
      const inode = table.get(ino);
      if (inode !== undefined) this.#record(ino, inode);
    };
  }

  /**
   * Notes that a program has set the inode's times, so an entry must hold them. Times set to now before the content is stored (touch(1) of
   * a new file) are not noted: the service's own time is as good.
   */
  timesSet(ino: Ino, { atime, mtime }: Pick<AttributeChange, 'atime' | 'mtime'>): void {
    const isNow = (atime ?? 'now') === 'now' && (mtime ?? 'now') === 'now';
    if (isNow && (this.#table.get(ino)?.localSize ?? null) !== null) return;
    this.#states.noteTimesSet(ino);
  }

  visible(folder: RemoteFolder, entries: readonly RemoteEntry[]): readonly RemoteEntry[] {
    return folder.parentId === null ? this.store.learnRoot(entries) : entries;
  }

  apply(directory: Ino, list: (directory: Ino) => Promise<void>): Promise<AppliedMetadata> {
    return this.#apply.to(directory, list);
  }

  retryIn({ id }: RemoteFolder): number | null {
    return this.store.retryIn(id);
  }

  /** The service's ids of the folders above a folder, nearest first. */
  static near(table: InodeTable, folder: string): string[] {
    const inode = table.byRemote('folder', folder);
    if (inode === undefined) return [];
    return [...table.upwards(inode.ino)].slice(1).flatMap(({ remote }) => remote?.id ?? []);
  }

  /** A name in a folder of the service, with the folders on the way to it; null if they are not known. */
  placeOf(folder: string, name: string): NamePlace | null {
    const inode = this.#table.byRemote('folder', folder);
    return inode === undefined ? null : this.#names.placeOf(inode.ino, name);
  }

  /**
   * Runs before the first listing. Drops the entries of inodes that are gone. Unless that was done before, makes entries of empty files
   * that have no object at the service, because listings show those by their entries.
   */
  begin(): void {
    const { store } = this;
    this.#table.transaction(() => {
      this.#dropOrphans();
      store.forgetFolders();
      if (store.recall<boolean>(carried) !== true) for (const ino of this.#states.entryOnly()) this.#carry(ino);
    });
  }

  /**
   * Makes entries of all attributes that only this machine has (`--metadata local` before). Runs at the start, in turns with other work.
   */
  async carryExisting(): Promise<void> {
    const { store } = this;
    if (store.recall<boolean>(carried) === true) return;
    for (let from: Ino | null = 0; from !== null && !this.#isClosed; ) {
      const { inos, next } = this.#states.attributedFrom(from);
      if (inos.length > 0)
        this.#table.transaction(() => {
          for (const ino of inos) this.#carry(ino);
        });
      from = next;
      await turn();
    }
    if (!this.#isClosed) store.remember(carried, true);
  }

  #carry(ino: Ino): void {
    const inode = this.#table.peek(ino);
    if (inode === undefined) return;
    // The table does not tell whether a program has set the times.
    this.#states.noteTimesSet(ino);
    this.#record(ino, inode);
    this.#recordFurther(ino, inode);
  }

  #dropOrphans(): void {
    for (const { ino, ...state } of this.#states.orphans()) {
      const { place } = state;
      const entry = place === null ? undefined : this.store.ownEntryOf(place.folder, place.name)?.entry;
      const kind = entry?.kind === 'directory' ? 'folder' : 'file';
      const isHeld = entry?.id !== undefined && this.#table.byRemote(kind, entry.id) !== undefined;
      if (place !== null && entry !== undefined && !isHeld) this.#leave(place, state);
      this.#states.remove(ino);
    }
  }

  /**
   * Removes the entry at a place that the inode has left, as a listing shows. An entry there that is later than the one that the inode
   * shows describes the object that has the name now, and stays.
   */
  #leave({ folder, name }: EntryPlace, { time }: Pick<RowState, 'time'>): void {
    const { store } = this;
    const isLater = (said: TimedEntry | undefined): boolean => said !== undefined && compareTimes(said.time, time) > 0;
    if (isLater(store.ownEntryOf(folder, name))) return;
    if (isLater(store.entryOf(folder, name))) store.removeOwn(folder, name);
    else store.remove(folder, name);
  }

  /** Stops background work: the database is about to be closed. */
  close(): void {
    this.#isClosed = true;
  }

  #changed(ino: Ino, before: Inode | null, after: Omit<Inode, 'ino'>): void {
    if (this.#apply.isApplying) return;
    const isSame =
      before !== null &&
      before.overlay === after.overlay &&
      before.parent === after.parent &&
      before.name === after.name &&
      before.remote === after.remote &&
      before.localSize === after.localSize;
    if (isSame) return;
    if (before !== null && !this.#table.isMerging) {
      if (hasMoved(before, after)) this.#recordFurther(ino, after);
      const old = before.remote;
      if (old?.kind === 'folder' && after.remote !== null && after.remote.id !== old.id)
        this.#folderReplaced(ino, old.id);
    }
    // A listing may bring many new objects. None of them needs an entry from this machine.
    if (this.#table.isMerging && before === null) return;
    const state = this.#states.get(ino);
    if (this.#table.isMerging) {
      if (state !== undefined) this.#movedElsewhere(ino, before, after, state);
      else if (before !== null && hasGivenName(after) && !hasGivenName(before)) this.#record(ino, after);
      return;
    }
    const left = this.#implied?.changed(ino, before, after, this.#placeOf(before ?? after)) ?? null;
    if (state !== undefined || this.#isOwnKind(after, before === null)) this.#record(ino, after, before, state);
    if (left !== null) this.store.removeListed(left.folder, left.name);
  }

  /** Writes the inode's entry, which lists its further names, and the entries of these names. */
  #recordNames(ino: Ino): void {
    const inode = this.#table.get(ino);
    if (inode === undefined) return;
    this.#recordFurther(ino, inode);
    this.#record(ino, inode);
  }

  /** Writes the entries of the further names: each tells of the first name and the object, and one of these has changed. */
  #recordFurther(ino: Ino, inode: Omit<Inode, 'ino'>): void {
    if (DeferredNames.areMany(inode)) this.#deferNames(ino, true);
    else this.#names.record(ino);
  }

  #deferNames(ino: Ino, withAliases: boolean): void {
    this.#deferred.add(ino, withAliases);
    this.store.noteDeferred();
  }

  /** Writes the deferred entries, in turns with other work. */
  async #writeDeferred(): Promise<void> {
    const around = <R>(piece: () => R): R => this.#table.transaction(piece);
    for (let due = this.#deferred.next(); due !== undefined && !this.#isClosed; due = this.#deferred.next()) {
      const { ino, withAliases } = due;
      if (withAliases) await inTurns(this.#names.recording(ino), around);
      if (this.#isClosed) return;
      around(() => {
        const inode = this.#table.get(ino);
        if (inode !== undefined) this.#write(ino, inode, null, this.#states.get(ino));
        this.#deferred.done(ino);
      });
    }
  }

  /**
   * Moves the entries of special files and further names in a directory, because its id at the service, and so their place, has changed.
   */
  #folderReplaced(directory: Ino, old: string): void {
    for (const child of this.#table.children(directory)) if (isSpecial(child)) this.#record(child.ino, child);
    for (const { name, ino } of this.#table.further.after(directory, '', Number.MAX_SAFE_INTEGER)) {
      this.store.remove(old, name);
      this.#recordNames(ino);
    }
    // On services without ids a new folder in the old place has the old id: other machines' entries would then count again.
    for (const name of this.store.entriesOf(old).keys()) this.store.remove(old, name);
  }

  /**
   * Moves the entry of an object that a listing shows under another name or in another folder. If the machine that moved the object has
   * written a later entry of it, that one counts, and `apply` shows it.
   */
  #movedElsewhere(ino: Ino, before: Inode | null, inode: Omit<Inode, 'ino'>, state: RowState): void {
    const place = this.#placeOf(inode);
    const left = state.place ?? (before === null ? null : this.#placeOf(before));
    if (place === null || left === null || isSamePlace(left, place) || inode.remote === null) return;
    const { store } = this;
    const others = [store.entryOf(place.folder, place.name), store.entryOfObject(inode.remote.id)];
    const isTold = others.some((other) => other !== undefined && compareTimes(other.time, state.time) > 0);
    const isWithdrawn = !isTold && this.#isWithdrawn(left, state);
    if (isWithdrawn) this.#apply.withdrawn.add(ino);
    if (isTold || isWithdrawn) this.#states.put(ino, { place: null, time: state.time });
    else if (state.place !== null) this.#record(ino, inode, null, state);
  }

  /** True if the entry of the object's old name was removed or withdrawn by another machine, before that machine moved the object. */
  #isWithdrawn({ folder, name }: EntryPlace, { place, time }: RowState): boolean {
    const { store } = this;
    const said = store.entryOf(folder, name);
    if (said !== undefined) return said.entry.gone === true && compareTimes(said.time, time) > 0;
    return place === null && time !== noTime && store.recall<boolean>(carried) === true && store.isFolderKnown(folder);
  }

  /** True if an inode needs an entry although no program has set its times and it has no extended attributes. */
  #isOwnKind(inode: Omit<Inode, 'ino'>, isNew: boolean): boolean {
    return (
      !hasDefaultAttributes(inode, this.#defaults) ||
      isSpecial(inode) ||
      inode.furtherNames > 0 ||
      hasGivenName(inode) ||
      (inode.remote !== null && isEntryOnly(inode.remote)) ||
      // A directory made here: such a service shows it only when a file is in it.
      (inode.kind === 'directory' && this.#impliesFolders && isNew && inode.overlay.mtime !== null)
    );
  }

  #record(ino: Ino, inode: Omit<Inode, 'ino'>, before: Omit<Inode, 'ino'> | null = null, known?: RowState): void {
    // A changed first name is not deferred: its old entry says that it is a further name, or removed.
    if (DeferredNames.areMany(inode) && !hasMoved(before, inode)) this.#deferNames(ino, false);
    else this.#write(ino, inode, before, known ?? this.#states.get(ino));
  }

  #write(ino: Ino, inode: Omit<Inode, 'ino'>, before: Omit<Inode, 'ino'> | null, state: RowState | undefined): void {
    const place = this.#placeOf(inode);
    const left = state?.place ?? (before === null ? null : this.#placeOf(before));
    if (left !== null && !isSamePlace(left, place)) {
      // The service has the object: a later listing may show its place.
      if (place === null && inode.remote !== null) return;
      this.#removeFrom(left, before?.remote ?? inode.remote, state);
      if (place === null) this.#states.remove(ino);
    }
    if (place === null) return;
    if (state !== undefined && this.#isNeedless(ino, inode, place, state)) {
      this.store.remove(place.folder, place.name);
      this.#states.remove(ino);
      return;
    }
    const { xattrs } = this.#table;
    const values = new Map(xattrs.names(ino).map((name) => [name, xattrs.get(ino, name) ?? new Uint8Array()]));
    const names = inode.furtherNames === 0 ? [] : this.#names.of(ino);
    const entry = entryOfInode(inode, place, values, names);
    // A change that changes nothing must not win over an entry that another machine has written meanwhile.
    const isUnchanged =
      state?.place != null &&
      before !== null &&
      left !== null &&
      isSameEntry(entry, entryOfInode(before, left, values, names));
    if (isUnchanged) return;
    const time = this.store.put(entry);
    const shown: LogicalTime | undefined = time ?? this.store.entryOf(place.folder, place.name)?.time;
    if (shown !== undefined) this.#states.put(ino, { place, time: shown });
  }

  /**
   * True if the account has no entry of a file yet, and needs none. Many programs save so: they make a file for its owner alone, and
   * then give it the default mode.
   */
  #isNeedless(ino: Ino, inode: Omit<Inode, 'ino'>, place: EntryPlace, state: RowState): boolean {
    return (
      inode.kind === 'file' &&
      state.place !== null &&
      !state.timesSet &&
      !this.#isOwnKind(inode, false) &&
      this.#table.xattrs.names(ino).length === 0 &&
      this.store.isUntold(place.folder, place.name)
    );
  }

  /** Removes an inode's entry from a place. If another object has the name by now, the entry is that object's, and stays. */
  #removeFrom({ folder, name }: EntryPlace, object: RemoteEntry | null, state: RowState | undefined): void {
    if (state !== undefined && this.#table.isMerging) {
      this.#leave({ folder, name }, state);
      return;
    }
    const own = this.store.ownEntryOf(folder, name);
    const id = own?.entry.id;
    // An entry later than the one that the inode shows describes the object that has the name now.
    if (own !== undefined && state?.place != null && compareTimes(own.time, state.time) > 0) return;
    const isOthers = id !== undefined && id !== object?.id;
    if (isOthers && !(isEntryOnly({ id }) && this.#table.byRemote('file', id) === undefined)) return;
    this.store.remove(folder, name);
  }

  /** The place of an inode's entry; null if the inode has no name, or the service lacks its folder or its object. */
  #placeOf(inode: Omit<Inode, 'ino'>): EntryPlace | null {
    const { parent, remote, name } = inode;
    if (parent === null)
      return remote?.kind === 'folder' && remote.parentId === null ? { folder: remote.id, name: rootEntryName } : null;
    const folder = this.#table.get(parent)?.remote;
    if (folder == null || (remote === null && !isSpecial(inode))) return null;
    return { folder: folder.id, name: remote?.name ?? name };
  }
}

function isSamePlace(a: EntryPlace, b: EntryPlace | null): boolean {
  return b !== null && a.folder === b.folder && a.name === b.name;
}

function isSameEntry(a: NewEntry, b: NewEntry): boolean {
  return isSameState({ ...a, clock: [0, 0] }, { ...b, clock: [0, 0] });
}

/** True if the first name, its folder, or the object has changed. */
function hasMoved(before: Omit<Inode, 'ino'> | null, after: Omit<Inode, 'ino'>): boolean {
  if (before === null) return false;
  return before.parent !== after.parent || before.name !== after.name || before.remote !== after.remote;
}
