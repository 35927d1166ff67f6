/**
 * Keeps the index in line with the account: one crawl, then polls of the change feed. Whoever asks at the same time
 * shares one piece of work.
 */
import { SteadyTime } from '../../base/clock.js';
import { type Log, silentLog } from '../../base/log.js';
import { SharedWork } from '../../base/shared-work.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/client.js';
import { orAborted } from '../or-aborted.js';
import type { RateLimit, RemoteChanges } from '../provider.js';
import { WaitBudget } from '../wait-budget.js';
import type { FiveSyncApi } from './api.js';
import { ChangeFeed, digest, keyOf } from './change-feed.js';
import { Crawler } from './crawl.js';
import { type ChangeEvent, type FileRecord, recordOf, rootPath, timeOf } from './entities.js';
import { FileIndex } from './file-index.js';

/** Part of the hourly requests that polls may use. */
const pollShare = 0.1;
/** Where the plan is not known yet, ms. */
const defaultPollMs = 60_000;
const shortestPollMs = 5000;
const hourMs = 3600_000;
/** `since` goes back by so much: the clocks of the server's machines differ, and its feed may lag, ms. */
const overlapMs = 120_000;
/** The same where the server does not tell its time of day, and ours may be wrong, ms. */
const blindOverlapMs = 15 * 60_000;

/** Ms between two polls. Starter (60 an hour): 10 minutes; Plus (600): 1 minute; Business (6,000): 6 seconds. Pure. */
export function pollInterval(limit: RateLimit | null): number {
  if (limit === null || limit.limit <= 0) return defaultPollMs;
  return Math.min(hourMs, Math.max(shortestPollMs, hourMs / (limit.limit * pollShare)));
}

/** Files that a list lacks are asked for one by one, up to so many. */
const mostLookedFor = 100;

/** Errors that a list from memory is better than. */
const passing = new Set(['network', 'timeout', 'server', 'rate-limited', 'protocol']);

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
  /** Server's time up to which everything is known, ms. */
  #knownUntil = 0;
  /** Server's time of the last answer to a crawl of several pages, ms. */
  #crawledUntil = Number.NEGATIVE_INFINITY;
  /** By `#time`. */
  #polledAt = Number.NEGATIVE_INFINITY;
  #seen = new Map<string, number>();
  #touched = new Set<string>();
  #allTouched = false;
  /** A request of ours ended without a word of what it did: the index may be wrong until the feed has been read. */
  #isInDoubt = false;
  /** Changed files of which the server would not say how they are now: asked about again with every poll. */
  readonly #unread = new Set<string>();
  /** Somebody waits for the poll under way who must know of all files. */
  #mustKnowAll = false;
  /** What this mount did since the crawl under way began: the crawl's answers may be older. */
  readonly #ours = new Map<string, FileRecord | null>();
  /** The same for the poll under way. */
  readonly #oursSincePoll = new Set<string>();
  /** The server's events lag behind its clock by as much as was seen, ms. */
  #lagMs = 0;

  constructor(api: FiveSyncApi, log: Log = silentLog) {
    this.#api = api;
    this.#log = log;
    this.#time = new SteadyTime(api.http.clock);
    this.#crawler = new Crawler(api, log);
    this.#feed = new ChangeFeed(api);
  }

  /** One request: the first page of the list, kept for the crawl that follows. */
  async check(options: CallOptions): Promise<void> {
    if (this.#complete) await this.#api.page(1, options, 1);
    else await this.#crawler.begin(options);
  }

  /** Resolves when the account has been read once. */
  async ready(options: CallOptions): Promise<void> {
    if (this.#complete) return;
    await orAborted(this.#crawlShared(options), options.signal);
  }

  /** A crawl that nobody waits for any more ends with the page under way, and the next one goes on from there. */
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

  /** The account has been read, and what our own requests did to it is known. */
  async certain(options: CallOptions): Promise<void> {
    await this.ready(options);
    if (!this.#isInDoubt) return;
    const { clock } = this.#api.http;
    const begun = clock.now();
    try {
      await this.settle(options);
    } finally {
      options.waitBudget?.spend(begun, clock.now());
    }
  }

  /**
   * Resolves when the index is not older than the poll interval; where polling fails, with what is known. Not so where that
   * may lack what we did ourselves.
   */
  async fresh(options: CallOptions): Promise<void> {
    if (!this.#complete || this.#isInDoubt) return await this.certain(options);
    if (this.#dueInMs() > 0 || this.#api.isScarce()) return;
    try {
      await this.#pollNow(options);
    } catch (error) {
      if (!(error instanceof ProviderError) || !passing.has(error.code)) throw error;
      this.#log.warn({ code: error.code }, 'the change feed cannot be asked: answering from what is known');
    }
  }

  /** Every change until now is known: by the change feed, or by the whole list where a changed file cannot be read alone. */
  async settle(options: CallOptions): Promise<void> {
    await this.#pollNow(options, true);
  }

  async #pollNow(options: CallOptions, mustKnowAll = false): Promise<void> {
    await this.ready(options);
    // One under way may have been answered before what the caller wants to see.
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

  /** A change of our own. */
  put(record: FileRecord): void {
    this.#note(record.id, record);
    this.index.put(record);
    this.#lagMs = Math.max(this.#lagMs, Math.min(this.#api.serverNow() - record.modified, 24 * hourMs));
  }

  removed(id: string, keepFolder = true): void {
    this.#note(id, null);
    this.index.remove(id, keepFolder);
  }

  /** A change of our own ended with `error`. Was it carried out all the same? */
  failed(error: unknown): void {
    if (!(error instanceof ProviderError) || error.code === 'aborted' || passing.has(error.code)) this.doubt();
  }

  /** Something of ours is at the server that the index may lack. */
  doubt(): void {
    this.#isInDoubt = true;
  }

  #note(id: string, record: FileRecord | null): void {
    this.#unread.delete(id);
    if (record === null) this.#crawler.removals++;
    if (!this.#complete || this.#crawling !== undefined) this.#ours.set(id, record);
    if (this.#polling !== undefined) this.#oursSincePoll.add(id);
  }

  #overlap(): number {
    return (this.#api.knowsTime ? overlapMs : blindOverlapMs) + this.#lagMs;
  }

  #dueInMs(): number {
    return this.#polledAt + pollInterval(this.#api.rateLimit) - this.#time.now();
  }

  #nextInMs(): number {
    const due = Math.max(1000, this.#dueInMs());
    if (!this.#api.isScarce()) return due;
    const opens = (this.#api.rateLimit?.resetAt ?? 0) - this.#api.http.clock.now();
    return Math.max(due, this.#api.limiter.retryAfterMs() ?? 0, Math.min(opens, hourMs));
  }

  async #crawl(priority: CallOptions['priority'], signal: AbortSignal): Promise<void> {
    if (!this.#crawler.hasBegun) this.#ours.clear();
    const { records, startedAt, endedAt, isComplete } = await this.#crawler.run({ priority, signal });
    this.#crawledUntil = endedAt;
    const missed = isComplete ? [] : await this.#missedBy(records, { priority, signal });
    await this.index.replaceAll([...records, ...missed], (id) => this.#ours.has(id));
    // What we did while pages were read is newer than the pages.
    for (const [id, record] of this.#ours) {
      if (record === null) this.index.remove(id, true);
      else this.index.put(record);
    }
    this.#ours.clear();
    this.#unread.clear();
    this.#allTouched = true;
    this.#knownUntil = startedAt;
    this.#seen.clear();
    // Changes made while it was read show in the next poll, which is due as usual: the list itself is that fresh.
    this.#polledAt = this.#time.now();
    this.#complete = true;
  }

  /** Of what was known, what a list that kept changing did not show and is there all the same. */
  async #missedBy(records: readonly FileRecord[], options: CallOptions): Promise<FileRecord[]> {
    const listed = new Set(records.map(({ id }) => id));
    const lacking = [...this.index.ids()].filter((id) => !listed.has(id));
    if (lacking.length > mostLookedFor) {
      this.#log.warn({ lacking: lacking.length }, 'the list of files lacks many that were there: taken for removed');
      return [];
    }
    const found = await Promise.all(lacking.map((id) => this.#look(id, options)));
    return found.flatMap((record, i) => {
      const known = record === 'unread' ? this.index.file(lacking[i] ?? '') : record;
      return known === undefined ? [] : [known];
    });
  }

  async #pollInDoubt(priority: CallOptions['priority']): Promise<void> {
    const wasInDoubt = this.#isInDoubt;
    // What ends while this is under way is in doubt anew.
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
    this.#oursSincePoll.clear();
    const feed = await this.#feed.read(since, options);
    if (feed.kind === 'lost') return await this.#crawlAnew(options);
    // Listed, and gone before the listing was at its end: another one came in its place, and was perhaps not seen.
    const isHiding = ({ id, action, timestamp }: ChangeEvent): boolean =>
      action === 'deleted' && this.index.file(id) !== undefined && (timeOf(timestamp) ?? 0) < this.#crawledUntil + 1000;
    if (feed.events.some(isHiding)) return await this.#crawlAnew(options);
    const { remove, look: changed } = digest(feed.events, (id) => this.index.file(id), this.#seen);
    for (const id of remove) this.#unread.delete(id);
    const look = [...new Set([...this.#unread, ...changed])];
    // Cheaper, and everything at once.
    if (look.length > Math.max(3, Math.ceil(this.index.size / 100))) return await this.#crawlAnew(options);
    const found = await Promise.all(look.map((id) => this.#look(id, options)));
    for (const id of remove) if (!this.#oursSincePoll.has(id)) this.#touch(this.index.remove(id));
    for (const [i, record] of found.entries()) {
      const id = look[i] ?? '';
      if (record === 'unread' || this.#oursSincePoll.has(id)) continue;
      this.#touch(record === undefined ? this.index.remove(id) : this.index.put(record));
    }
    this.#knownUntil = Math.max(this.#knownUntil, askedAt);
    this.#seen = new Map();
    for (const event of feed.events) {
      const time = timeOf(event.timestamp);
      if (time === undefined || time < this.#knownUntil - this.#overlap() - 1000) continue;
      this.#seen.set(keyOf(event), (this.#seen.get(keyOf(event)) ?? 0) + 1);
    }
  }

  async #crawlAnew(options: CallOptions): Promise<void> {
    await this.#crawlShared({ priority: options.priority });
  }

  /** A file that cannot be read must not hide the changes of all others. */
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
