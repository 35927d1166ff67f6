/**
 * Applies entries of the metadata store to the inodes of a folder that was just listed: of each name's entries the latest, if it is later
 * than the one that the inode shows. An entry without an object at the service becomes an inode, and goes with its removal or withdrawal.
 */
import { codeOf } from '../../base/errors.js';
import { entriesPerTurn, inTurns, turn } from '../../base/event-loop-turns.js';
import type { MetadataEntry, TimedEntry } from '../../metadata/entry.js';
import { compareTimes, type LogicalTime, noTime } from '../../metadata/logical-time.js';
import { carried, type MetadataStore } from '../../metadata/store.js';
import type { Provider } from '../../providers/provider.js';
import type { FurtherName } from '../../tree/further-names.js';
import { emptyOverlay, type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { AppliedMetadata } from '../../tree/listed-metadata.js';
import type { FirstAttributes, ListedRow } from '../../tree/listed-rows.js';
import { isLocalName } from '../../tree/local-names.js';
import { EntryDirectories } from './entry-directories.js';
import { appliedTo, inodeKindOf, isMadeAs, rootEntryName, specialOf } from './entry-of-inode.js';
import { firstAttributesOf } from './first-attributes.js';
import { FreedNames } from './freed-names.js';
import type { LinkEntries } from './link-entries.js';
import { movedFrom } from './moved-objects.js';
import { isShown, type RowStates } from './row-states.js';
import { showName } from './shown-names.js';
import { type ListedFolder, UnappliedEntries, type UnappliedEntry } from './unapplied-entries.js';

/** The entries of one page. The event loop has a turn after fewer than two pages. */
const PAGE = entriesPerTurn / 2;

export interface ApplyEntriesOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly states: RowStates;
  readonly names: LinkEntries;
  readonly provider: Pick<Provider, 'capabilities' | 'createFolder' | 'remove'>;
}

/** The folder whose entries are applied, and the changes so far. */
interface Work extends ListedFolder {
  readonly names: string[];
  readonly attributes: Ino[];
  /** Entries of further names whose inode no listing has shown yet. */
  readonly toFind: TimedEntry[];
  /** Implied directories (implied-directories.ts) to make and to remove after the rest. */
  readonly toMake: TimedEntry[];
  /** `by`: the entry of the name that counts, if there is one. */
  readonly toRemove: { readonly inode: Inode; readonly by?: TimedEntry }[];
}

export class ApplyEntries {
  /** True while changes of the table come from entries: they become no entries. */
  isApplying = false;
  readonly #o: ApplyEntriesOptions;
  readonly #unapplied: UnappliedEntries;
  readonly #directories: EntryDirectories;
  readonly #freed: FreedNames;
  /** Objects that another machine has moved, after it had removed or withdrawn the entry of the old name. */
  readonly withdrawn = new Set<Ino>();
  /** Folders to which this machine's own entries were applied. Once a mount is enough, because this only restores lost rows. */
  readonly #ownDone = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ApplyEntriesOptions) {
    this.#o = options;
    this.#unapplied = new UnappliedEntries(options.table.sql);
    this.#directories = new EntryDirectories(options);
    this.#freed = new FreedNames(options);
    options.table.firstAttributes = (directory, rows) => this.#first(directory, rows);
  }

  #first(directory: Ino, rows: readonly ListedRow[]): FirstAttributes | null {
    const first = firstAttributesOf(this.#o, directory, rows);
    return first && { ...first, inserted: (inos) => this.quietly(() => first.inserted(inos)) };
  }

  /** True if the service has directories only through the files in them. */
  get #impliesFolders(): boolean {
    return this.#o.provider.capabilities.folders === 'implied';
  }

  /**
   * Applies a directory's entries. `list` lists another directory: one with a first name that is needed here, or one that has to go.
   */
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
    await this.#removeDirectories(work, list);
    for (const timed of work.toMake) await this.#makeDirectory(work, timed);
    // After the directories were made: names may lie in them.
    for (const timed of work.toFind) await this.#findAndAdd(work, timed, list);
    table.transaction(() => this.quietly(() => this.#retract(work)));
    if (this.#impliesFolders) work.toRemove.push(...this.#freed.untold(work));
    await this.#removeDirectories(work, list);
    table.transaction(() => {
      this.quietly(() => work.names.push(...this.#freed.giveBack(directory, work.names)));
      store.applied(folder);
    });
    return work;
  }

  /** True if the content of a name is not stored yet. Then it is newer than any removal by another machine. */
  #isOurs({ ino }: FurtherName): boolean {
    const inode = this.#o.table.get(ino);
    return inode !== undefined && inode.remote === null && !isSpecial(inode);
  }

  /**
   * Undoes entries that their machines have withdrawn: removes their names without an object. This needs all of this machine's metadata
   * in the store (`carried`), else such a name may be this machine's own.
   */
  #retract(work: Work): void {
    const { table, store, states } = this.#o;
    for (const ino of this.withdrawn) {
      const row = table.get(ino);
      if (row?.parent !== work.directory || !this.withdrawn.delete(ino)) continue;
      this.#showDefaults(work, row, states.get(ino)?.time ?? noTime);
    }
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
      // The inode may show an entry of another machine that cannot be read now.
      if (row === undefined || shown === undefined || shown.place !== null || !isShown(time, shown.time)) continue;
      this.#takeBack(work, row, time);
    }
  }

  /** Runs one folder after the other, with a turn of the event loop between them: many may have waited for the same pack. */
  #oneByOne(act: () => Promise<void>): Promise<void> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => undefined).then(turn);
    return done;
  }

  /** Makes changes of the table that become no entries. */
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
        const { entries, next } = this.#unapplied.after(machine, other === null, work, after, PAGE);
        if (entries.length > 0) this.#applyPage(work, machine, entries);
        after = next;
        sinceTurn += next === null ? entries.length : PAGE;
        if (sinceTurn < PAGE) continue;
        yield;
        sinceTurn = 0;
      }
    }
  }

  #applyPage(work: Work, machine: string, unapplied: readonly UnappliedEntry[]): void {
    const { table, store, states } = this.#o;
    const entries = store.entriesOfNames(
      work.folder,
      unapplied.map(({ name }) => name),
    );
    for (const { name, id, wall, counter } of unapplied) {
      const time = { wall, counter, machine };
      // The query for many names does not find a name with a NUL.
      const timed = entries.get(name) ?? store.entryOf(work.folder, name);
      const named = timed && this.#applyName(work, timed, table.child(work.directory, name));
      if (timed === undefined || named === null) continue;
      const row = this.#rowOf(work, name, id, named);
      const isDone = row !== undefined && isShown(states.get(row.ino)?.time, time);
      if (isDone && (row.name === name || row.parent !== work.directory)) continue;
      // If another machine's entry of the name counts, the pass over that machine's entries applies it.
      if (timed.entry.belongs === undefined && compareTimes(timed.time, time) === 0)
        this.#apply(work, timed, row, isDone);
    }
  }

  /**
   * Adds or removes a further name, as the entry that counts says. Answers null if nothing else of the entry has to be applied; else the
   * inode that has the name now. `holder`: the inode that had it before.
   */
  #applyName(work: Work, timed: TimedEntry, holder: Inode | undefined): Inode | undefined | null {
    const { table, names } = this.#o;
    const { name } = timed.entry;
    const found = table.further.find(work.directory, name);
    const named = found === undefined ? holder : undefined;
    // The common case: the folder has the entry's object.
    if (name === rootEntryName || (named?.remote != null && timed.entry.alias !== true)) return holder;
    if (timed.entry.alias !== true) {
      if (found === undefined) return holder;
      const isGone = timed.entry.gone === true;
      // Content of this machine that is not stored yet is newer. The object that has the name now may not be listed yet.
      const isMade = this.#needsNoObject(timed.entry) || this.#isElse(work, timed.entry, found.ino);
      if (this.#isOurs(found) || !(isGone || isMade)) return null;
      table.removeName(found);
      work.names.push(name);
      work.attributes.push(found.ino);
      return isGone ? null : undefined;
    }
    if (named !== undefined && this.#isImplied(named)) {
      work.toRemove.push({ inode: named, by: timed });
      return null;
    }
    const inode = names.find(timed.entry);
    if (inode === undefined) {
      if (found === undefined && named === undefined) work.toFind.push(timed);
      return null;
    }
    if (found?.ino === inode.ino || named?.ino === inode.ino) return null;
    if (named !== undefined && !isSpecial(named)) return null;
    // Another machine has replaced one by the other.
    if (named !== undefined) this.#detach(work, named);
    if (found !== undefined) table.removeName(found);
    this.#addName(work, inode.ino, name);
    return null;
  }

  /** True if the entry's object is another inode of the directory. */
  #isElse({ directory }: Work, { id, kind }: MetadataEntry, ino: Ino): boolean {
    const object = id === undefined ? undefined : this.#o.table.byRemote(kind === 'file' ? 'file' : 'folder', id);
    return object !== undefined && object.parent === directory && object.ino !== ino;
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
   * Adds a further name after listing the folder of its first name, as a walk of the tree would. Only folders that were never listed are
   * waited for, so no two folders wait for each other.
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

  /** The inode of an entry: by its object, in whatever folder that is by now; else by its name. */
  #rowOf({ directory }: Work, name: string, id: string | null, named: Inode | undefined): Inode | undefined {
    const { table } = this.#o;
    if (name === rootEntryName) return table.get(directory);
    if (id === null || named?.remote?.id === id) return named;
    return table.byRemote('file', id) ?? table.byRemote('folder', id) ?? named;
  }

  /** `isDone`: the row already shows the entry, under another name. */
  #apply(work: Work, timed: TimedEntry, row: Inode | undefined, isDone = false): void {
    const { entry, time } = timed;
    if (entry.gone === true) {
      if (row?.name === entry.name) this.#takeBack(work, row, time, timed);
      else for (const moved of movedFrom(this.#o, work, entry.name)) this.#showDefaults(work, moved.row, moved.time);
      return;
    }
    const isShown = row !== undefined && isMadeAs(row, entry);
    if (isShown && !isDone) this.#show(work, row, timed);
    // The object may be gone, or in another folder.
    if (isShown ? row.name === entry.name || row.parent !== work.directory : !this.#needsNoObject(entry)) return;
    const holder = this.#o.table.child(work.directory, entry.name);
    // Another machine has removed the holder of the name, and then made this entry's inode.
    if (holder !== undefined && this.#isImplied(holder)) work.toRemove.push({ inode: holder, by: timed });
    if (holder !== undefined && isSpecial(holder)) this.#detach(work, holder);
    else if (holder !== undefined) return;
    if (!isShown && isSpecial({ kind: inodeKindOf(entry.kind) })) this.#insert(work, timed);
    else if (!isShown) work.toMake.push(timed);
  }

  #isImplied({ kind }: Inode): boolean {
    return kind === 'directory' && this.#impliesFolders;
  }

  /**
   * Undoes an entry that no longer counts. The inode that has the name now may be another one than the entry described: others may have
   * come and gone unseen.
   */
  #takeBack(work: Work, row: Inode, time: LogicalTime, by?: TimedEntry): void {
    if (isSpecial(row)) this.#detach(work, row);
    else if (this.#isImplied(row)) work.toRemove.push({ inode: row, ...(by && { by }) });
    else this.#showDefaults(work, row, time);
  }

  /** Resets attributes: the object has replaced the one that had them, or has another content now. */
  #showDefaults({ attributes }: Work, { ino, remote, localSize }: Inode, time: LogicalTime): void {
    const { table, states } = this.#o;
    // Content that this machine is about to store is newer.
    if (remote === null || localSize !== null || states.get(ino) === undefined) return;
    table.update(ino, { overlay: emptyOverlay });
    for (const name of table.xattrs.names(ino)) table.xattrs.remove(ino, name);
    states.reset(ino, time);
    attributes.push(ino);
  }

  #detach({ names }: Work, inode: Inode): void {
    this.#forget(inode);
    names.push(inode.name);
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
    this.#o.names.addListed(ino, timed);
    attributes.push(ino);
  }

  async #makeDirectory(work: Work, timed: TimedEntry): Promise<void> {
    const { table } = this.#o;
    const { name } = timed.entry;
    const folder = await this.#directories.make(work.folder, name);
    if (folder === null) return;
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

  #forget({ ino }: Inode): void {
    this.#o.table.update(ino, { parent: null, remote: null });
    this.#o.states.remove(ino);
  }

  async #removeDirectories(work: Work, list: (directory: Ino) => Promise<void>): Promise<void> {
    const { table } = this.#o;
    const forgetBelow = (below: Inode): void => table.transaction(() => this.quietly(() => this.#forget(below)));
    // During the directory's first listing, directories below it could wait for it.
    const listing = table.get(work.directory)?.listedAt === null ? null : list;
    for (const { inode, by } of work.toRemove.splice(0)) {
      const canGo = await this.#directories.remove(inode, listing, forgetBelow);
      table.transaction(() =>
        this.quietly(() => {
          if (canGo && !table.hasChildren(inode.ino)) {
            this.#forget(inode);
            work.names.push(inode.name);
            const named = by && by.entry.gone !== true ? this.#applyName(work, by, undefined) : null;
            if (by !== undefined && named !== null)
              this.#apply(work, by, this.#rowOf(work, inode.name, by.entry.id ?? null, named));
          } else if (by?.entry.gone === true) this.#showDefaults(work, inode, by.time);
        }),
      );
    }
  }
}
