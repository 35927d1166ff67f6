/**
 * Keeps directory listings fresh: decides when to ask the provider, asks once for all callers, and merges the answer.
 */
import { setMaxListeners } from 'node:events';
import { type Clock, SteadyTime } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { MaybePromise } from '../base/maybe-promise.js';
import { SharedWork } from '../base/shared-work.js';
import type { Statement } from '../base/sqlite.js';
import { ProviderError } from '../providers/errors.js';
import type { ListAgainOptions, ListedAgain, Priority, Provider, RemoteFolder } from '../providers/provider.js';
import { pollChanges } from './change-poll.js';
import { CopiedFolders } from './copied-folders.js';
import { FolderCountReliability } from './folder-count-reliability.js';
import { freshnessOf } from './freshness.js';
import { type Ino, type Inode, mergedOnly, remoteFolderOf } from './inode.js';
import type { InodeTable } from './inode-table.js';
import type { AppliedMetadata, ListedMetadata } from './listed-metadata.js';
import { LocalChanges } from './listing.js';
import { mergeListing } from './merge.js';
import { SameListings } from './same-listings.js';
import { byParent, onlyNames, type SeenChanges } from './seen-changes.js';
import { StaleListings } from './stale-listings.js';
import { WalkAhead } from './walk-ahead.js';

/** How long a caller waits for a fresh listing where an older one can be served instead, ms. */
const REFRESH_TIMEOUT_MS = 5_000;
/** After a failed refresh, older listings are served without a request for this long, ms: `ls` stays quick while offline. */
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
  /** The latest listing of each directory. */
  readonly #underway = new Map<Ino, SharedWork<void>>();
  /** Listings that wait for the end of the one before them. */
  readonly #queued = new Set<SharedWork<void>>();
  /** All listings that have not ended. */
  readonly #all = new Set<SharedWork<void>>();
  /** Of the objects in a directory that the service has: how many, and how many of them are folders. */
  readonly #countStored: Statement;
  readonly #walk: WalkAhead;
  readonly #same: SameListings;
  readonly #copied: CopiedFolders;
  readonly #counts = new FolderCountReliability();
  readonly #closing = new AbortController();
  /** Directories that are known to differ from their listing. */
  readonly #expired = new Set<Ino>();
  /** Those of them that are being listed again, and directories whose metadata is about to be applied: nobody is served them meanwhile. */
  readonly #unsettled = new Set<Ino>();
  /** Directories that are shown without some of their metadata, and until when, by `#time`. */
  readonly #incomplete = new Map<Ino, number>();
  /** By `#time`. */
  #offlineUntil = 0;
  /** See `#lookOut`. */
  #lookout: Promise<void> | null = null;
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
    // Every listing under way listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Resolves when the rows of `ino` may be served. Rejects with `ProviderError` where the directory was never listed and the
   * request fails. A request is cancelled once the signals of all its callers have aborted. (`signal` is a getter of the
   * caller: it is read only where a request is made.)
   */
  ensureListed(ino: Ino, caller?: { readonly signal?: AbortSignal }): MaybePromise<void> {
    const directory = this.#options.table.get(ino);
    // Not stored at the provider, or removed there: the rows are all there is.
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
    if (this.#isOut()) return this.#lookOut(ino);
    return this.#withTimeout(this.#tryRefresh(ino, 'foreground', caller?.signal), REFRESH_TIMEOUT_MS);
  }

  /** Has the service given no answer for so long that nobody waits for it who can be served an older listing? */
  #isOut(): boolean {
    const { outage } = this.#options.provider.metrics();
    return outage !== null && this.#options.clock.now() - outage.since >= REFRESH_TIMEOUT_MS;
  }

  /** During an outage: asks for one of the listings that are looked at, and so learns that the service is back. */
  #lookOut(ino: Ino): void {
    if (this.#lookout !== null || this.#time.now() < this.#offlineUntil) return;
    this.#lookout = this.#tryRefresh(ino, 'background').finally(() => {
      this.#lookout = null;
    });
  }

  /** Has `ino` been listed, in an earlier mount perhaps, so that all that was known of it can be served? */
  wasListed(ino: Ino): boolean {
    const listedAt = this.#options.table.get(ino)?.listedAt ?? mergedOnly;
    return listedAt !== mergedOnly;
  }

  /** Is the listing of `ino` confirmed within the last `ms` (at most the ttl)? */
  isFresh(ino: Ino, ms: number = this.#options.ttl): boolean {
    const listedAt = this.#options.table.get(ino)?.listedAt ?? null;
    const now = this.#options.clock.now();
    if (this.#isStale(ino)) return false;
    return listedAt !== null && listedAt <= now && now - listedAt < Math.min(ms, this.#options.ttl);
  }

  /** Was `ino` listed since the mount began? */
  isListedNow(ino: Ino): boolean {
    return (this.#options.table.get(ino)?.listedAt ?? Number.NEGATIVE_INFINITY) >= this.#mountedAt;
  }

  /** Marks the listing of `ino` as stale: a change was refused, or it is unknown whether it was carried out. */
  expire(ino: Ino): void {
    this.#expired.add(ino);
  }

  /** For how long the kernel may cache names and attributes of the children of `ino`, ms. */
  validity(ino: Ino): number {
    const listedAt = this.#options.table.get(ino)?.listedAt ?? null;
    if (listedAt === null || this.#isStale(ino)) return 0;
    const left = listedAt + this.#options.ttl - this.#options.clock.now();
    const whole = (this.#incomplete.get(ino) ?? Number.POSITIVE_INFINITY) - this.#time.now();
    return Math.max(0, Math.min(left, whole, this.#options.ttl));
  }

  /** Is the directory known to differ from its listing, or may more be had of it by now? */
  #isStale(ino: Ino): boolean {
    const until = this.#incomplete.get(ino);
    return this.#expired.has(ino) || this.#unsettled.has(ino) || (until !== undefined && until <= this.#time.now());
  }

  /** Call when a program lists `ino`. When it walks the tree, the directories beside it are listed ahead. */
  walked(ino: Ino): void {
    this.#walk.walked(ino, this.#options.clock.now());
  }

  /**
   * Asks the provider now. Concurrent callers share one request, which is cancelled once the `signal` of each has aborted. One that began
   * before `expire` is not shared: it may lack what has happened since.
   */
  refresh(ino: Ino, priority: Priority = 'foreground', signal?: AbortSignal): Promise<void> {
    const underway = this.#underway.get(ino);
    const isOutdated = underway !== undefined && this.#expired.has(ino) && !this.#queued.has(underway);
    if (underway !== undefined && !underway.isCancelled && !isOutdated) return underway.join(signal);
    // It may still be merging its answer.
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
    // Nobody has seen a name in it: a look-up waits for the listing. (One whose folder was made again has rows already.)
    const isFirst = directory.listedAt === null && !table.hasChildren(ino);
    const previousListedAt = directory.listedAt ?? mergedOnly;
    let mergedAt: number | null = null;
    const countsAreFresh =
      this.#areFresh(directory) && this.#counts.areReliable() && !this.#knowsMore(directory.ino, folder);
    try {
      const known = this.#same.of(ino);
      const options = { priority, signal, countsAreFresh };
      const { entries: answer, memory } = await listAgain(provider, folder, { ...options, memory: known });
      // What programs have changed here meanwhile is not in it.
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
      // An answer that has come is merged even if every caller gave up. Only the end of the mount stops it.
      const ends = this.#closing.signal;
      const now = clock.now();
      const listedAt = metadata?.apply === undefined ? now : previousListedAt;
      // To merge so many takes long: who looks meanwhile is served the old rows, and new ones without their metadata.
      if (metadata?.apply !== undefined && !table.isLarge(ino)) this.#unsettled.add(ino);
      const latest = table.latestIno();
      await this.#copied.adopt(ino, folder, entries);
      const changes = await mergeListing(table, ino, entries, order, listedAt, impliesFolders, ends);
      mergedAt = now;
      // Only where the rows follow from the answer alone.
      const isWhole =
        changes.lost.length + changes.doubtful.length + table.further.countIn(ino) === 0 && this.changes.now === since;
      // Nothing may have come between the end of the merge and this moment.
      if (memory !== null && isWhole && table.changes === changes.at) this.#same.remember(ino, memory);
      const applied = await this.#applyMetadata(ino, priority, signal);
      this.#noteListed(ino, folder, previousListedAt, now);
      for (const other of changes.doubtful) this.#expired.add(other);
      const names = new Set(isFirst ? [] : [...changes.names, ...applied.names]);
      // Nor has anybody seen the inodes that have come with it.
      const shown = isFirst ? applied.attributes.filter((at) => at <= latest) : applied.attributes;
      const attributes = [...changes.attributes, ...shown];
      const { contents, lost } = changes;
      if (names.size + attributes.length + lost.length > 0)
        this.#options.onChange(ino, { names, attributes, contents, lost });
      for (const [parent, lostNames] of await byParent(changes.elsewhere))
        this.#options.onChange(parent, onlyNames(lostNames));
    } catch (error) {
      // Merged, but its metadata failed: it counts as listed, so that it can be the fallback.
      if (mergedAt !== null && !this.#closing.signal.aborted) this.#noteListed(ino, folder, previousListedAt, mergedAt);
      this.#expired.add(ino);
      // The listing of its parent is out of date, too.
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

  /** The rows show all that is known of the directory: from now on they are served. */
  #noteListed(ino: Ino, folder: RemoteFolder, previousListedAt: number, at: number): void {
    const { table, metadata } = this.#options;
    this.#offlineUntil = 0;
    const retryIn = metadata?.retryIn?.(folder) ?? null;
    if (retryIn === null) this.#incomplete.delete(ino);
    else this.#incomplete.set(ino, this.#time.now() + retryIn);
    const listedAt = table.get(ino)?.listedAt;
    // Unless it has lost its object meanwhile.
    if (listedAt === previousListedAt) table.update(ino, { listedAt: at });
  }

  /** Are the counts of a folder fresh? They come with its parent's listing and are as old as that. */
  #areFresh(directory: Inode): boolean {
    if (directory.parent === null) return false;
    // The directory was listed after its parent: its counts are older than the listing that we have.
    const parent = this.#options.table.get(directory.parent);
    const learned = parent?.listedAt ?? null;
    if (learned === null || (directory.listedAt !== null && directory.listedAt >= learned)) return false;
    return this.isFresh(directory.parent);
  }

  /**
   * Does the table have more of the directory than its counts say? Then this mount has stored something there since the
   * parent was listed. A listing by those counts would lack it, and take it from the table.
   */
  #knowsMore(ino: Ino, { fileCount, folderCount }: RemoteFolder): boolean {
    const { table } = this.#options;
    // To count so many takes longer than the request that is saved.
    if (table.isLarge(ino)) return true;
    const [stored, folders] = this.#countStored.get(ino) as [number, number];
    return stored - folders > (fileCount ?? 0) || folders > (folderCount ?? 0);
  }

  /** Refreshes, and resolves in any case: the caller has an older listing to serve. */
  async #tryRefresh(ino: Ino, priority: Priority, signal?: AbortSignal): Promise<void> {
    const { log, table } = this.#options;
    try {
      await this.refresh(ino, priority, signal);
    } catch (error) {
      // No failure: the mount ends, or every caller gave up.
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

  /** Resolves with `work`, or after `ms`, whichever is first. */
  async #withTimeout(work: Promise<void>, ms: number): Promise<void> {
    const timer = new AbortController();
    const pause = this.#options.clock.sleep(ms, timer.signal).catch(() => undefined);
    await Promise.race([work, pause]);
    timer.abort();
  }
}

const nothingApplied: AppliedMetadata = { names: [], attributes: [] };

async function listAgain(provider: Provider, folder: RemoteFolder, options: ListAgainOptions): Promise<ListedAgain> {
  if (provider.listAgain !== undefined) return await provider.listAgain(folder, options);
  return { entries: await provider.list(folder, options), memory: null };
}

function nobodyWaits(): ProviderError {
  return new ProviderError('aborted', 'nobody waits for the listing any more');
}
