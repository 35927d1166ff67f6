/**
 * The metadata store of an account, as one machine sees it. What is put is durable here with the caller's transaction, and in the
 * account a little later.
 *
 * A machine writes files of its own only, so machines never overwrite each other; readers take the latest entry of each name.
 */
import { type Clock, SteadyTime } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { type Sql, transactionsOf } from '../base/sqlite.js';
import { orAborted } from '../providers/or-aborted.js';
import type { Priority, Provider, RemoteEntry, RemoteFolder } from '../providers/provider.js';
import { isSameState, type MetadataEntry, type NewEntry, type TimedEntry, timeOf, unknownFieldsOf } from './entry.js';
import { HiddenFolder, isHiddenFolder } from './hidden-folder.js';
import { compareTimes, type LogicalTime, laterOf, noTime, timeAfter } from './logical-time.js';
import { latestByName } from './merge.js';
import { MetadataReader, newMachineId } from './reader.js';
import type { Retraction } from './retractions.js';
import { writeTime } from './schedule.js';
import { StoreUpkeep } from './store-upkeep.js';
import { MetadataTables, type NamedTime } from './tables.js';
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
  readonly #folder: HiddenFolder;
  readonly #reader: MetadataReader;
  readonly #writer: MetadataWriter;
  readonly #upkeep: StoreUpkeep;
  readonly #time: SteadyTime;
  readonly #closing = new AbortController();
  #clock: LogicalTime;
  #firstChange: number | null = null;
  #lastChange = 0;
  #lastWrite: number | null = null;
  #failures = 0;
  #lastFailure = 0;
  #error: string | null = null;
  #background: Promise<void> | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: MetadataStoreOptions) {
    this.#o = options;
    const { sql, provider, clock, log, root } = options;
    const transaction = transactionsOf(sql);
    this.#time = new SteadyTime(clock);
    this.#tables = new MetadataTables(sql);
    this.#tables.machine = this.#tables.recall<string>('machine') ?? newMachineId();
    this.#tables.remember('machine', this.#tables.machine);
    this.#clock = this.#tables.recall<LogicalTime>('clock') ?? noTime;
    this.#folder = new HiddenFolder(provider, this.#tables, root);
    const parts = { tables: this.#tables, provider, folder: this.#folder, transaction };
    this.#reader = new MetadataReader({ ...parts, clock, log, observe: (time) => this.#observe(time) });
    this.#writer = new MetadataWriter({ ...parts, reader: this.#reader, near: options.near });
    this.#upkeep = new StoreUpkeep({ ...parts, reader: this.#reader, writer: this.#writer, clock });
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
      if (isLost) this.#changed();
    }
    return entries.filter((entry) => entry !== found);
  }

  /** Resolves when what machines have stored about a folder is here, or cannot be had now. Rejects with `aborted` only. */
  async prepare(folder: string, priority: Priority, signal?: AbortSignal): Promise<void> {
    await orAborted(this.#reader.prepare(folder, { priority, signal: this.#closing.signal }), signal);
    if (this.#tables.unwritten() > 0) this.#changed();
  }

  /**
   * As `prepare`, but what machines had stored `maxAge` ms ago is certain to be here, or the promise rejects with the provider's error.
   */
  async prepareAnew(folder: string, maxAge: number, signal?: AbortSignal): Promise<void> {
    const options = { priority: 'foreground', signal: this.#closing.signal } as const;
    await orAborted(this.#reader.prepareAnew(folder, maxAge, options), signal);
    if (this.#tables.unwritten() > 0) this.#changed();
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

  /** Machines with entries of a folder, for `timesAfter`. */
  machinesOf(folder: string): string[] {
    return this.#tables.machinesOf(folder);
  }

  /** At most `limit` entries of a folder after a name, of this machine (null) or another one. */
  timesAfter(machine: string | null, folder: string, name: string, limit: number): NamedTime[] {
    return this.#tables.timesAfter(machine, folder, name, limit);
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
    return latest(this.#tables.entriesOfObject(id).filter(({ entry }) => entry.gone !== true && entry.alias !== true));
  }

  /** All entries of a name, and all that are bound to an object, of all machines; removals are not among them. */
  entriesAbout(folder: string, name: string, id: string | undefined): TimedEntry[] {
    const ofObject = id === undefined ? [] : this.#tables.entriesOfObject(id);
    return [...this.#tables.entriesOfName(folder, name), ...ofObject].filter(({ entry }) => entry.gone !== true);
  }

  /**
   * Notes what is known of a name from now on. Part of the caller's transaction. Answers its time: null where the same was known
   * already. Fields that this version does not know stay.
   */
  put(entry: NewEntry): LogicalTime | null {
    const before = latest(this.#tables.entriesOfName(entry.folder, entry.name));
    const unknown = before === undefined || before.entry.gone === true ? {} : unknownFieldsOf(before.entry);
    const whole = { ...unknown, ...entry } as Omit<MetadataEntry, 'clock'>;
    if (before !== undefined && isSameState({ ...whole, clock: [0, 0] } as MetadataEntry, before.entry)) return null;
    return this.#write(whole);
  }

  /** The name is gone. A removal is noted where another machine's entry would bring it back, or where that is not known. */
  remove(folder: string, name: string): LogicalTime | null {
    const tables = this.#tables;
    const own = tables.own(folder, name);
    const isKnownToOthers = tables.isKnownToOthers(folder, name);
    if (!isKnownToOthers && own === undefined) return null;
    if (!isKnownToOthers && tables.isFolderKnown(folder)) {
      tables.removeOwn(folder, name);
      this.#changed();
      return null;
    }
    const before = latest(tables.entriesOfName(folder, name));
    if (before === undefined || before.entry.gone === true) return before?.time ?? null;
    return this.#write({ folder, name, kind: before.entry.kind, gone: true });
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
    if (superseded.length > 0) this.#changed();
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
    this.#changed();
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
    return this.#background === null;
  }

  status(): MetadataStatus {
    const refused = [...this.#reader.refusedMachines];
    return {
      pending: this.#tables.unwritten(),
      ...(this.#error === null ? {} : { error: this.#error }),
      ...(refused.length === 0 ? {} : { refused }),
    };
  }

  /**
   * Begins to write what an earlier mount has left, to look for what others have removed from the account since, and the upkeep.
   */
  start(): void {
    if (this.#tables.unwritten() > 0) this.#changed();
    if (!this.#o.readOnly && this.#tables.hasOwn()) this.#background ??= this.#lookAfterOwn();
  }

  async #lookAfterOwn(): Promise<void> {
    try {
      await this.#reader.refresh({ priority: 'background', signal: this.#closing.signal });
    } catch (error) {
      // The next listing looks again.
      this.#o.log.debug({ code: codeOf(error) }, `the metadata in the account: ${messageOf(error)}`);
    }
    await this.#tidy();
    this.#background = null;
    if (this.#tables.unwritten() > 0) this.#changed();
  }

  /** Merges and drops what is due. What that changes is written like every other change. */
  async #tidy(): Promise<void> {
    const { signal } = this.#closing;
    const work = this.#writing.then(() => this.#upkeep.run({ priority: 'background', signal }));
    this.#writing = work.catch(() => undefined);
    try {
      await work;
    } catch (error) {
      // It is tried again after the next write.
      this.#o.log.debug({ code: codeOf(error) }, `the upkeep of the metadata in the account: ${messageOf(error)}`);
    }
    if (this.#tables.unwritten() > 0) this.#noteChange();
  }

  /** Writes all changes until now to the account. Throws the provider's error. */
  flush(priority: Priority = 'foreground', signal?: AbortSignal): Promise<void> {
    if (this.#o.readOnly) return Promise.resolve();
    const either = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
    const work = this.#writing.then(() => this.#flush(priority, either));
    this.#writing = work.catch(() => undefined);
    return work;
  }

  async #flush(priority: Priority, signal: AbortSignal): Promise<void> {
    if (this.#tables.unwritten() === 0) return;
    this.#firstChange = null;
    try {
      await this.#writer.write({ priority, signal });
      this.#lastWrite = this.#time.now();
      this.#failures = 0;
      this.#error = null;
    } catch (error) {
      this.#failures++;
      this.#lastFailure = this.#time.now();
      this.#error = messageOf(error);
      throw error;
    } finally {
      if (this.#tables.unwritten() > 0) this.#noteChange();
    }
  }

  #noteChange(): void {
    this.#lastChange = this.#time.now();
    this.#firstChange ??= this.#lastChange;
  }

  #changed(): void {
    this.#noteChange();
    if (this.#o.readOnly || this.#closing.signal.aborted) return;
    this.#background ??= this.#writeInBackground().finally(() => {
      this.#background = null;
    });
  }

  async #writeInBackground(): Promise<void> {
    const { clock, log, provider } = this.#o;
    const { signal } = this.#closing;
    // The caller's transaction ends first.
    await Promise.resolve();
    while (!signal.aborted && this.#tables.unwritten() > 0) {
      const firstChange = this.#firstChange ?? this.#time.now();
      const at = writeTime({
        firstChange,
        lastChange: this.#lastChange,
        lastWrite: this.#lastWrite,
        failures: this.#failures,
        lastFailure: this.#lastFailure,
        limit: provider.metrics().rateLimit,
      });
      const wait = at - this.#time.now();
      try {
        if (wait > 0) await clock.sleep(wait, signal);
        else {
          await this.flush('background');
          await this.#tidy();
        }
      } catch (error) {
        if (signal.aborted) return;
        const text = `the metadata is not in the account yet, and will be tried again: ${messageOf(error)}`;
        if (this.#failures === 1) log.warn({ code: codeOf(error) }, text);
        else log.debug({ code: codeOf(error), failures: this.#failures }, text);
      }
    }
  }

  /** Ends background work. What is not written waits for the next mount. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the mount ends'));
    await this.#writing;
    await this.#background?.catch(() => undefined);
  }
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
