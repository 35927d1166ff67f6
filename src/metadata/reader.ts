/**
 * Reads the other machines' files: the list of files when it is stale, an index when it has changed, and a pack when a program looks
 * at one of its folders. The entries stay in the state database.
 *
 * The list also shows whether this machine's own files are as it stored them:
 * - A missing file is written again.
 * - If another machine wrote one, both machines have the same id (a copied disk). Then this machine takes a new id, and writes its
 *   entries under that. The old files are read as another machine's.
 */
import { randomBytes } from 'node:crypto';
import { type Clock, steadyTimeOf } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import { entriesPerTurn, forEachInTurns, inTurns, Pieces } from '../base/event-loop-turns.js';
import type { Log } from '../base/log.js';
import { ProviderError } from '../providers/errors.js';
import { type Provider, type RemoteFile, revisionKey, YOUNG_MS } from '../providers/provider.js';
import { isSameRevision } from '../providers/revision.js';
import { type EntryLine, timeOf } from './entry.js';
import type { HiddenFolder } from './hidden-folder.js';
import { type LogicalTime, laterOf, noTime } from './logical-time.js';
import { decodePack, type PackContent, type PackHeader, parsePackName } from './pack-file.js';
import { md5Of, readWhole, type TransferOptions } from './pack-transfer.js';
import { indexPack } from './placement.js';
import type { FolderPlace, MetadataTables } from './tables.js';

/** How long the list of files is fresh, ms. A new list costs a request, and shows other machines' changes. */
const LIST_TTL_MS = 60_000;
/**
 * The back-off after a failure, ms, doubled by each further one. Folders are shown without a new attempt: `ls` stays quick while offline.
 */
const PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;

/** How often a damaged file is fetched if the service has no md5 of it: the damage may have happened on the way. */
const DAMAGED_ATTEMPTS = 3;
/** The number of entries in one statement: more gain little. */
const ENTRIES_AT_ONCE = 64;
/** How often list and fetch are repeated if another machine changes a file between them. */
const LIST_ATTEMPTS = 3;

export interface ReaderOptions {
  readonly tables: MetadataTables;
  readonly provider: Provider;
  readonly folder: HiddenFolder;
  readonly clock: Clock;
  readonly log: Log;
  readonly transaction: <T>(act: () => T) => T;
  /** Receives the latest time in each file that is read, before its entries are in the tables. */
  readonly observe: (time: LogicalTime) => void;
}

export class MetadataReader {
  readonly #o: ReaderOptions;
  #listedAt = Number.NEGATIVE_INFINITY;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #failures = 0;
  /** Folders for which the last `prepare` failed. */
  readonly #unread = new Set<string>();
  #listing: Promise<void> | null = null;
  /** The number of files read so far, and for each folder that number when its unlisted entries were last retracted. */
  #loads = 0;
  readonly #retractedAt = new Map<string, number>();
  /** Fetches in flight, by file name and revision (single-flight). */
  readonly #loading = new Map<string, Promise<void>>();
  /**
   * Files that were read so soon after their write that another content may get the same revision, with the end of that time by the
   * steady clock. They count as not loaded, and are read again after that.
   */
  readonly #young = new Map<string, number>();
  /** Files that cannot be used, by name and revision: each is logged once, and not fetched again. */
  readonly #refused = new Set<string>();
  /** How often a file arrived damaged, by name and revision. */
  readonly #damaged = new Map<string, number>();
  /** Machines whose files a later version of the program wrote. */
  readonly refusedMachines = new Set<string>();

  constructor(options: ReaderOptions) {
    this.#o = options;
  }

  /** Marks the list of files as stale. */
  expire(): void {
    this.#listedAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Resolves when all entries of a folder are in the tables, or cannot be read now. Throws nothing: a folder is shown without its
   * metadata rather than not at all, and `retryIn` tells when to try again.
   */
  async prepare(folder: string, options: TransferOptions): Promise<void> {
    const { clock, log } = this.#o;
    const time = steadyTimeOf(clock);
    if (time.now() < this.#pausedUntil) {
      this.#unread.add(folder);
      return;
    }
    try {
      await this.prepareAnew(folder, LIST_TTL_MS, options);
      this.#unread.delete(folder);
      this.#failures = 0;
    } catch (error) {
      if (codeOf(error) === 'aborted') return;
      this.#unread.add(folder);
      this.#pausedUntil = time.now() + Math.min(PAUSE_MS * 2 ** this.#failures, MAX_PAUSE_MS);
      this.#failures++;
      log.warn({ code: codeOf(error) }, `the metadata in the account cannot be read now: ${messageOf(error)}`);
    }
  }

  /** The time in ms until the missing entries of a folder may be read; null if none are missing. */
  retryIn(folder: string): number | null {
    return this.#unread.has(folder) ? Math.max(0, this.#pausedUntil - steadyTimeOf(this.#o.clock).now()) : null;
  }

  /** Like `prepare`, with a list of files that is at most `maxAge` ms old. Throws the provider's error. */
  async prepareAnew(folder: string, maxAge: number, options: TransferOptions): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.refresh(options, maxAge);
      await this.#loadPacksOf(folder, options);
      if (this.#o.folder.known === null || this.#listedAt !== Number.NEGATIVE_INFINITY) return;
      // Another machine has written one of the packs after the list was made.
      if (attempt === LIST_ATTEMPTS)
        throw new ProviderError('revision-changed', 'its files change while they are read', { data: {} });
    }
  }

  async #loadPacksOf(folder: string, options: TransferOptions): Promise<void> {
    const { tables, transaction } = this.#o;
    const wanted = tables.otherPacksOf(folder).filter(({ file, loaded }) => revisionKey(file) !== loaded);
    await Promise.all(wanted.map(({ machine, pack, file }) => this.#load(machine, pack, file, options)));
    const known = this.#loads;
    if (this.#retractedAt.get(folder) === known) return;
    transaction(() => tables.retractUnlisted(folder));
    this.#retractedAt.set(folder, known);
  }

  /**
   * Lists the store's files if the list is older than `maxAge` ms, and reads the indexes that have changed. Throws the provider's error.
   */
  async refresh(options: TransferOptions, maxAge = LIST_TTL_MS): Promise<void> {
    const { clock, folder } = this.#o;
    if (folder.known === null) return;
    const age = clock.now() - this.#listedAt;
    if (age >= 0 && age < maxAge) return;
    this.#listing ??= this.#list(options, maxAge < LIST_TTL_MS).finally(() => {
      this.#listing = null;
    });
    await this.#listing;
  }

  async #list(options: TransferOptions, mustCatchUp: boolean): Promise<void> {
    const { tables, folder, clock, transaction, provider } = this.#o;
    const at = clock.now();
    if (mustCatchUp) await provider.refreshIndex?.(options);
    const files = (await folder.list(options)) ?? [];
    const named = files.flatMap((file) => {
      const place = parsePackName(file.name);
      return place === null ? [] : [{ ...place, file }];
    });
    transaction(() => {
      this.#checkOwn(named);
      const others = named.filter(({ machine }) => machine !== tables.machine);
      const present = new Set(others.map(({ file }) => file.name));
      for (const { machine, pack, file } of tables.otherPacks())
        if (!present.has(file.name)) tables.removeOtherPack(machine, pack);
      for (const { machine, pack, file } of others) tables.putOtherPack(machine, pack, file);
    });
    const indexes = tables
      .otherPacks()
      .filter(({ pack, file, loaded }) => pack === indexPack && revisionKey(file) !== loaded);
    // Set before the loads: an index that has changed since expires the list again.
    this.#listedAt = at;
    try {
      await Promise.all(indexes.map(({ machine, file }) => this.#load(machine, indexPack, file, options)));
    } catch (error) {
      this.expire();
      throw error;
    }
  }

  /** Compares this machine's files with those that it stored. Takes a new machine id if another machine wrote one of them. */
  #checkOwn(files: readonly { readonly machine: string; readonly pack: number; readonly file: RemoteFile }[]): void {
    const { tables, log } = this.#o;
    const listed = new Map(
      files.flatMap(({ machine, pack, file }) => (machine === tables.machine ? [[pack, file]] : [])),
    );
    for (const { pack, file, sent } of tables.ownPacks()) {
      const now = listed.get(pack);
      listed.delete(pack);
      if (now === undefined) {
        if (file === null) continue;
        tables.setFile(pack, null);
        tables.noteChange(pack);
      } else if (file === null || !isSameRevision(now, file)) {
        // This machine's upload with a lost answer, or another machine's file.
        const isOurs = sent.some(({ size, md5 }) => size === now.size && (now.md5 ?? md5).toLowerCase() === md5);
        if (!isOurs) {
          this.#takeNewMachineId();
          return;
        }
        tables.setFile(pack, now);
      }
    }
    if (listed.size > 0) {
      log.debug({ machine: tables.machine }, 'the account has files of this machine that it does not know');
      this.#takeNewMachineId();
    }
  }

  #takeNewMachineId(): void {
    const { tables, log } = this.#o;
    const before = tables.machine;
    tables.machine = newMachineId();
    tables.remember('machine', tables.machine);
    tables.forgetOwnFiles();
    log.warn(
      { before, machine: tables.machine },
      'somebody else has changed the metadata that this machine stored: it is stored again under a new machine id',
    );
  }

  #load(machine: string, pack: number, file: RemoteFile, options: TransferOptions): Promise<void> {
    const key = keyOfFile(file);
    const isYoung = (this.#young.get(key) ?? 0) > steadyTimeOf(this.#o.clock).now();
    if (this.#refused.has(key) || isYoung) return Promise.resolve();
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      loading = this.#fetch(machine, pack, file, options).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  async #fetch(machine: string, pack: number, file: RemoteFile, options: TransferOptions): Promise<void> {
    const { provider, log } = this.#o;
    let content: PackContent;
    let isProven = false;
    let isYoung = false;
    this.#young.delete(keyOfFile(file));
    try {
      const read = await readWhole(provider, file, options);
      const { bytes } = read;
      isYoung = read.isYoung;
      if (file.md5 !== null && md5Of(bytes) !== file.md5.toLowerCase())
        throw new ProviderError('integrity', 'the service sent other bytes than it has', { data: {} });
      // With an md5, these are the service's bytes: if they are damaged, the file itself is.
      isProven = file.md5 !== null;
      content = await decodePack(bytes);
      if (content.header.machine !== machine || content.header.pack !== pack)
        throw new ProviderError('integrity', 'it is the file of another machine', { data: {} });
    } catch (error) {
      const code = codeOf(error) ?? '';
      // Another machine has written it after the list was made: the next list shows the new file.
      if (code === 'revision-changed' || code === 'not-found') return this.expire();
      if (code !== 'integrity' && code !== 'unsupported') throw error;
      const key = keyOfFile(file);
      const attempts = (this.#damaged.get(key) ?? 0) + 1;
      this.#damaged.set(key, attempts);
      if (code === 'integrity' && !isProven && attempts < DAMAGED_ATTEMPTS) throw error;
      this.#refused.add(key);
      if (code === 'unsupported') this.refusedMachines.add(machine);
      log.error(
        { file: file.name, code },
        `${file.name} of the metadata in the account cannot be used: ${messageOf(error)}`,
      );
      return;
    }
    if (content.bad > 0) log.warn({ file: file.name, lines: content.bad }, 'some lines of the metadata cannot be used');
    await this.#replacePack(machine, pack, isYoung ? null : revisionKey(file), content);
    if (isYoung) this.#young.set(keyOfFile(file), steadyTimeOf(this.#o.clock).now() + YOUNG_MS);
  }

  /**
   * Adds the file's entries to the tables, then removes those that it no longer holds: so no entry that is in both versions is ever
   * missing. After a crash in between, the pack is read again. `revision`: the loaded revision to note; null: read it again.
   */
  async #replacePack(
    machine: string,
    pack: number,
    revision: string | null,
    { header, entries }: PackContent,
  ): Promise<void> {
    const { tables, transaction, observe } = this.#o;
    let latest = noTime;
    await forEachInTurns(entries, ({ entry }) => {
      latest = laterOf(latest, timeOf(entry, machine));
    });
    transaction(() => {
      tables.setLoaded(machine, pack, null);
      observe(latest);
    });
    if (pack === indexPack) await inTurns(replaceFolders(tables, machine, header.packs ?? {}), transaction);
    await inTurns(replaceEntries(tables, machine, pack, entries), transaction);
    transaction(() => tables.setLoaded(machine, pack, revision));
    this.#loads++;
  }
}

function* replaceEntries(
  tables: MetadataTables,
  machine: string,
  pack: number,
  entries: readonly EntryLine[],
): Generator<void, void> {
  const pieces = new Pieces();
  const held = new Set<string>();
  const isNew = !tables.hasOtherPack(machine, pack);
  for (let at = 0; at < entries.length; ) {
    // As many as one statement takes; the rest one by one.
    const some = entries.slice(at, at + (entries.length - at < ENTRIES_AT_ONCE ? 1 : ENTRIES_AT_ONCE));
    at += some.length;
    let isFull = false;
    for (const each of some) {
      isFull = pieces.isFull() || isFull;
      if (!isNew) held.add(keyOf(each.entry));
    }
    if (isFull) yield;
    tables.putOthers(machine, pack, some);
  }
  if (isNew) return;
  for (const row of tables.otherNames(machine, pack)) {
    if (held.has(keyOf(row))) continue;
    if (pieces.isFull()) yield;
    tables.retract(machine, row);
  }
}

/** `packs`: the folders of each pack, as the machine's index names them. */
function* replaceFolders(
  tables: MetadataTables,
  machine: string,
  packs: NonNullable<PackHeader['packs']>,
): Generator<void, void> {
  const pieces = new Pieces();
  const held = new Set<string>();
  for (const [pack, folders] of Object.entries(packs))
    for (const folder of folders) {
      if (pieces.isFull()) yield;
      tables.addOtherFolder({ machine, pack: Number(pack), folder });
      held.add(`${pack} ${folder}`);
    }
  let page: FolderPlace[] = [];
  do {
    page = tables.otherFoldersAfter(page.at(-1) ?? { machine: '', pack: 0, folder: '' }, entriesPerTurn);
    for (const place of page)
      if (place.machine === machine && !held.has(`${place.pack} ${place.folder}`)) tables.removeOtherFolder(place);
    yield;
  } while (page.length > 0);
}

function keyOf({ folder, name }: { readonly folder: string; readonly name: string }): string {
  return `${folder}\0${name}`;
}

function keyOfFile(file: RemoteFile): string {
  return `${file.name}:${revisionKey(file)}`;
}

/** 64 random bits: two machines of an account never draw the same. */
export function newMachineId(): string {
  return randomBytes(8).toString('hex');
}
