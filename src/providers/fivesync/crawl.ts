/**
 * Reads the whole account through the flat list: ⌈N/100⌉ requests for N files. The first page says how many pages there
 * are; the others are read in parallel. If files are removed meanwhile, a part is read twice: see page-walk.ts.
 */
import pLimit from 'p-limit';
import { forEachInTurns } from '../../base/event-loop-turns.js';
import { type Log, silentLog } from '../../base/log.js';
import { timeIn } from '../http/answers/times.js';
import type { CallOptions } from '../http/client/call.js';
import type { FiveSyncApi } from './api.js';
import { type FileRecord, hasPath, type Item, normalPath, type Page, recordOf, rootPath } from './entities.js';
import { PageWalk } from './page-walk.js';

/** How often the list is read if it changes too much to be sure that a reading is complete. */
const tries = 3;
/** Parallel requests for single files, if the list does not contain their folder. */
const width = 8;

export interface Crawled {
  readonly records: FileRecord[];
  /** When the first page was requested, by the server's clock, ms since the epoch. */
  readonly startedAt: number;
  /** No file that existed during the whole crawl is missing, as far as the list itself shows. */
  readonly isComplete: boolean;
  /**
   * When the last answer came, by the server's clock, ms since the epoch. A file that was removed earlier may have hidden
   * another one from the crawl. `-Infinity` if there was only one page, in which nothing can be hidden.
   */
  readonly endedAt: number;
}

interface Walk {
  readonly pages: PageWalk;
  readonly startedAt: number;
  /** The crawler's `removals` at the start of the walk. */
  readonly removals: number;
}

export class Crawler {
  readonly #api: FiveSyncApi;
  readonly #log: Log;
  #walk: Walk | undefined;
  /** Number of files that this mount has removed. */
  removals = 0;
  /** By file id: folders that were requested one by one, because the list does not contain them. */
  readonly #folders = new Map<string, string>();

  constructor(api: FiveSyncApi, log: Log = silentLog) {
    this.#api = api;
    this.#log = log;
  }

  /** Reads the first page. Also serves to check the credentials. */
  async begin(options: CallOptions): Promise<void> {
    await this.#begin(options);
  }

  async #begin(options: CallOptions): Promise<Walk> {
    const { clock } = this.#api.http;
    const { removals } = this;
    const askedAt = clock.now();
    const first = await this.#api.page(1, options);
    // Computed after the answer, because the first answer brings the offset of the server's clock.
    const startedAt = this.#api.serverNow() - (clock.now() - askedAt);
    const pages = new PageWalk(first, ({ created }) => {
      const at = timeIn(created) ?? Number.NEGATIVE_INFINITY;
      // Times have a resolution of 1 s. A time in the future is from another clock and means nothing.
      return at > startedAt - 1000 && at <= this.#api.serverNow();
    });
    this.#walk = { pages, startedAt, removals };
    return this.#walk;
  }

  /** True if there is a partial crawl to resume. */
  get hasBegun(): boolean {
    return this.#walk !== undefined;
  }

  async run(options: CallOptions): Promise<Crawled> {
    let startedAt: number | undefined;
    const seen = new Map<string, Item>();
    for (let left = tries - 1; ; left--) {
      const walk: Walk = this.#walk ?? (await this.#begin(options));
      const { pages } = walk;
      startedAt ??= walk.startedAt;
      const perPage = pages.perPage === 100 ? undefined : pages.perPage;
      const read = (page: number): Promise<Page> => this.#api.page(page, options, perPage);
      await pages.finish(read);
      if (this.removals !== walk.removals && pages.count > 1) await pages.repeat(read);
      this.#walk = undefined;
      const items = await pages.items();
      const isOrdered = this.#api.isOrderedByCreation && pages.isAscending;
      const isComplete = items.size + pages.badEntries >= (pages.total ?? 0) && (isOrdered || !pages.hasMoved);
      if (!isComplete) await forEachInTurns(items, ([id, item]) => seen.set(id, item));
      if (!isComplete && left > 0) continue;
      if (!isComplete) this.#log.warn({ total: pages.total, read: items.size }, 'the list of files keeps changing');
      const records = await this.#place([...(isComplete ? items : seen).values()], options);
      const endedAt = pages.count > 1 ? this.#api.serverNow() : Number.NEGATIVE_INFINITY;
      return { records, startedAt, isComplete, endedAt };
    }
  }

  /** Finds the folders of items that come without one: by the `path` filter if that is exact, else one by one. */
  async #place(items: readonly Item[], options: CallOptions): Promise<FileRecord[]> {
    const unplaced = new Set<string>();
    await forEachInTurns(items, (item) => {
      if (!hasPath(item) && !this.#folders.has(item.id)) unplaced.add(item.id);
    });
    if (unplaced.size > 0) await this.#learnFolders(unplaced, items.length, options);
    const records: FileRecord[] = [];
    await forEachInTurns(items, (item) => {
      const record = recordOf(item, this.#folders.get(item.id) ?? rootPath);
      if (record !== undefined) records.push(record);
    });
    return records;
  }

  async #learnFolders(unplaced: Set<string>, all: number, options: CallOptions): Promise<void> {
    const inRoot = await this.#filtered(rootPath, options);
    // If the filter returns everything, it is recursive or ignored, and says nothing about a single folder.
    const isExact = inRoot.length < all;
    const place = (ids: readonly string[], folder: string): void => {
      for (const id of ids) {
        this.#folders.set(id, folder);
        unplaced.delete(id);
      }
    };
    if (isExact) place(inRoot, rootPath);
    const ask = async (id: string): Promise<void> => {
      const item = await this.#api.file(id, options).catch((error: unknown) => {
        if ((error as { code?: unknown }).code === 'not-found') return undefined;
        throw error;
      });
      const folder = item === undefined || !hasPath(item) ? rootPath : normalPath(item.path);
      place([id], folder);
      if (isExact && folder !== rootPath) place(await this.#filtered(folder, options), folder);
    };
    if (isExact) for (const id of unplaced) await ask(id);
    const limit = pLimit(width);
    await Promise.all([...unplaced].map((id) => limit(() => ask(id))));
  }

  async #filtered(path: string, options: CallOptions): Promise<string[]> {
    const ids = new Set<string>();
    for (let page = 1; ; page++) {
      const { items, length, total, limit } = await this.#api.page(page, options, undefined, path);
      const before = ids.size;
      for (const { id } of items) ids.add(id);
      const isLast = typeof total === 'number' ? ids.size >= total : length < (limit ?? length);
      if (isLast || ids.size === before) return [...ids];
    }
  }
}
