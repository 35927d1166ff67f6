/**
 * The metadata store of an account, as one machine sees it. What is put is durable here with the caller's transaction, and in the
 * account a little later.
 *
 * A machine writes files of its own only, so machines never overwrite each other; readers take the latest entry of each name.
 */
import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import { type Sql, transactionsOf } from '../base/sqlite.js';
import { orAborted } from '../providers/or-aborted.js';
import type { Priority, Provider, RemoteEntry, RemoteFolder } from '../providers/provider.js';
import { BackgroundWriting } from './background-writing.js';
import { isSameState, type MetadataEntry, type NewEntry, type TimedEntry, timeOf, unknownFieldsOf } from './entry.js';
import { EntryNames } from './entry-names.js';
import { HiddenFolder, isHiddenFolder } from './hidden-folder.js';
import { compareTimes, type LogicalTime, laterOf, noTime, timeAfter } from './logical-time.js';
import { latestByName } from './merge.js';
import { MetadataReader, newMachineId } from './reader.js';
import type { Retraction } from './retractions.js';
import { StoreUpkeep } from './store-upkeep.js';
import { MetadataTables } from './tables.js';
import { MetadataWriter } from './writer.js';

/** Under this name the state remembers that all of this machine's metadata is in the store. */
export const carried = 'carried';

export interface MetadataStoreOptions {
  readonly sql: Sql;
  readonly provider: Provider;
  readonly clock: Clock;
  readonly log: Log;
  /** The account's root. */
  readonly root: RemoteFolder;
  /** Nothing is written to the account. */
  readonly readOnly: boolean;
  /** The folders around a folder, nearest first. */
  readonly near: (folder: string) => readonly string[];
}

/** Entries that take long to make, and may change again: `write` puts them into the store. */
export interface PuttingOff {
  count(): number;
  write(): Promise<void>;
}

/** What is not in the account yet. */
export interface MetadataStatus {
  /** Changes. */
  readonly pending: number;
  /** Why the last attempt failed. */
  readonly error?: string;
  /** Machines whose metadata a later version of the program wrote: it cannot be read here. */
  readonly refused?: readonly string[];
}

export class MetadataStore {
  readonly #o: MetadataStoreOptions;
  readonly #tables: MetadataTables;
  readonly #transaction: <T>(act: () => T) => T;
  /** Finds entries by what their names begin with. */
  readonly names: EntryNames;
  readonly #folder: HiddenFolder;
  readonly #reader: MetadataReader;
  readonly #writing: BackgroundWriting;
  readonly #closing = new AbortController();
  /** Entries that are written only before the store's files are. */
  puttingOff: PuttingOff = { count: () => 0, write: () => Promise.resolve() };
  #clock: LogicalTime;

  constructor(options: MetadataStoreOptions) {
    this.#o = options;
    const { sql, provider, clock, log, root } = options;
    const transaction = transactionsOf(sql);
    this.#transaction = transaction;
    this.names = new EntryNames(sql);
    this.#tables = new MetadataTables(sql);
    this.#tables.putOff = () => this.puttingOff.count();
    this.#tables.machine = this.#tables.recall<string>('machine') ?? newMachineId();
    this.#tables.remember('machine', this.#tables.machine);
    this.#clock = this.#tables.recall<LogicalTime>('clock') ?? noTime;
    this.#folder = new HiddenFolder(provider, this.#tables, root);
    const parts = { tables: this.#tables, provider, folder: this.#folder, transaction };
    this.#reader = new MetadataReader({ ...parts, clock, log, observe: (time) => this.#observe(time) });
    const writer = new MetadataWriter({ ...parts, reader: this.#reader, near: options.near });
    const upkeep = new StoreUpkeep({ ...parts, reader: this.#reader, writer, clock });
    const { readOnly } = options;
    const closing = this.#closing.signal;
    this.#writing = new BackgroundWriting({
      ...parts,
      clock,
      log,
      reader: this.#reader,
      writer,
      upkeep,
      writePutOff: () => this.puttingOff.write(),
      readOnly,
      closing,
    });
  }

  /** This machine's id in the store. */
  get machine(): string {
    return this.#tables.machine;
  }

  /**
   * A listing of the account's root has come: the store's folder is taken out of it. Where the folder is missing, other clients have
   * removed it, and what this machine has is written again.
   */
  learnRoot(entries: readonly RemoteEntry[]): RemoteEntry[] {
    const found = entries.find((entry) => isHiddenFolder(entry, this.#o.root.id));
    this.#folder.learn(found?.kind === 'folder' ? found : null);
    if (found === undefined) {
      let isLost = false;
      for (const { pack, file } of this.#tables.ownPacks()) {
        if (file === null) continue;
        isLost = true;
        this.#tables.setFile(pack, null);
        this.#tables.noteChange(pack);
      }
      if (isLost) this.#writing.changed();
    }
    return entries.filter((entry) => entry !== found);
  }

  /**
   * Resolves when what machines have stored about a folder is here, or cannot be had now: see `retryIn`. Rejects with `aborted` only.
   */
  async prepare(folder: string, priority: Priority, signal?: AbortSignal): Promise<void> {
    await orAborted(this.#reader.prepare(folder, { priority, signal: this.#closing.signal }), signal);
    if (this.#tables.unwritten() > 0) this.#writing.changed();
  }

  /**
   * As `prepare`, but what machines had stored `maxAge` ms ago is certain to be here, or the promise rejects with the provider's error.
   */
  async prepareAnew(folder: string, maxAge: number, signal?: AbortSignal): Promise<void> {
    const options = { priority: 'foreground', signal: this.#closing.signal } as const;
    await orAborted(this.#reader.prepareAnew(folder, maxAge, options), signal);
    if (this.#tables.unwritten() > 0) this.#writing.changed();
  }

  /** In how many ms what could not be read about a folder may be had; null where nothing is missing. */
  retryIn(folder: string): number | null {
    return this.#reader.retryIn(folder);
  }

  /** Does the account hold a store, as far as is known? */
  get isFound(): boolean {
    return this.#folder.known !== null;
  }

  /** Is anything known of any object? */
  hasEntries(): boolean {
    return this.#tables.hasAny();
  }

  /** The entry that counts for each name of a folder; removals among them. */
  entriesOf(folder: string): Map<string, TimedEntry> {
    return latestByName(this.#tables.entriesOf(folder));
  }

  /** The entry that counts for a name. */
  entryOf(folder: string, name: string): TimedEntry | undefined {
    return latest(this.#tables.entriesOfName(folder, name));
  }

  /** This machine's entry of a name. */
  ownEntryOf(folder: string, name: string): TimedEntry | undefined {
    return this.#tables.own(folder, name);
  }

  /** Other machines with entries of a folder. */
  machinesOf(folder: string): string[] {
    return this.#tables.machinesOf(folder);
  }

  /** Has any machine an entry of the folder? */
  hasEntriesOf(folder: string): boolean {
    return this.#tables.hasEntriesOf(folder);
  }

  /** The entry that counts for each of some names of a folder: one query. */
  entriesOfNames(folder: string, names: readonly string[]): Map<string, TimedEntry> {
    return latestByName(this.#tables.entriesOfNames(folder, names));
  }

  /** Was everything read that machines have stored of the folder? */
  isFolderKnown(folder: string): boolean {
    return this.#tables.isFolderKnown(folder);
  }

  /** How often entries have changed since the mount. */
  get changes(): number {
    return this.#tables.changes;
  }

  /** What a part of the program keeps with the store's state. */
  remember(name: string, value: unknown): void {
    this.#tables.remember(name, value);
  }

  recall<T>(name: string): T | null {
    return this.#tables.recall<T>(name);
  }

  /** The latest entry that is bound to an object, wherever it was when that was written. */
  entryOfObject(id: string): TimedEntry | undefined {
    return latest(this.#tables.entriesOfObject(id).filter(isOfObject));
  }

  /** All entries of a name, and all that tell of the names of an object, of all machines; removals are not among them. */
  entriesAbout(folder: string, name: string, id: string | undefined): TimedEntry[] {
    const ofObject = id === undefined ? [] : this.#tables.soughtByObject(id);
    return [...this.#tables.entriesOfName(folder, name), ...ofObject].filter(({ entry }) => entry.gone !== true);
  }

  /**
   * Notes what is known of a name from now on. Part of the caller's transaction. Answers its time: null where the same was known
   * already. Fields that this version does not know stay.
   */
  put(entry: NewEntry): LogicalTime | null {
    const before = latest(this.#tables.entriesOfName(entry.folder, entry.name));
    const kept = before === undefined || before.entry.gone === true ? {} : keptFieldsOf(before.entry, entry);
    const whole = { ...kept, ...entry } as Omit<MetadataEntry, 'clock'>;
    if (before !== undefined && isSameState({ ...whole, clock: [0, 0] } as MetadataEntry, before.entry)) return null;
    return this.#write(whole);
  }

  /** An entry was put off: it is written with the next files. */
  putOff(): void {
    this.#writing.changed();
  }

  /** The name is gone. A removal is noted where another machine's entry would bring it back, or where that is not known. */
  remove(folder: string, name: string): LogicalTime | null {
    const tables = this.#tables;
    const own = tables.own(folder, name);
    const isKnownToOthers = tables.isKnownToOthers(folder, name);
    if (!isKnownToOthers && own === undefined) return null;
    if (!isKnownToOthers && tables.isFolderKnown(folder)) {
      tables.removeOwn(folder, name);
      this.#writing.changed();
      return null;
    }
    const before = latest(tables.entriesOfName(folder, name));
    if (before === undefined || before.entry.gone === true) return before?.time ?? null;
    return this.#write({ folder, name, kind: before.entry.kind, gone: true });
  }

  /** This machine says nothing of the name any more; what others say counts. */
  removeOwn(folder: string, name: string): void {
    this.#tables.removeOwn(folder, name);
    this.#writing.changed();
  }

  /** As `remove`, where other machines may show the name without an entry: the removal is noted in any case. */
  removeListed(folder: string, name: string): void {
    const before = latest(this.#tables.entriesOfName(folder, name));
    if (before?.entry.gone !== true) this.#write({ folder, name, kind: before?.entry.kind ?? 'directory', gone: true });
  }

  /** Has this machine an entry of the name that the account does not have yet, in any form? */
  isUnwritten(folder: string, name: string): boolean {
    return this.#tables.isUnplaced(folder, name);
  }

  /** Does nobody but this machine know anything of the name? Then the entry of it can go without a trace. */
  isUntold(folder: string, name: string): boolean {
    const tables = this.#tables;
    return this.isUnwritten(folder, name) && tables.isFolderKnown(folder) && !tables.isKnownToOthers(folder, name);
  }

  /** As `put`, in a transaction of its own. */
  hold(entry: NewEntry): void {
    this.#transaction(() => this.put(entry));
  }

  /** As `remove`, in a transaction of its own. */
  dropHeld(folder: string, name: string): void {
    this.#transaction(() => this.remove(folder, name));
  }

  /**
   * What machines have said of a folder and say no more, where all that they have stored of it was read: so it is not in another
   * of their files.
   */
  retractionsOf(folder: string): Retraction[] {
    const { retractions } = this.#tables;
    const machines = retractions.machinesOf(folder).filter((machine) => this.#tables.isFolderKnownOf(machine, folder));
    return machines.flatMap((machine) => retractions.of(folder, machine));
  }

  /**
   * The folder shows all that is known of it: retractions are done with, and so are this machine's entries that another machine's
   * removal supersedes. Part of the caller's transaction.
   */
  applied(folder: string): void {
    const tables = this.#tables;
    for (const machine of tables.retractions.machinesOf(folder))
      if (tables.isFolderKnownOf(machine, folder)) tables.retractions.forget(folder, machine);
    const superseded = tables.supersededIn(folder);
    for (const name of superseded) tables.removeOwn(folder, name);
    if (superseded.length > 0) this.#writing.changed();
  }

  /** Drops what was kept of folders that are gone. */
  forgetFolders(): void {
    this.#tables.retractions.forgetFolders();
  }

  #write(entry: Omit<MetadataEntry, 'clock'>): LogicalTime {
    this.#observe(timeAfter(this.#clock, this.#o.clock.now(), this.machine));
    const { wall, counter } = this.#clock;
    const whole = { ...entry, clock: [wall, counter] } as MetadataEntry;
    this.#tables.putOwn(whole);
    this.#writing.changed();
    return timeOf(whole, this.machine);
  }

  #observe(time: LogicalTime): void {
    const later = laterOf(this.#clock, time);
    if (compareTimes(later, this.#clock) === 0) return;
    this.#clock = later;
    this.#tables.remember('clock', later);
  }

  /** Is nothing being written or looked after? */
  get isIdle(): boolean {
    return this.#writing.isIdle;
  }

  status(): MetadataStatus {
    const refused = [...this.#reader.refusedMachines];
    const { error } = this.#writing;
    return {
      pending: this.#tables.unwritten(),
      ...(error === null ? {} : { error }),
      ...(refused.length === 0 ? {} : { refused }),
    };
  }

  /**
   * Begins to write what an earlier mount has left, to look for what others have removed from the account since, and the upkeep.
   */
  start(): void {
    if (this.#tables.unwritten() > 0) this.#writing.changed();
    if (!this.#o.readOnly && this.#tables.hasOwn()) this.#writing.lookAfterOwn();
  }

  /** Writes all changes until now to the account. Throws the provider's error. */
  flush(priority: Priority = 'foreground', signal?: AbortSignal): Promise<void> {
    return this.#writing.flush(priority, signal);
  }

  /**
   * For `fsync` of a directory: the same, unless that failed a moment ago or would take requests that others need. Then it is done later,
   * as where it fails. Resolves in any case.
   */
  sync(signal?: AbortSignal): Promise<void> {
    return this.#writing.sync(signal);
  }

  /** Ends background work. What is not written waits for the next mount. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the mount ends'));
    await this.#writing.ended();
  }
}

/** Does the entry say what an object is like where it is? */
function isOfObject({ entry }: TimedEntry): boolean {
  return entry.gone !== true && entry.alias !== true && entry.belongs === undefined;
}

/** What stays of an entry when another takes its place: what this version does not know, and where the object belongs. */
function keptFieldsOf(before: MetadataEntry, { id }: NewEntry): Partial<MetadataEntry> {
  const { belongs } = before;
  return { ...unknownFieldsOf(before), ...(belongs === undefined || before.id !== id ? {} : { belongs }) };
}

function latest(entries: readonly TimedEntry[]): TimedEntry | undefined {
  let found: TimedEntry | undefined;
  for (const timed of entries) if (found === undefined || compareTimes(timed.time, found.time) > 0) found = timed;
  return found;
}

/** The mount keeps its metadata to itself: the next one that does not has to carry what it changes. */
export function forgetCarried(sql: Sql): void {
  new MetadataTables(sql).remember(carried, false);
}
