/**
 * Reads what machines have stored in the account: the list of their files once in a while, an index when it has changed, and a pack
 * when a folder that it holds is looked at. What was read stays in the state database.
 *
 * The list also tells whether this machine's own files are as it stored them:
 * - one that is missing is written again;
 * - one that somebody else has written means that two machines have the same id (a copied disk): this machine takes a new one, and
 *   writes its entries under that. What the other has written is then read as any other machine's.
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

/** How long the list of files counts as current, ms. It costs a request, and tells of other machines' changes. */
const LIST_TTL_MS = 60_000;
/** After a failure, folders are shown without a further attempt for so long, ms: `ls` stays quick while offline. Each failure doubles it. */
const PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;

/** A file that comes damaged, and of which the service tells no md5, may have been damaged on its way: it is fetched so often. */
const DAMAGED_ATTEMPTS = 3;
/** Entries that one statement takes: more gain little. */
const ENTRIES_AT_ONCE = 64;
/** Other machines may change their files between the list and the fetch: both are repeated so often. */
const LIST_ATTEMPTS = 3;

export interface ReaderOptions {
  readonly tables: MetadataTables;
  readonly provider: Provider;
  readonly folder: HiddenFolder;
  readonly clock: Clock;
  readonly log: Log;
  readonly transaction: <T>(act: () => T) => T;
  /** Called with the latest time of each file that is read, before its entries are there. */
  readonly observe: (time: LogicalTime) => void;
}

export class MetadataReader {
  readonly #o: ReaderOptions;
  #listedAt = Number.NEGATIVE_INFINITY;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #failures = 0;
  /** Folders about which not all was read when they were last looked at. */
  readonly #unread = new Set<string>();
  #listing: Promise<void> | null = null;
  /** How many files were read, and how many had been when what is not listed was last retracted, by folder. */
  #loads = 0;
  readonly #retractedAt = new Map<string, number>();
  /** Packs on their way, by file name. */
  readonly #loading = new Map<string, Promise<void>>();
  /**
   * Files that were read so short after they were written that another content may have the same revision, and until when that may be, by
   * the steady clock. They count as not loaded, and are read again after that.
   */
  readonly #young = new Map<string, number>();
  /** Files that cannot be used, by their revision: each is told of once, and not tried again. */
  readonly #refused = new Set<string>();
  /** How often a file came damaged, by its revision. */
  readonly #damaged = new Map<string, number>();
  /** Machines whose files a later version of the program wrote. */
  readonly refusedMachines = new Set<string>();

  constructor(options: ReaderOptions) {
    this.#o = options;
  }

  /** The files of the store have to be listed before they are used again. */
  expire(): void {
    this.#listedAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Resolves when all that machines have stored about a folder is in the tables, or cannot be had now. Throws nothing: a folder is
   * shown without its metadata rather than not at all, and `retryIn` tells for how long.
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

  /** In how many ms what could not be read about a folder may be had; null where nothing is missing. */
  retryIn(folder: string): number | null {
    return this.#unread.has(folder) ? Math.max(0, this.#pausedUntil - steadyTimeOf(this.#o.clock).now()) : null;
  }

  /** As `prepare`, by a list of the files that is at most `maxAge` ms old. Throws the provider's error. */
  async prepareAnew(folder: string, maxAge: number, options: TransferOptions): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.refresh(options, maxAge);
      await this.#loadPacksOf(folder, options);
      if (this.#o.folder.known === null || this.#listedAt !== Number.NEGATIVE_INFINITY) return;
      // Another machine has written one of the packs since they were listed.
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
   * Lists the store's files where the list is older than `maxAge` ms, and reads the indexes that have changed. Throws the provider's
   * error.
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
    if (mustCatchUp) await provider.catchUp?.(options);
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
    // An index that has changed since expires the list again.
    this.#listedAt = at;
    try {
      await Promise.all(indexes.map(({ machine, file }) => this.#load(machine, indexPack, file, options)));
    } catch (error) {
      this.expire();
      throw error;
    }
  }

  /** Compares this machine's files with what it stored. Takes a new machine id where somebody else wrote one of them. */
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
        // Our upload whose answer was lost, or another machine's.
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
      // These are the bytes that the service has.
      isProven = file.md5 !== null;
      content = await decodePack(bytes);
      if (content.header.machine !== machine || content.header.pack !== pack)
        throw new ProviderError('integrity', 'it is the file of another machine', { data: {} });
    } catch (error) {
      const code = codeOf(error) ?? '';
      // Another machine has written it since the list was made: the next list tells of it.
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
   * Takes what the file holds into the tables, and then out of them what it does not hold any more: at no moment is there less than
   * before and after. A crash in between leaves the pack as one that is to be read again. `revision`: what it counts as afterwards.
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
    // As many as one statement takes, or one by one.
    const some = entries.slice(at, at + (entries.length - at < ENTRIES_AT_ONCE ? 1 : ENTRIES_AT_ONCE));
    at += some.length;
    let isFull = false;
    for (const each of some) {
      isFull = pieces.isFull() || isFull;
      held.add(keyOf(each.entry));
    }
    if (isFull) yield;
    tables.putOthers(machine, pack, some);
  }
  for (const row of isNew ? [] : tables.otherNames(machine, pack)) {
    if (held.has(keyOf(row))) continue;
    if (pieces.isFull()) yield;
    tables.retract(machine, row);
  }
}

/** `packs`: the folders of each pack, by the machine's index. */
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

/** 64 random bits: no two machines of an account take the same. */
export function newMachineId(): string {
  return randomBytes(8).toString('hex');
}
