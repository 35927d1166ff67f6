/** Keeps directory listings fresh: decides when to ask the provider, asks once for all callers, and merges the answer. */
import { setMaxListeners } from 'node:events';
import { type Clock, SteadyTime } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { MaybePromise } from '../base/maybe-promise.js';
import { SharedWork } from '../base/shared-work.js';
import type { Statement } from '../base/sqlite.js';
import { ProviderError } from '../providers/errors.js';
import type { ListAgainOptions, Priority, Provider, RemoteFolder, RevalidatedListing } from '../providers/provider.js';
import { pollChanges } from './change-poll.js';
import { CopiedFolders } from './copied-folders.js';
import { FolderCountReliability } from './folder-count-reliability.js';
import { freshnessOf } from './freshness.js';
import { type Ino, type Inode, listedWithoutMetadata, remoteFolderOf } from './inode.js';
import type { InodeTable } from './inode-table.js';
import type { AppliedMetadata, ListedMetadata } from './listed-metadata.js';
import { LocalChanges } from './listing.js';
import { mergeListing } from './merge.js';
import { SameListings } from './same-listings.js';
import { byParent, onlyNames, type SeenChanges } from './seen-changes.js';
import { StaleListings } from './stale-listings.js';
import { WalkAhead } from './walk-ahead.js';

/** How long a caller waits for a fresh listing if an older one can be served instead, ms. */
const REFRESH_TIMEOUT_MS = 5_000;
/** The back-off after a failed refresh, ms. Older listings are served without a request: `ls` stays quick while offline. */
const OFFLINE_PAUSE_MS = 5_000;
export interface DirectoriesOptions {
  readonly table: InodeTable;
  readonly provider: Provider;
  readonly clock: Clock;
  readonly log: Log;
  /** ms */
  readonly ttl: number;
  /** Called after every merge that changed something. */
  readonly onChange: (directory: Ino, changes: SeenChanges) => void;
  readonly metadata?: ListedMetadata | undefined;
}

export class Directories {
  readonly changes = new LocalChanges();
  readonly #options: DirectoriesOptions;
  readonly #mountedAt: number;
  readonly #time: SteadyTime;
  /** The latest listing in flight of each directory. */
  readonly #underway = new Map<Ino, SharedWork<void>>();
  /** Listings that wait for the end of the one before them. */
  readonly #queued = new Set<SharedWork<void>>();
  /** All listings that have not ended. */
  readonly #all = new Set<SharedWork<void>>();
  /** Counts a directory's objects that the service has, and the folders among them. */
  readonly #countStored: Statement;
  readonly #walk: WalkAhead;
  readonly #same: SameListings;
  readonly #copied: CopiedFolders;
  readonly #counts = new FolderCountReliability();
  readonly #closing = new AbortController();
  /** Directories with a stale listing: they are known to differ from it. */
  readonly #expired = new Set<Ino>();
  /** Directories that must not be served now: stale ones that are being listed again, and those whose metadata is being applied. */
  readonly #unsettled = new Set<Ino>();
  /** Directories that are shown without some of their metadata, with the time of the next attempt, by `#time`. */
  readonly #incomplete = new Map<Ino, number>();
  /** The end of the back-off, by `#time`. */
  #offlineUntil = 0;
  /** See `#probeService`. */
  #probe: Promise<void> | null = null;
  readonly #stale: StaleListings;

  constructor(options: DirectoriesOptions) {
    this.#options = options;
    this.#mountedAt = options.clock.now();
    this.#time = new SteadyTime(options.clock);
    this.#countStored = options.table.sql
      .prepare('SELECT COUNT(*), COUNT(NULLIF(kind, 0)) FROM inode WHERE parent = ? AND remote_id IS NOT NULL')
      .raw();
    this.#same = new SameListings(options.table.unchanged);
    this.#copied = new CopiedFolders(options.table);
    this.#walk = new WalkAhead({
      ...{ table: options.table, log: options.log, closing: this.#closing.signal },
      list: (ino) => this.refresh(ino, 'background'),
    });
    this.#stale = new StaleListings({
      ...{ clock: options.clock, ttl: options.ttl, closing: this.#closing.signal },
      revalidate: (ino) => this.#revalidate(ino),
    });
    // Every listing in flight adds a listener.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Resolves when the rows of `ino` may be served. Rejects with `ProviderError` if the directory was never listed and the request fails. A
   * request is cancelled when the signals of all its callers have aborted. (`signal` is a getter of the caller: it is read only if a
   * request is made.)
   */
  ensureListed(ino: Ino, caller?: { readonly signal?: AbortSignal }): MaybePromise<void> {
    const directory = this.#options.table.get(ino);
    // The service does not have the directory (yet, or any more): only the rows exist.
    if (directory === undefined || directory.remote === null) return;
    this.#stale.used();
    const now = this.#options.clock.now();
    const freshness = this.#isStale(ino)
      ? 'refresh'
      : freshnessOf({ listedAt: directory.listedAt, now, ttl: this.#options.ttl, mountedAt: this.#mountedAt });
    if (freshness === 'serve') return;
    if (!this.wasListed(ino)) return this.refresh(ino, 'foreground', caller?.signal);
    if (this.#time.now() < this.#offlineUntil && !this.#unsettled.has(ino)) return;
    if (freshness !== 'refresh') return this.#stale.served(ino);
    if (this.#isLongOutage()) return this.#probeService(ino);
    return this.#withTimeout(this.#tryRefresh(ino, 'foreground', caller?.signal), REFRESH_TIMEOUT_MS);
  }

  /** True if an outage of the service has lasted so long that callers get an older listing without waiting. */
  #isLongOutage(): boolean {
    const { outage } = this.#options.provider.metrics();
    return outage !== null && this.#options.clock.now() - outage.since >= REFRESH_TIMEOUT_MS;
  }

  /** Probes the service during an outage: lists one of the directories that programs look at, in the background. */
  #probeService(ino: Ino): void {
    if (this.#probe !== null || this.#time.now() < this.#offlineUntil) return;
    this.#probe = this.#tryRefresh(ino, 'background').finally(() => {
      this.#probe = null;
    });
  }

  /** True if `ino` was listed and its metadata applied, in this mount or an earlier one, so that its rows can be served. */
  wasListed(ino: Ino): boolean {
    const listedAt = this.#options.table.get(ino)?.listedAt ?? listedWithoutMetadata;
    return listedAt !== listedWithoutMetadata;
  }

  /** True if the listing of `ino` was confirmed within the last `ms` (at most the ttl). */
  isFresh(ino: Ino, ms: number = this.#options.ttl): boolean {
    const listedAt = this.#options.table.get(ino)?.listedAt ?? null;
    const now = this.#options.clock.now();
    if (this.#isStale(ino)) return false;
    return listedAt !== null && listedAt <= now && now - listedAt < Math.min(ms, this.#options.ttl);
  }

  /** True if `ino` was listed by this mount. */
  isListedNow(ino: Ino): boolean {
    return (this.#options.table.get(ino)?.listedAt ?? Number.NEGATIVE_INFINITY) >= this.#mountedAt;
  }

  /** Marks the listing of `ino` as stale: the service refused a change, or nobody knows whether it made the change. */
  expire(ino: Ino): void {
    this.#expired.add(ino);
  }

  /** How long the kernel may cache names and attributes of the children of `ino`, ms. */
  validity(ino: Ino): number {
    const listedAt = this.#options.table.get(ino)?.listedAt ?? null;
    if (listedAt === null || this.#isStale(ino)) return 0;
    const left = listedAt + this.#options.ttl - this.#options.clock.now();
    const whole = (this.#incomplete.get(ino) ?? Number.POSITIVE_INFINITY) - this.#time.now();
    return Math.max(0, Math.min(left, whole, this.#options.ttl));
  }

  /** True if the directory is known to differ from its listing, or if its missing metadata may be available by now. */
  #isStale(ino: Ino): boolean {
    const until = this.#incomplete.get(ino);
    return this.#expired.has(ino) || this.#unsettled.has(ino) || (until !== undefined && until <= this.#time.now());
  }

  /** Call when a program lists `ino`. If it walks the tree, the sibling directories are listed ahead. */
  walked(ino: Ino): void {
    this.#walk.walked(ino, this.#options.clock.now());
  }

  /**
   * Asks the provider now. Concurrent callers share one request (single-flight), which is cancelled when the `signal` of each has aborted.
   * A request that began before `expire` is not shared: it may lack the latest changes.
   */
  refresh(ino: Ino, priority: Priority = 'foreground', signal?: AbortSignal): Promise<void> {
    const underway = this.#underway.get(ino);
    const isOutdated = underway !== undefined && this.#expired.has(ino) && !this.#queued.has(underway);
    if (underway !== undefined && !underway.isCancelled && !isOutdated) return underway.join(signal);
    // The listing before may still be merging its answer.
    const before = underway?.done.catch(() => undefined);
    const listing: SharedWork<void> = new SharedWork((cancelled) => {
      const list = (): Promise<void> => this.#list(ino, priority, cancelled);
      if (before === undefined) return list();
      return before.then(() => {
        this.#queued.delete(listing);
        return list();
      });
    }, nobodyWaits);
    if (before !== undefined) this.#queued.add(listing);
    this.#underway.set(ino, listing);
    this.#all.add(listing);
    const over = (): void => {
      this.#all.delete(listing);
      if (this.#underway.get(ino) === listing) this.#underway.delete(ino);
    };
    listing.done.then(over, over);
    return listing.join(signal);
  }

  /** See `pollChanges`. Ends with `close`. */
  followChanges(): Promise<void> {
    return pollChanges(this.#options, this, this.#closing.signal);
  }

  /** Ends background work. */
  close(): void {
    const reason = new ProviderError('aborted', 'the mount ends');
    this.#closing.abort(reason);
    for (const listing of this.#all) listing.cancel(reason);
  }

  async #list(ino: Ino, priority: Priority, signal: AbortSignal): Promise<void> {
    const { table, provider, clock, metadata } = this.#options;
    const directory = table.get(ino);
    const folder = directory === undefined ? null : remoteFolderOf(directory);
    if (directory === undefined || folder === null) return;
    this.#closing.signal.throwIfAborted();
    const since = this.changes.begin();
    if (this.#expired.delete(ino)) this.#unsettled.add(ino);
    // No program has seen a name in it, because a look-up waits for the listing. (If its folder was made again, it has rows already.)
    const isFirst = directory.listedAt === null && !table.hasChildren(ino);
    const previousListedAt = directory.listedAt ?? listedWithoutMetadata;
    let mergedAt: number | null = null;
    const countsAreFresh =
      this.#areFresh(directory) && this.#counts.areReliable() && !this.#knowsMore(directory.ino, folder);
    try {
      const known = this.#same.of(ino);
      const options = { priority, signal, countsAreFresh };
      const { entries: answer, memory } = await revalidateListing(provider, folder, { ...options, memory: known });
      // The answer lacks changes that programs made here meanwhile.
      const isSame = answer === 'same' && this.#same.of(ino) === known && this.changes.now === since;
      if (isSame) {
        mergedAt = clock.now();
        const { names, attributes } = await this.#applyMetadata(ino, priority, signal);
        this.#noteListed(ino, folder, previousListedAt, mergedAt);
        if (names.length + attributes.length > 0)
          this.#options.onChange(ino, { names: new Set(names), attributes, contents: [], lost: [] });
        return;
      }
      const all = answer === 'same' ? await provider.list(folder, options) : answer;
      this.#counts.observe(folder, all, this.#areFresh(directory));
      const entries = metadata?.visible(folder, all) ?? all;
      const impliesFolders = provider.capabilities.folders === 'implied';
      const order = { changes: this.changes, since };
      // An answer is merged even if every caller has left. Only the end of the mount stops the merge.
      const ends = this.#closing.signal;
      const now = clock.now();
      const listedAt = metadata?.apply === undefined ? now : previousListedAt;
      // A large merge takes long. So programs meanwhile see the old rows, and new rows without their metadata.
      if (metadata?.apply !== undefined && !table.isLarge(ino)) this.#unsettled.add(ino);
      const latest = table.latestIno();
      await this.#copied.adopt(ino, folder, entries);
      const changes = await mergeListing(table, ino, entries, order, listedAt, impliesFolders, ends);
      mergedAt = now;
      // Remembered only if the rows follow from the answer alone.
      const isWhole =
        changes.lost.length + changes.doubtful.length + table.further.countIn(ino) === 0 && this.changes.now === since;
      // The table must not have changed since the end of the merge.
      if (memory !== null && isWhole && table.changes === changes.at) this.#same.remember(ino, memory);
      const applied = await this.#applyMetadata(ino, priority, signal);
      this.#noteListed(ino, folder, previousListedAt, now);
      for (const other of changes.doubtful) this.#expired.add(other);
      const names = new Set(isFirst ? [] : [...changes.names, ...applied.names]);
      // After a first listing the kernel does not know the new inodes either.
      const shown = isFirst ? applied.attributes.filter((at) => at <= latest) : applied.attributes;
      const attributes = [...changes.attributes, ...shown];
      const { contents, lost } = changes;
      if (names.size + attributes.length + lost.length > 0)
        this.#options.onChange(ino, { names, attributes, contents, lost });
      for (const [parent, lostNames] of await byParent(changes.elsewhere))
        this.#options.onChange(parent, onlyNames(lostNames));
    } catch (error) {
      // The merge succeeded and the metadata failed: the directory counts as listed, so that it can be the fallback.
      if (mergedAt !== null && !this.#closing.signal.aborted) this.#noteListed(ino, folder, previousListedAt, mergedAt);
      this.#expired.add(ino);
      // The listing of its parent is stale, too.
      if (codeOf(error) === 'not-found' && directory.parent !== null) this.#expired.add(directory.parent);
      throw error;
    } finally {
      this.changes.end();
      this.#unsettled.delete(ino);
    }
  }

  async #applyMetadata(ino: Ino, priority: Priority, signal: AbortSignal): Promise<AppliedMetadata> {
    const { metadata } = this.#options;
    if (metadata?.apply !== undefined) this.#unsettled.add(ino);
    return (await metadata?.apply?.(ino, (other) => this.refresh(other, priority, signal))) ?? nothingApplied;
  }

  /** Notes that the rows are complete and may be served from now on. */
  #noteListed(ino: Ino, folder: RemoteFolder, previousListedAt: number, at: number): void {
    const { table, metadata } = this.#options;
    this.#offlineUntil = 0;
    const retryIn = metadata?.retryIn?.(folder) ?? null;
    if (retryIn === null) this.#incomplete.delete(ino);
    else this.#incomplete.set(ino, this.#time.now() + retryIn);
    const listedAt = table.get(ino)?.listedAt;
    // Unless the directory has lost its object meanwhile.
    if (listedAt === previousListedAt) table.update(ino, { listedAt: at });
  }

  /** True if a folder's counts are fresh. They come with its parent's listing, and are as old as that. */
  #areFresh(directory: Inode): boolean {
    if (directory.parent === null) return false;
    // The directory was listed after its parent: its counts are older than the listing that we have.
    const parent = this.#options.table.get(directory.parent);
    const learned = parent?.listedAt ?? null;
    if (learned === null || (directory.listedAt !== null && directory.listedAt >= learned)) return false;
    return this.isFresh(directory.parent);
  }

  /**
   * True if the table has more objects of the directory than its counts say: this mount has stored something there since the parent was
   * listed. A listing that trusts the counts would lack those objects, and the merge would remove them.
   */
  #knowsMore(ino: Ino, { fileCount, folderCount }: RemoteFolder): boolean {
    const { table } = this.#options;
    // Counting so many rows takes longer than the request that it may save.
    if (table.isLarge(ino)) return true;
    const [stored, folders] = this.#countStored.get(ino) as [number, number];
    return stored - folders > (fileCount ?? 0) || folders > (folderCount ?? 0);
  }

  /** Refreshes. Always resolves, because the caller has an older listing to serve. */
  async #tryRefresh(ino: Ino, priority: Priority, signal?: AbortSignal): Promise<void> {
    const { log, table } = this.#options;
    try {
      await this.refresh(ino, priority, signal);
    } catch (error) {
      // This is no failure: the mount ends, or every caller has left.
      if (this.#closing.signal.aborted || codeOf(error) === 'aborted') return;
      if (codeOf(error) !== 'not-found') this.#offlineUntil = this.#time.now() + OFFLINE_PAUSE_MS;
      const names = [...table.upwards(ino)].flatMap(({ parent, name }) => (parent === null ? [] : [name]));
      const path = `/${names.reverse().join('/')}`;
      log.warn({ path, code: codeOf(error) }, `serving an older listing of ${path}: ${messageOf(error)}`);
    }
  }

  async #revalidate(ino: Ino): Promise<void> {
    const isOld = (this.#options.table.get(ino)?.listedAt ?? this.#mountedAt) < this.#mountedAt;
    if (isOld && !this.#closing.signal.aborted && this.#time.now() >= this.#offlineUntil)
      await this.#tryRefresh(ino, 'background');
  }

  /** Resolves with `work`, or after `ms` if that is earlier. */
  async #withTimeout(work: Promise<void>, ms: number): Promise<void> {
    const timer = new AbortController();
    const pause = this.#options.clock.sleep(ms, timer.signal).catch(() => undefined);
    await Promise.race([work, pause]);
    timer.abort();
  }
}

const nothingApplied: AppliedMetadata = { names: [], attributes: [] };

async function revalidateListing(
  provider: Provider,
  folder: RemoteFolder,
  options: ListAgainOptions,
): Promise<RevalidatedListing> {
  if (provider.revalidateListing !== undefined) return await provider.revalidateListing(folder, options);
  return { entries: await provider.list(folder, options), memory: null };
}

function nobodyWaits(): ProviderError {
  return new ProviderError('aborted', 'nobody waits for the listing any more');
}
