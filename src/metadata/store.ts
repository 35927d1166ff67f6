/**
 * The metadata store of an account, as one machine sees it. docs/metadata-format.md has the format; the concepts are:
 * - An *entry* (entry.ts) holds the metadata of one name in a folder. Its *clock* is a logical time (logical-time.ts).
 * - A *pack* (pack-file.ts) is a file of entries in the account's hidden folder. Pack 0 of a machine is its *index*.
 * - A machine writes only its own packs (writer.ts), so machines never overwrite each other, and reads those of all (reader.ts).
 * - Of several machines' entries of a name the latest *counts* (merge.ts). An entry with `gone` is a *removal*: a tombstone.
 * - *Upkeep* (upkeep.ts) merges small packs and drops old removals.
 * A change is durable on this machine with the caller's transaction, and reaches the account a little later (schedule.ts).
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

/** The key under which the state notes that all of this machine's metadata is in the store. */
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
  /** The folders above a folder, nearest first. */
  readonly near: (folder: string) => readonly string[];
}

/** Deferred entries: they take long to make, and may soon change again. `write` puts them into the store. */
export interface DeferredEntries {
  count(): number;
  write(): Promise<void>;
}

/** The state of this machine's metadata in the account. */
export interface MetadataStatus {
  /** The number of changes that the account does not have yet. */
  readonly pending: number;
  /** Why the last attempt failed. */
  readonly error?: string;
  /** Machines with files that this version cannot read: a later version of the program wrote them. */
  readonly refused?: readonly string[];
}

export class MetadataStore {
  readonly #o: MetadataStoreOptions;
  readonly #tables: MetadataTables;
  readonly #transaction: <T>(act: () => T) => T;
  /** Finds entries by a prefix. */
  readonly names: EntryNames;
  readonly #folder: HiddenFolder;
  readonly #reader: MetadataReader;
  readonly #writing: BackgroundWriting;
  readonly #closing = new AbortController();
  /** Deferred entries: made just before the store's files are written. */
  deferredEntries: DeferredEntries = { count: () => 0, write: () => Promise.resolve() };
  #clock: LogicalTime;

  constructor(options: MetadataStoreOptions) {
    this.#o = options;
    const { sql, provider, clock, log, root } = options;
    const transaction = transactionsOf(sql);
    this.#transaction = transaction;
    this.names = new EntryNames(sql);
    this.#tables = new MetadataTables(sql);
    this.#tables.deferredCount = () => this.deferredEntries.count();
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
      writeDeferred: () => this.deferredEntries.write(),
      readOnly,
      closing,
    });
  }

  /** This machine's id in the store. */
  get machine(): string {
    return this.#tables.machine;
  }

  /**
   * Takes the store's folder out of a listing of the account's root. If the folder is missing although this machine has files in it,
   * another client has removed it, and this machine writes its files again.
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

  /** Resolves when the entries of a folder are here, or cannot be read now: see `retryIn`. Rejects with `aborted` only. */
  async prepare(folder: string, priority: Priority, signal?: AbortSignal): Promise<void> {
    await orAborted(this.#reader.prepare(folder, { priority, signal: this.#closing.signal }), signal);
    if (this.#tables.unwritten() > 0) this.#writing.changed();
  }

  /** Like `prepare`, but all entries that were stored `maxAge` ms ago are certain to be here; else rejects with the provider's error. */
  async prepareAnew(folder: string, maxAge: number, signal?: AbortSignal): Promise<void> {
    const options = { priority: 'foreground', signal: this.#closing.signal } as const;
    await orAborted(this.#reader.prepareAnew(folder, maxAge, options), signal);
    if (this.#tables.unwritten() > 0) this.#writing.changed();
  }

  /** The time in ms until the missing entries of a folder may be read; null if none are missing. */
  retryIn(folder: string): number | null {
    return this.#reader.retryIn(folder);
  }

  /** True if the account is known to hold a store. */
  get isFound(): boolean {
    return this.#folder.known !== null;
  }

  /** True if any machine has an entry. */
  hasEntries(): boolean {
    return this.#tables.hasAny();
  }

  /** The entry that counts for each name of a folder, removals included. */
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

  /** True if any machine has an entry of the folder. */
  hasEntriesOf(folder: string): boolean {
    return this.#tables.hasEntriesOf(folder);
  }

  /** The entry that counts for each of some names of a folder: one query. */
  entriesOfNames(folder: string, names: readonly string[]): Map<string, TimedEntry> {
    return latestByName(this.#tables.entriesOfNames(folder, names));
  }

  /** True if all entries that other machines have stored of the folder were read. */
  isFolderKnown(folder: string): boolean {
    return this.#tables.isFolderKnown(folder);
  }

  /** Rises with each change of an entry. */
  get changes(): number {
    return this.#tables.changes;
  }

  /** Keeps a value with the store's state, for another part of the program. */
  remember(name: string, value: unknown): void {
    this.#tables.remember(name, value);
  }

  recall<T>(name: string): T | null {
    return this.#tables.recall<T>(name);
  }

  /** The latest entry that is bound to an object, whatever its place was then. */
  entryOfObject(id: string): TimedEntry | undefined {
    return latest(this.#tables.entriesOfObject(id).filter(isOfObject));
  }

  /** All machines' entries of a name, and those that tell of an object's names; without removals. */
  entriesAbout(folder: string, name: string, id: string | undefined): TimedEntry[] {
    const ofObject = id === undefined ? [] : this.#tables.soughtByObject(id);
    return [...this.#tables.entriesOfName(folder, name), ...ofObject].filter(({ entry }) => entry.gone !== true);
  }

  /**
   * Writes the entry of a name. Part of the caller's transaction. Answers the entry's time; null if the entry that counts is equal.
   * Fields that this version does not know stay.
   */
  put(entry: NewEntry): LogicalTime | null {
    const before = latest(this.#tables.entriesOfName(entry.folder, entry.name));
    const kept = before === undefined || before.entry.gone === true ? {} : keptFieldsOf(before.entry, entry);
    const whole = { ...kept, ...entry } as Omit<MetadataEntry, 'clock'>;
    if (before !== undefined && isSameState({ ...whole, clock: [0, 0] } as MetadataEntry, before.entry)) return null;
    return this.#write(whole);
  }

  /** Schedules a write for a deferred entry. */
  noteDeferred(): void {
    this.#writing.changed();
  }

  /**
   * Removes a name. Writes a removal only if another machine's entry would bring the name back, or if nobody knows whether there is one;
   * else drops this machine's entry.
   */
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

  /** Drops this machine's entry of a name, so that other machines' entries count. */
  removeOwn(folder: string, name: string): void {
    this.#tables.removeOwn(folder, name);
    this.#writing.changed();
  }

  /** Like `remove`, but always writes a removal: other machines may show the name without an entry. */
  removeListed(folder: string, name: string): void {
    const before = latest(this.#tables.entriesOfName(folder, name));
    if (before?.entry.gone !== true) this.#write({ folder, name, kind: before?.entry.kind ?? 'directory', gone: true });
  }

  /** True if this machine has an entry of the name that is in no pack yet. */
  isUnwritten(folder: string, name: string): boolean {
    return this.#tables.isUnplaced(folder, name);
  }

  /** True if only this machine has ever had an entry of the name: then that can go without a removal. */
  isUntold(folder: string, name: string): boolean {
    const tables = this.#tables;
    return this.isUnwritten(folder, name) && tables.isFolderKnown(folder) && !tables.isKnownToOthers(folder, name);
  }

  /** Like `put`, in a transaction of its own. */
  hold(entry: NewEntry): void {
    this.#transaction(() => this.put(entry));
  }

  /** Like `remove`, in a transaction of its own. */
  dropHeld(folder: string, name: string): void {
    this.#transaction(() => this.remove(folder, name));
  }

  /** The withdrawn entries of a folder, of machines whose entries of it were all read: so none is in another of their files. */
  retractionsOf(folder: string): Retraction[] {
    const { retractions } = this.#tables;
    const machines = retractions.machinesOf(folder).filter((machine) => this.#tables.isFolderKnownOf(machine, folder));
    return machines.flatMap((machine) => retractions.of(folder, machine));
  }

  /**
   * Notes that the folder shows all its entries. Drops its retractions, and this machine's entries that another machine's removal
   * supersedes. Part of the caller's transaction.
   */
  applied(folder: string): void {
    const tables = this.#tables;
    for (const machine of tables.retractions.machinesOf(folder))
      if (tables.isFolderKnownOf(machine, folder)) tables.retractions.forget(folder, machine);
    const superseded = tables.supersededIn(folder);
    for (const name of superseded) tables.removeOwn(folder, name);
    if (superseded.length > 0) this.#writing.changed();
  }

  /** Drops the retractions of folders that are gone. */
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

  /** True while neither a write nor upkeep runs in the background. */
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

  /** Starts to write the changes that an earlier mount left, to restore files that others removed from the account, and upkeep. */
  start(): void {
    if (this.#tables.unwritten() > 0) this.#writing.changed();
    if (!this.#o.readOnly && this.#tables.hasOwn()) this.#writing.checkOwnFiles();
  }

  /** Writes all changes until now to the account. Throws the provider's error. */
  flush(priority: Priority = 'foreground', signal?: AbortSignal): Promise<void> {
    return this.#writing.flush(priority, signal);
  }

  /**
   * Like `flush`, for `fsync` of a directory. If a write failed a moment ago, or few of the hour's requests are left, or this one fails,
   * the changes are written later. Always resolves.
   */
  sync(signal?: AbortSignal): Promise<void> {
    return this.#writing.sync(signal);
  }

  /** Ends background work. Unwritten changes wait for the next mount. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the mount ends'));
    await this.#writing.ended();
  }
}

/** True if the entry describes the object itself: it is no removal, no further name, and no note of a held object's place. */
function isOfObject({ entry }: TimedEntry): boolean {
  return entry.gone !== true && entry.alias !== true && entry.belongs === undefined;
}

/** The fields that stay when a new entry replaces an entry: unknown ones, and the place of a held object. */
function keptFieldsOf(before: MetadataEntry, { id }: NewEntry): Partial<MetadataEntry> {
  const { belongs } = before;
  return { ...unknownFieldsOf(before), ...(belongs === undefined || before.id !== id ? {} : { belongs }) };
}

function latest(entries: readonly TimedEntry[]): TimedEntry | undefined {
  let found: TimedEntry | undefined;
  for (const timed of entries) if (found === undefined || compareTimes(timed.time, found.time) > 0) found = timed;
  return found;
}

/** For a mount with `--metadata local`: the next mount with a store must write entries for what this one changes. */
export function forgetCarried(sql: Sql): void {
  new MetadataTables(sql).remember(carried, false);
}
