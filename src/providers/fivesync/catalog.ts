/**
 * Keeps the index of files in line with the account: one crawl, then polls of the change feed. Concurrent callers share one
 * crawl or poll.
 */
import { SteadyTime, steadyTimeOf } from '../../base/clock.js';
import { type Log, silentLog } from '../../base/log.js';
import { SharedWork } from '../../base/shared-work.js';
import { ProviderError } from '../errors.js';
import { timeIn } from '../http/answers/times.js';
import type { CallOptions } from '../http/client/call.js';
import { orAborted } from '../or-aborted.js';
import type { RemoteChanges } from '../provider.js';
import type { RateLimit } from '../request-metrics.js';
import { WaitBudget } from '../wait-budget.js';
import type { FiveSyncApi } from './api.js';
import { ChangeFeed, digest, keyOf } from './change-feed.js';
import { Crawler } from './crawl.js';
import { type ChangeEvent, type FileRecord, recordOf, rootPath } from './entities.js';
import { FileIndex } from './file-index.js';

/** Share of the hourly requests that polls may use. */
const pollShare = 0.1;
/** Poll interval while the plan is unknown, ms. */
const defaultPollMs = 60_000;
const shortestPollMs = 5000;
/** A poll that took many requests puts the next one off by at most this, ms: what the smallest plan waits anyway. */
const longestPutOffMs = 600_000;
/** Pages of the feed that one poll reads, however small the account. */
const feedPages = 20;
const hourMs = 3600_000;
/** Each poll's `since` goes back by this time, ms: the clocks of the server's machines differ, and its feed may lag. */
const overlapMs = 120_000;
/** The same if the server sends no Date header, ms: then we use our own clock, which may be wrong. */
const blindOverlapMs = 15 * 60_000;

/**
 * Ms after a poll that took this many requests. After one: Starter (60 an hour) 10 minutes; Plus (600) 1 minute; Business
 * (6,000) 6 seconds. Pure.
 */
export function pollInterval(limit: RateLimit | null, requests: number): number {
  const each = limit === null || limit.limit <= 0 ? defaultPollMs : hourMs / (limit.limit * pollShare);
  const paid = Math.min(each * Math.max(1, requests), Math.max(each, longestPutOffMs));
  return Math.min(hourMs, Math.max(shortestPollMs, paid));
}

/** If an incomplete list lacks up to this many known files, each of them is looked up. */
const maxLookups = 100;

/** After these errors, the index from memory is a better answer than the error. */
const transientErrors = new Set(['network', 'timeout', 'server', 'rate-limited', 'protocol']);

export class Catalog {
  readonly index = new FileIndex();
  readonly #api: FiveSyncApi;
  readonly #log: Log;
  readonly #time: SteadyTime;
  readonly #crawler: Crawler;
  readonly #feed: ChangeFeed;
  #complete = false;
  #crawling: SharedWork<void> | undefined;
  #polling: Promise<void> | undefined;
  /** The index holds all changes up to this time, by the server's clock, ms since the epoch. */
  #knownUntil = 0;
  /** Time of the last answer of a crawl with several pages, by the server's clock, ms since the epoch. */
  #crawledUntil = Number.NEGATIVE_INFINITY;
  /** Time of the last poll, by `#time`. */
  #polledAt = Number.NEGATIVE_INFINITY;
  /** Requests of the crawl that the last poll led to. */
  #crawled = 0;
  #seen = new Map<string, number>();
  #touched = new Set<string>();
  #allTouched = false;
  /** The outcome of one of our requests is unknown: the index may be wrong until the feed has been read. */
  #isInDoubt = false;
  /** Changed files that the server failed to return. Every poll requests them again. */
  readonly #unread = new Set<string>();
  /** A caller of the current poll needs the state of all files. */
  #mustKnowAll = false;
  /** Changes by this mount since the current crawl began (null: removed). The crawl's answers may be older. */
  readonly #ownChanges = new Map<string, FileRecord | null>();
  /** Files that this mount changed since the current poll began. */
  readonly #ownChangesSincePoll = new Set<string>();
  /** Largest observed difference between the server's clock and the times of its files, ms. */
  #lagMs = 0;

  constructor(api: FiveSyncApi, log: Log = silentLog) {
    this.#api = api;
    this.#log = log;
    this.#time = new SteadyTime(api.http.clock);
    this.#crawler = new Crawler(api, log);
    this.#feed = new ChangeFeed(api);
  }

  /** Takes one request: the first page of the list, which the following crawl uses. */
  async check(options: CallOptions): Promise<void> {
    // A crawl that is in progress, or waits to be resumed, keeps the pages that it has read.
    const hasBegun = this.#complete || this.#crawling !== undefined || this.#crawler.hasBegun;
    if (hasBegun) await this.#api.page(1, options, 1);
    else await this.#crawler.begin(options);
  }

  /** Resolves when the first crawl is complete. */
  async ready(options: CallOptions): Promise<void> {
    if (this.#complete) return;
    // A crawl that was cancelled after its last page still succeeds.
    while (this.#crawling?.isCancelled) await this.#crawling.done.catch(() => undefined);
    if (this.#complete) return;
    await orAborted(this.#crawlShared(options), options.signal);
  }

  /** Joins the current crawl, or starts one. A crawl stops when its last caller leaves; the next crawl resumes there. */
  async #crawlShared({ priority, signal }: CallOptions): Promise<void> {
    while (this.#crawling?.isCancelled) await this.#crawling.done.catch(() => undefined);
    let crawling = this.#crawling;
    if (crawling === undefined) {
      crawling = new SharedWork((cancelled) => this.#crawl(priority, cancelled), nobodyWaits);
      this.#crawling = crawling;
      const over = (): void => {
        this.#crawling = undefined;
      };
      crawling.done.then(over, over);
    }
    await crawling.join(signal);
  }

  /** Resolves when the first crawl is complete and the outcome of all our own requests is known. */
  async certain(options: CallOptions): Promise<void> {
    await this.ready(options);
    if (!this.#isInDoubt) return;
    const time = steadyTimeOf(this.#api.http.clock);
    const begun = time.now();
    try {
      await this.settle(options);
    } finally {
      options.waitBudget?.spend(begun, time.now());
    }
  }

  /**
   * Resolves when the index is not older than the poll interval. If polling fails, it resolves with the older index, unless
   * that may lack our own changes.
   */
  async fresh(options: CallOptions): Promise<void> {
    if (!this.#complete || this.#isInDoubt) return await this.certain(options);
    if (this.#dueInMs() > 0 || this.#api.isScarce()) return;
    try {
      await this.#pollNow(options);
    } catch (error) {
      if (!(error instanceof ProviderError) || !transientErrors.has(error.code)) throw error;
      this.#log.warn({ code: error.code }, 'the change feed cannot be asked: answering from what is known');
    }
  }

  /** Resolves when the index holds every change until now: from the feed, or from a crawl if a changed file cannot be read. */
  async settle(options: CallOptions): Promise<void> {
    await this.#pollNow(options, true);
  }

  async #pollNow(options: CallOptions, mustKnowAll = false): Promise<void> {
    await this.ready(options);
    // The current poll may have been answered before the change that the caller wants to see: wait for the next one.
    if (this.#polling !== undefined)
      await orAborted(
        this.#polling.catch(() => undefined),
        options.signal,
      );
    this.#mustKnowAll ||= mustKnowAll;
    this.#polling ??= this.#pollInDoubt(options.priority).finally(() => {
      this.#polling = undefined;
      this.#mustKnowAll = false;
    });
    await orAborted(this.#polling, options.signal);
  }

  async changes(options: CallOptions): Promise<RemoteChanges> {
    if (!this.#complete) await this.ready(options);
    else if (this.#dueInMs() <= 0 && !this.#api.isScarce()) await this.#pollNow(options);
    const folders = this.#allTouched ? 'all' : [...this.#touched];
    this.#allTouched = false;
    this.#touched.clear();
    return { folders, nextInMs: this.#nextInMs() };
  }

  /** Asks for changes now, also before the poll is due. */
  refreshIndex(options: CallOptions): Promise<void> {
    return this.#pollNow(options);
  }

  /** Records a change of our own. */
  put(record: FileRecord): void {
    this.#note(record.id, record);
    this.index.put(record);
    this.#lagMs = Math.max(this.#lagMs, Math.min(this.#api.serverNow() - record.modified, 24 * hourMs));
  }

  /** `keepFolder`: as a local disk keeps it. */
  removed(id: string, keepFolder = true): void {
    this.#note(id, null);
    const folders = this.index.remove(id, keepFolder);
    if (!keepFolder) this.#touch(folders);
  }

  /** A change of our own failed with `error`. The index is in doubt if the server may still have carried out the change. */
  failed(error: unknown): void {
    if (!(error instanceof ProviderError) || error.code === 'aborted' || transientErrors.has(error.code)) this.doubt();
  }

  /** Marks the index as in doubt: it may lack something that we stored at the server. */
  doubt(): void {
    this.#isInDoubt = true;
  }

  #note(id: string, record: FileRecord | null): void {
    this.#unread.delete(id);
    if (record === null) this.#crawler.removals++;
    // Our own changes are newer than the pages of a crawl, also of one that waits to be resumed.
    const isCrawling = !this.#complete || this.#crawling !== undefined || this.#crawler.hasBegun;
    if (isCrawling) this.#ownChanges.set(id, record);
    if (this.#polling !== undefined) this.#ownChangesSincePoll.add(id);
  }

  #overlap(): number {
    return (this.#api.knowsTime ? overlapMs : blindOverlapMs) + this.#lagMs;
  }

  #dueInMs(): number {
    return this.#polledAt + pollInterval(this.#api.rateLimit, this.#feed.requests + this.#crawled) - this.#time.now();
  }

  /** Requests that a crawl takes: a page of the list has 100 files. */
  #crawlCost(): number {
    return Math.ceil(this.index.size / 100);
  }

  #nextInMs(): number {
    const due = Math.max(1000, this.#dueInMs());
    if (!this.#api.isScarce()) return due;
    const opens = (this.#api.rateLimit?.resetAt ?? 0) - this.#api.http.clock.now();
    return Math.max(due, this.#api.limiter.retryAfterMs() ?? 0, Math.min(opens, hourMs));
  }

  async #crawl(priority: CallOptions['priority'], signal: AbortSignal): Promise<void> {
    if (!this.#crawler.hasBegun) this.#ownChanges.clear();
    const { records, startedAt, endedAt, isComplete } = await this.#crawler.run({ priority, signal });
    this.#crawledUntil = endedAt;
    const missed = isComplete ? [] : await this.#missedBy(records, { priority, signal });
    await this.index.replaceAll([...records, ...missed], (id) => this.#ownChanges.has(id));
    // Our own changes during the crawl are newer than its pages.
    for (const [id, record] of this.#ownChanges) {
      if (record === null) this.index.remove(id, true);
      else this.index.put(record);
    }
    this.#ownChanges.clear();
    this.#unread.clear();
    this.#allTouched = true;
    this.#knownUntil = startedAt;
    this.#seen.clear();
    // The next poll brings the changes made during the crawl. It is due after the usual interval, as the list is fresh.
    this.#polledAt = this.#time.now();
    this.#complete = true;
  }

  /** Known files that an incomplete list did not show, but that still exist. */
  async #missedBy(records: readonly FileRecord[], options: CallOptions): Promise<FileRecord[]> {
    const listed = new Set(records.map(({ id }) => id));
    const missing = [...this.index.ids()].filter((id) => !listed.has(id));
    if (missing.length > maxLookups) {
      this.#log.warn({ missing: missing.length }, 'the list of files lacks many that were there: taken for removed');
      return [];
    }
    const found = await Promise.all(missing.map((id) => this.#look(id, options)));
    return found.flatMap((record, i) => {
      const known = record === 'unread' ? this.index.file(missing[i] ?? '') : record;
      return known === undefined ? [] : [known];
    });
  }

  async #pollInDoubt(priority: CallOptions['priority']): Promise<void> {
    const wasInDoubt = this.#isInDoubt;
    // Cleared before the poll: a request that fails during the poll sets it again.
    this.#isInDoubt = false;
    try {
      await this.#poll(priority);
      if (this.#unread.size > 0 && this.#mustKnowAll) await this.#crawlAnew({ priority });
      this.#isInDoubt ||= wasInDoubt && this.#unread.size > 0;
    } catch (error) {
      this.#isInDoubt ||= wasInDoubt;
      throw error;
    }
  }

  async #poll(priority: CallOptions['priority']): Promise<void> {
    const options: CallOptions = { priority, waitBudget: new WaitBudget() };
    const askedAt = this.#api.serverNow();
    const since = this.#knownUntil - this.#overlap();
    this.#polledAt = this.#time.now();
    this.#crawled = 0;
    this.#ownChangesSincePoll.clear();
    // A page of the feed costs what a page of the list does.
    const feed = await this.#feed.read(since, Math.max(feedPages, this.#crawlCost()), options);
    if (feed.kind === 'lost') return await this.#crawlAnew(options);
    // A listed file was removed before the crawl ended. Another file moved to its place in the list, and the crawl may have
    // missed that one.
    const isHiding = ({ id, action, timestamp }: ChangeEvent): boolean =>
      action === 'deleted' && this.index.file(id) !== undefined && (timeIn(timestamp) ?? 0) < this.#crawledUntil + 1000;
    if (feed.events.some(isHiding)) return await this.#crawlAnew(options);
    const { remove, look: changed } = digest(feed.events, (id) => this.index.file(id), this.#seen);
    for (const id of remove) this.#unread.delete(id);
    const look = [...new Set([...this.#unread, ...changed])];
    // A crawl is cheaper than this many single requests.
    if (look.length > Math.max(3, this.#crawlCost())) return await this.#crawlAnew(options);
    const found = await Promise.all(look.map((id) => this.#look(id, options)));
    for (const id of remove) if (!this.#ownChangesSincePoll.has(id)) this.#touch(this.index.remove(id));
    for (const [i, record] of found.entries()) {
      const id = look[i] ?? '';
      if (record === 'unread' || this.#ownChangesSincePoll.has(id)) continue;
      this.#touch(record === undefined ? this.index.remove(id) : this.index.put(record));
    }
    this.#knownUntil = Math.max(this.#knownUntil, askedAt);
    this.#seen = new Map();
    for (const event of feed.events) {
      const time = timeIn(event.timestamp);
      if (time === undefined || time < this.#knownUntil - this.#overlap() - 1000) continue;
      this.#seen.set(keyOf(event), (this.#seen.get(keyOf(event)) ?? 0) + 1);
    }
  }

  async #crawlAnew(options: CallOptions): Promise<void> {
    await this.#crawlShared({ priority: options.priority });
    this.#crawled = this.#crawlCost();
  }

  /** Requests one changed file. If that fails, it is marked unread, so that it does not hide the changes of other files. */
  async #look(id: string, options: CallOptions): Promise<FileRecord | 'unread' | undefined> {
    try {
      const record = recordOf(await this.#api.file(id, options), this.index.file(id)?.folder ?? rootPath);
      this.#unread.delete(id);
      return record;
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      const isGone = error.code === 'not-found';
      if (!isGone && !this.#unread.has(id)) this.#log.warn({ id, code: error.code }, 'a changed file cannot be read');
      if (isGone) this.#unread.delete(id);
      else this.#unread.add(id);
      return isGone ? undefined : 'unread';
    }
  }

  #touch(folders: readonly string[]): void {
    for (const folder of folders) this.#touched.add(folder);
  }
}

function nobodyWaits(): ProviderError {
  return new ProviderError('aborted', 'nobody waits for the list any more', { data: {} });
}
