/**
 * Connects the inode table with the metadata store of the account.
 *
 * - A change of an inode on this machine becomes an entry, in the transaction that makes the change: `InodeTable` and `XattrTable`
 *   call `changed`.
 * - When a folder was listed, entries that are later than what its inodes show are applied to them (`ApplyEntries`).
 *
 * An inode has an entry when its mode or owner differ from the mount's defaults, when it has extended attributes, when a program has
 * set its times, or when the service has no object of it. Times of a content that nobody set are the service's business. Editors give
 * each file that they save the mode and owner that it has anyway: that alone makes no entry.
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
import { CarriedNames } from './carried-names.js';
import { type EntryPlace, entryOfInode, hasGivenName, rootEntryName } from './entry-of-inode.js';
import { ImpliedDirectories } from './implied-directories.js';
import { PutOffNames } from './put-off-names.js';
import { type RowState, RowStates } from './row-states.js';
import { UnknownNames } from './unknown-names.js';

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
  readonly #names: CarriedNames;
  /** Null where the service has directories. */
  readonly #implied: ImpliedDirectories | null;
  readonly #apply: ApplyEntries;
  readonly #putOff: PutOffNames;
  /** Names of hard links that other machines have given. */
  readonly unknownNames: UnknownNames;
  #isClosed = false;

  constructor({ table, store, provider, defaults }: AccountMetadataOptions) {
    this.#table = table;
    this.#defaults = defaults;
    this.store = store;
    this.#impliesFolders = provider.capabilities.folders === 'implied';
    this.#states = new RowStates(table.sql);
    this.#names = new CarriedNames(table, store);
    this.#putOff = new PutOffNames(table.sql);
    store.puttingOff = { count: () => this.#putOff.size, write: () => this.#writePutOff() };
    this.#apply = new ApplyEntries({ table, store, provider, states: this.#states, names: this.#names });
    const record = (directory: Inode): void => this.#record(directory.ino, directory);
    this.#implied = this.#impliesFolders
      ? new ImpliedDirectories({ table, store, states: this.#states, record })
      : null;
    this.unknownNames = new UnknownNames({
      ...{ table, store, names: this.#names },
      quietly: (act) => this.#apply.quietly(act),
      placeOf: (inode) => this.#placeOf(inode),
    });
    table.onFurtherName = (ino, left, given) => {
      if (this.#apply.isApplying || table.isMerging) return;
      if (left !== null) this.#names.removed(left);
      if (left !== null) this.unknownNames.noteRemoved(ino);
      // The entries of the others say where the first name is, which has not changed.
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
   * A program has set the times of the inode: they are more than the time of the last write. Not where it has set them to now before
   * the content is stored, as touch(1) does with a new file: the service's own time says as much.
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

  /** The service's ids of the folders around a folder, nearest first. */
  static near(table: InodeTable, folder: string): string[] {
    const inode = table.byRemote('folder', folder);
    if (inode === undefined) return [];
    return [...table.upwards(inode.ino)].slice(1).flatMap(({ remote }) => remote?.id ?? []);
  }

  /** A name in a folder of the service, with the way to it; null where that is not known. */
  placeOf(folder: string, name: string): NamePlace | null {
    const inode = this.#table.byRemote('folder', folder);
    return inode === undefined ? null : this.#names.placeOf(inode.ino, name);
  }

  /**
   * Before the first listing: drops the entries of what has gone, and carries where the files are that have no object. A listing shows
   * them by their entries.
   */
  begin(): void {
    const { store } = this;
    this.#table.transaction(() => {
      this.#dropOrphans();
      store.forgetFolders();
      if (store.recall<boolean>(carried) !== true) for (const ino of this.#states.entryOnly()) this.#carry(ino);
    });
  }

  /** Carries what this machine has kept to itself so far. For the start of a mount. Takes turns with other work. */
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
    // Nobody knows any more who has set its times.
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
   * An inode is at its place no more, as a listing tells: what is said of it there goes. What was said of the place later than the inode
   * shows is of what has its name now.
   */
  #leave({ folder, name }: EntryPlace, { time }: Pick<RowState, 'time'>): void {
    const { store } = this;
    const isLater = (said: TimedEntry | undefined): boolean => said !== undefined && compareTimes(said.time, time) > 0;
    if (isLater(store.ownEntryOf(folder, name))) return;
    if (isLater(store.entryOf(folder, name))) store.removeOwn(folder, name);
    else store.remove(folder, name);
  }

  /** The database is about to be closed. */
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
    // A listing brings many new objects: none of them has an entry here.
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

  /** The names of an inode have changed, or their places: its entry lists them, and each has one of its own. */
  #recordNames(ino: Ino): void {
    const inode = this.#table.get(ino);
    if (inode === undefined) return;
    this.#recordFurther(ino, inode);
    this.#record(ino, inode);
  }

  /** The first name or the object is another one, of which the entry of each further name tells. */
  #recordFurther(ino: Ino, inode: Omit<Inode, 'ino'>): void {
    if (PutOffNames.areMany(inode)) this.#putOffNames(ino, true);
    else this.#names.record(ino);
  }

  #putOffNames(ino: Ino, withAliases: boolean): void {
    this.#putOff.add(ino, withAliases);
    this.store.putOff();
  }

  /** Writes the entries that were put off. Takes turns with other work. */
  async #writePutOff(): Promise<void> {
    const around = <R>(piece: () => R): R => this.#table.transaction(piece);
    for (let due = this.#putOff.next(); due !== undefined && !this.#isClosed; due = this.#putOff.next()) {
      const { ino, withAliases } = due;
      if (withAliases) await inTurns(this.#names.recording(ino), around);
      if (this.#isClosed) return;
      around(() => {
        const inode = this.#table.get(ino);
        if (inode !== undefined) this.#write(ino, inode, null, this.#states.get(ino));
        this.#putOff.done(ino);
      });
    }
  }

  /** The directory got another id at the service: so did the places of what the service does not know in it. */
  #folderReplaced(directory: Ino, old: string): void {
    for (const child of this.#table.children(directory)) if (isSpecial(child)) this.#record(child.ino, child);
    for (const { name, ino } of this.#table.further.after(directory, '', Number.MAX_SAFE_INTEGER)) {
      this.store.remove(old, name);
      this.#recordNames(ino);
    }
    // What other machines have said of it would be true again of a new folder in its place.
    for (const name of this.store.entriesOf(old).keys()) this.store.remove(old, name);
  }

  /**
   * A listing shows the object under another name or in another folder: its entry goes with it. Not where a machine that moved it has
   * done that already, or knows more by now: then `apply` shows what it says.
   */
  #movedElsewhere(ino: Ino, before: Inode | null, inode: Omit<Inode, 'ino'>, state: RowState): void {
    const place = this.#placeOf(inode);
    const left = state.place ?? (before === null ? null : this.#placeOf(before));
    if (place === null || left === null || isSamePlace(left, place) || inode.remote === null) return;
    const { store } = this;
    const others = [store.entryOf(place.folder, place.name), store.entryOfObject(inode.remote.id)];
    const isTold = others.some((other) => other !== undefined && compareTimes(other.time, state.time) > 0);
    const isTakenBack = !isTold && this.#isTakenBack(left, state);
    if (isTakenBack) this.#apply.takenBack.add(ino);
    if (isTold || isTakenBack) this.#states.put(ino, { place: null, time: state.time });
    else if (state.place !== null) this.#record(ino, inode, null, state);
  }

  /** Had another machine dropped what it, or this one, said of the name that the object has left, before it moved the object? */
  #isTakenBack({ folder, name }: EntryPlace, { place, time }: RowState): boolean {
    const { store } = this;
    const said = store.entryOf(folder, name);
    if (said !== undefined) return said.entry.gone === true && compareTimes(said.time, time) > 0;
    return place === null && time !== noTime && store.recall<boolean>(carried) === true && store.isFolderKnown(folder);
  }

  /** Does an inode have an entry without anybody's asking? */
  #isOwnKind(inode: Omit<Inode, 'ino'>, isNew: boolean): boolean {
    return (
      !hasDefaultAttributes(inode, this.#defaults) ||
      isSpecial(inode) ||
      inode.furtherNames > 0 ||
      hasGivenName(inode) ||
      (inode.remote !== null && isEntryOnly(inode.remote)) ||
      // Made here: the service has it only once a file is in it.
      (inode.kind === 'directory' && this.#impliesFolders && isNew && inode.overlay.mtime !== null)
    );
  }

  #record(ino: Ino, inode: Omit<Inode, 'ino'>, before: Omit<Inode, 'ino'> | null = null, known?: RowState): void {
    // The entry of a name that becomes the first is written at once: until then it would say that the name is a further one, or gone.
    if (PutOffNames.areMany(inode) && !hasMoved(before, inode)) this.#putOffNames(ino, false);
    else this.#write(ino, inode, before, known ?? this.#states.get(ino));
  }

  #write(ino: Ino, inode: Omit<Inode, 'ino'>, before: Omit<Inode, 'ino'> | null, state: RowState | undefined): void {
    const place = this.#placeOf(inode);
    const left = state?.place ?? (before === null ? null : this.#placeOf(before));
    if (left !== null && !isSamePlace(left, place)) {
      // The service has the object: a listing may show where.
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
    // What another machine has written meanwhile is later than a change that changes nothing.
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
   * A file that was made for its owner alone and then got the mode of all files, as programs save: the account has no entry of it yet,
   * and needs none.
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

  /** The name may be another object's by now: then its entry stays. */
  #removeFrom({ folder, name }: EntryPlace, object: RemoteEntry | null, state: RowState | undefined): void {
    if (state !== undefined && this.#table.isMerging) {
      this.#leave({ folder, name }, state);
      return;
    }
    const own = this.store.ownEntryOf(folder, name);
    const id = own?.entry.id;
    // An entry that is later than what the inode shows is of what has the name now.
    if (own !== undefined && state?.place != null && compareTimes(own.time, state.time) > 0) return;
    const isOthers = id !== undefined && id !== object?.id;
    if (isOthers && !(isEntryOnly({ id }) && this.#table.byRemote('file', id) === undefined)) return;
    this.store.remove(folder, name);
  }

  /** Null where the inode has no name, or the service does not know its folder or itself yet. */
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

/** Has the first name, its place, or the object changed? */
function hasMoved(before: Omit<Inode, 'ino'> | null, after: Omit<Inode, 'ino'>): boolean {
  if (before === null) return false;
  return before.parent !== after.parent || before.name !== after.name || before.remote !== after.remote;
}
