/**
 * Applies entries of the metadata store to the inodes of a folder that was just listed. The last writer wins: of each name the entry with
 * the highest logical time, if it is later than what the inode shows. Entries without an object at the service become inodes, and go with their removal.
 */
import { codeOf } from '../../base/errors.js';
import { entriesPerTurn, inTurns, turn } from '../../base/event-loop-turns.js';
import type { MetadataEntry, TimedEntry } from '../../metadata/entry.js';
import { compareTimes, type LogicalTime } from '../../metadata/logical-time.js';
import { carried, type MetadataStore } from '../../metadata/store.js';
import type { Provider, RemoteEntry, RemoteFolder } from '../../providers/provider.js';
import type { FurtherName } from '../../tree/further-names.js';
import { type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { AppliedMetadata } from '../../tree/listed-metadata.js';
import type { FirstAttributes, ListedRow } from '../../tree/listed-rows.js';
import { isLocalName } from '../../tree/local-names.js';
import type { CarriedNames } from './carried-names.js';
import { appliedTo, inodeKindOf, rootEntryName, specialOf } from './entry-of-inode.js';
import { firstAttributesOf } from './first-attributes.js';
import type { RowStates } from './row-states.js';
import { showName } from './shown-names.js';
import { UnshownEntries, type UnshownEntry } from './unshown-entries.js';

/** Entries that are looked at before the event loop has a turn: fewer than two pages. */
const PAGE = entriesPerTurn / 2;

export interface ApplyEntriesOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly states: RowStates;
  readonly names: CarriedNames;
  readonly provider: Pick<Provider, 'capabilities' | 'createFolder' | 'remove'>;
}

/** Where entries are applied, and what that changed. */
interface Work {
  readonly directory: Ino;
  readonly folder: string;
  readonly names: string[];
  readonly attributes: Ino[];
  /** Further names of inodes that no listing has shown yet. */
  readonly toFind: TimedEntry[];
  /** Directories of a service that has none but by their files: made and removed after the rest. */
  readonly toMake: TimedEntry[];
  readonly toRemove: Inode[];
}

export class ApplyEntries {
  /** The changes that are being made come from an entry. */
  isApplying = false;
  readonly #o: ApplyEntriesOptions;
  readonly #unshown: UnshownEntries;
  /** Folders to which this machine's own entries were applied: that restores lost rows alone, so once for each mount is enough. */
  readonly #ownDone = new Set<string>();
  /** The end of the last folder's work on the table. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ApplyEntriesOptions) {
    this.#o = options;
    this.#unshown = new UnshownEntries(options.table.sql);
    options.table.firstAttributes = (directory, rows) => this.#first(directory, rows);
  }

  #first(directory: Ino, rows: readonly ListedRow[]): FirstAttributes | null {
    const first = firstAttributesOf(this.#o, directory, rows);
    return first && { ...first, inserted: (inos) => this.quietly(() => first.inserted(inos)) };
  }

  /** The service has no directories but by their files. */
  get #impliesFolders(): boolean {
    return this.#o.provider.capabilities.folders === 'implied';
  }

  /** `list` lists another directory. It is called for those that were never listed and hold the first name of a further one. */
  async to(directory: Ino, list: (directory: Ino) => Promise<void>): Promise<AppliedMetadata> {
    const { table, store } = this.#o;
    const folder = table.get(directory)?.remote?.id;
    if (folder === undefined) return { names: [], attributes: [] };
    const machines: (string | null)[] = store.machinesOf(folder);
    if (!this.#ownDone.has(folder)) machines.push(null);
    this.#ownDone.add(folder);
    const work: Work = { directory, folder, names: [], attributes: [], toFind: [], toMake: [], toRemove: [] };
    const around = <R>(piece: () => R): R => table.transaction(() => this.quietly(piece));
    if (machines.length > 0) await this.#oneByOne(() => inTurns(this.#applying(work, machines), around));
    for (const timed of work.toMake) await this.#makeDirectory(work, timed);
    // After the directories are there: names may lie in them.
    for (const timed of work.toFind) await this.#findAndAdd(work, timed, list);
    table.transaction(() => this.quietly(() => this.#retract(work)));
    for (const inode of work.toRemove) await this.#removeDirectory(work, inode);
    table.transaction(() => store.applied(folder));
    return work;
  }

  /**
   * A listing is about to be merged: further names of the directory go that another machine has removed, or given to an object. The
   * object would get another name.
   */
  dropSuperseded(folder: RemoteFolder, objects: readonly RemoteEntry[]): void {
    const { table, store } = this.#o;
    const directory = table.byRemote('folder', folder.id);
    if (directory === undefined || table.further.countIn(directory.ino) === 0) return;
    const idOf = new Map(objects.map(({ name, id }) => [name, id]));
    table.transaction(() =>
      this.quietly(() => {
        for (const found of table.further.after(directory.ino, '', Number.MAX_SAFE_INTEGER)) {
          const entry = store.entryOf(folder.id, found.name)?.entry;
          const isObject = entry?.alias !== true && entry?.id !== undefined && entry.id === idOf.get(found.name);
          if (isObject || (entry?.gone === true && !this.#isOurs(found))) table.removeName(found);
        }
      }),
    );
  }

  /** What is not stored yet is newer than any removal by another machine. */
  #isOurs({ ino }: FurtherName): boolean {
    const inode = this.#o.table.get(ino);
    return inode !== undefined && inode.remote === null && !isSpecial(inode);
  }

  /**
   * Takes back what another machine's entry has brought and nobody says any more: a name without an object. Only where everything of
   * this machine has an entry, else it may be this machine's own.
   */
  #retract(work: Work): void {
    const { table, store, states } = this.#o;
    if (store.recall<boolean>(carried) !== true) return;
    for (const { name, time } of store.retractionsOf(work.folder)) {
      if (store.entryOf(work.folder, name) !== undefined) continue;
      const found = table.further.find(work.directory, name);
      if (found !== undefined && !this.#isOurs(found)) {
        table.removeName(found);
        work.names.push(name);
        work.attributes.push(found.ino);
      }
      const row = table.child(work.directory, name);
      const shown = row && states.get(row.ino);
      // What it shows may come from another machine's entry that cannot be read now.
      if (row === undefined || shown === undefined || shown.place !== null || !isShown(time, shown.time)) continue;
      if (isSpecial(row)) this.#detach(work, row);
      else if (row.kind === 'directory' && this.#impliesFolders) work.toRemove.push(row);
    }
  }

  /** Many folders may have waited for the same pack: the event loop has a turn between any two of them. */
  #oneByOne(act: () => Promise<void>): Promise<void> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => undefined).then(turn);
    return done;
  }

  /** Changes of the table that become no entries. */
  quietly<T>(act: () => T): T {
    this.isApplying = true;
    try {
      return act();
    } finally {
      this.isApplying = false;
    }
  }

  *#applying(work: Work, machines: readonly (string | null)[]): Generator<void, void> {
    const { store } = this.#o;
    let sinceTurn = 0;
    for (const other of machines) {
      const machine = other ?? store.machine;
      for (let after: string | null = ''; after !== null; ) {
        const { entries, next } = this.#unshown.after(machine, other === null, work, after, PAGE);
        if (entries.length > 0) this.#applyUnshown(work, machine, entries);
        after = next;
        sinceTurn += next === null ? entries.length : PAGE;
        if (sinceTurn < PAGE) continue;
        yield;
        sinceTurn = 0;
      }
    }
  }

  #applyUnshown(work: Work, machine: string, unshown: readonly UnshownEntry[]): void {
    const { table, store, states } = this.#o;
    const entries = store.entriesOfNames(
      work.folder,
      unshown.map(({ name }) => name),
    );
    for (const { name, id, wall, counter } of unshown) {
      const time = { wall, counter, machine };
      // A name with a NUL is not found together with others.
      const timed = entries.get(name) ?? store.entryOf(work.folder, name);
      const named = timed && this.#applyName(work, timed, table.child(work.directory, name));
      if (timed === undefined || named === null) continue;
      const row = this.#rowOf(work, name, id, named);
      if (row !== undefined && isShown(states.get(row.ino)?.time, time)) continue;
      // Where another machine's entry of the name counts, it has its turn, or had it.
      if (timed.entry.belongs === undefined && compareTimes(timed.time, time) === 0) this.#apply(work, timed, row);
    }
  }

  /**
   * Null where the entry that counts is of a further name, or the name stays one here: then nothing else is to be applied. Else the inode that
   * has the name now. `holder`: the one that had it before.
   */
  #applyName(work: Work, timed: TimedEntry, holder: Inode | undefined): Inode | undefined | null {
    const { table, names } = this.#o;
    const { name } = timed.entry;
    const found = table.further.find(work.directory, name);
    const named = found === undefined ? holder : undefined;
    // Most entries are of objects that the folder holds.
    if (name === rootEntryName || named?.remote != null) return holder;
    if (timed.entry.alias !== true) {
      if (found === undefined) return holder;
      const isGone = timed.entry.gone === true;
      // What has an object now comes with the listing.
      if (this.#isOurs(found) || (!isGone && !this.#needsNoObject(timed.entry))) return null;
      table.removeName(found);
      work.names.push(name);
      work.attributes.push(found.ino);
      return isGone ? null : undefined;
    }
    const inode = names.find(timed.entry);
    if (inode === undefined) {
      if (found === undefined && named === undefined) work.toFind.push(timed);
      return null;
    }
    if (found?.ino === inode.ino || named?.ino === inode.ino) return null;
    if (named !== undefined && !isSpecial(named)) return null;
    // Another machine has put the one in the place of the other.
    if (named !== undefined) this.#detach(work, named);
    if (found !== undefined) table.removeName(found);
    this.#addName(work, inode.ino, name);
    return null;
  }

  #needsNoObject({ kind }: Pick<MetadataEntry, 'kind'>): boolean {
    return isSpecial({ kind: inodeKindOf(kind) }) || (kind === 'directory' && this.#impliesFolders);
  }

  #addName(work: Work, ino: Ino, name: string): void {
    const { table } = this.#o;
    if (!isLocalName(name) || table.child(work.directory, name) !== undefined) return;
    table.addName(ino, work.directory, name);
    work.names.push(name);
    work.attributes.push(ino);
  }

  /**
   * Lists the folder of the first name, as a walk of the tree would. A folder whose entries are being applied waits for none that was
   * listed before, so no two of them wait for each other.
   */
  async #findAndAdd(work: Work, { entry }: TimedEntry, list: (directory: Ino) => Promise<void>): Promise<void> {
    const { table, names } = this.#o;
    const { of } = entry;
    const add = (): void => {
      const inode = names.find(entry);
      if (inode !== undefined) this.#addName(work, inode.ino, entry.name);
    };
    const directory = of && table.transaction(() => this.quietly(() => names.directoryOf(of)));
    if (directory?.listedAt === null) {
      try {
        await list(directory.ino);
      } catch (error) {
        // Another client has removed the folder.
        if (codeOf(error) !== 'not-found') throw error;
      }
    }
    table.transaction(() => this.quietly(add));
  }

  /** Adds the hard links that an inode's entry lists, except names of which a later entry says otherwise. */
  #addListedNames({ ino }: Inode, { entry, time }: TimedEntry): void {
    const { table, store, names } = this.#o;
    for (const place of entry.names ?? []) {
      const latest = store.entryOf(place.folder, place.name);
      if (latest !== undefined && latest.entry.alias !== true && compareTimes(latest.time, time) > 0) continue;
      const directory = isLocalName(place.name) ? names.directoryOf(place) : undefined;
      if (directory !== undefined && !table.isTaken(directory.ino, place.name))
        table.addName(ino, directory.ino, place.name);
    }
  }

  /** By the object, wherever it is by now; else by the name. */
  #rowOf({ directory }: Work, name: string, id: string | null, named: Inode | undefined): Inode | undefined {
    const { table } = this.#o;
    if (name === rootEntryName) return table.get(directory);
    if (id === null || named?.remote?.id === id) return named;
    return table.byRemote('file', id) ?? table.byRemote('folder', id) ?? named;
  }

  #apply(work: Work, timed: TimedEntry, row: Inode | undefined): void {
    const { entry } = timed;
    const kind = inodeKindOf(entry.kind);
    if (entry.gone === true) {
      if (row === undefined || row.name !== entry.name) return;
      // Whatever it was: what was removed last may have been made and removed without this machine seeing it.
      if (isSpecial(row)) this.#detach(work, row);
      else if (row.kind === kind && kind === 'directory' && this.#impliesFolders) work.toRemove.push(row);
      return;
    }
    if (row === undefined) {
      if (isSpecial({ kind })) this.#insert(work, timed);
      else if (kind === 'directory' && this.#impliesFolders) work.toMake.push(timed);
      return;
    }
    if (!isSpecial(row)) {
      if (row.kind === kind) this.#show(work, row, timed);
    } else if (isSameSpecial(row, specialOf(entry))) this.#show(work, row, timed);
    else if (isSpecial({ kind }) && row.name === entry.name) {
      // Another machine has removed the one and made the other: another inode, because the kernel remembers where a link points.
      this.#detach(work, row);
      this.#insert(work, timed);
    }
  }

  #detach({ names }: Work, { ino, name }: Inode): void {
    this.#o.table.update(ino, { parent: null });
    this.#o.states.remove(ino);
    names.push(name);
  }

  #insert(work: Work, { entry, time }: TimedEntry): void {
    const { table } = this.#o;
    if (!isLocalName(entry.name)) return;
    const made = table.insert({ parent: work.directory, name: entry.name, ...specialOf(entry) });
    work.names.push(entry.name);
    this.#show(work, made, { entry, time });
  }

  #show({ directory, names, attributes }: Work, row: Inode, timed: TimedEntry): void {
    const { table, states } = this.#o;
    const { entry, time } = timed;
    const { ino } = row;
    const { overlay, xattrs } = appliedTo(row, entry);
    table.update(ino, { overlay });
    names.push(...showName(table, directory, row, entry));
    for (const name of table.xattrs.names(ino)) if (!xattrs.has(name)) table.xattrs.remove(ino, name);
    for (const [name, value] of xattrs) table.xattrs.set(ino, name, value);
    states.put(ino, { place: states.get(ino)?.place ?? null, time, timesSet: entry.mtime !== undefined });
    this.#addListedNames(row, timed);
    attributes.push(ino);
  }

  /** No request: the service has no folders but by their files. */
  async #makeDirectory(work: Work, timed: TimedEntry): Promise<void> {
    const { table, provider } = this.#o;
    const { name } = timed.entry;
    let remote = null;
    try {
      remote = await provider.createFolder(work.folder, name, { priority: 'background' });
    } catch (error) {
      // A file has come by that name, or a folder of which the next listing tells.
      if (codeOf(error) === 'exists' || codeOf(error) === 'invalid-name') return;
      throw error;
    }
    const folder = remote;
    table.transaction(() =>
      this.quietly(() => {
        if (table.child(work.directory, name) !== undefined || table.byRemote('folder', folder.id) !== undefined)
          return;
        const made = table.insert({ parent: work.directory, name, kind: 'directory', remote: folder });
        work.names.push(name);
        this.#show(work, made, timed);
      }),
    );
  }

  async #removeDirectory(work: Work, { ino, remote, name }: Inode): Promise<void> {
    const { table, provider, states } = this.#o;
    if (remote === null || table.hasChildren(ino)) return;
    try {
      await provider.remove(remote, { priority: 'background', onlyEmpty: true });
    } catch (error) {
      // Another client has put a file into it meanwhile.
      if (codeOf(error) === 'exists') return;
      throw error;
    }
    table.transaction(() =>
      this.quietly(() => {
        if (table.hasChildren(ino)) return;
        table.update(ino, { parent: null, remote: null });
        states.remove(ino);
        work.names.push(name);
      }),
    );
  }
}

function isSameSpecial(
  a: Pick<Inode, 'kind' | 'target' | 'rdev'>,
  b: Pick<Inode, 'kind' | 'target' | 'rdev'>,
): boolean {
  return a.kind === b.kind && a.rdev === b.rdev && Buffer.compare(a.target ?? nothing, b.target ?? nothing) === 0;
}

const nothing = new Uint8Array();

function isShown(shown: LogicalTime | undefined, time: LogicalTime): boolean {
  return shown !== undefined && compareTimes(shown, time) >= 0;
}
