/**
 * Reads the whole account through the flat list: ⌈N/100⌉ requests for N files, pages in parallel once the first has told
 * how many there are. Pages that are there stay when another one fails: the next try asks for the rest only, which an
 * account larger than its hourly limit needs.
 */
import pLimit from 'p-limit';
import { type Log, silentLog } from '../../base/log.js';
import type { CallOptions } from '../http/client.js';
import type { FiveSyncApi } from './api.js';
import { type FileRecord, hasPath, type Item, normalPath, type Page, recordOf, rootPath } from './entities.js';

/** Pages are asked for again when files went while they were read, because later ones move up; so often. */
const tries = 3;
/** Files that are asked for one by one at a time, where the list does not tell their folder. */
const width = 8;

export interface Crawled {
  readonly records: FileRecord[];
  /** The server's time when the first page was asked for, ms since the epoch. */
  readonly startedAt: number;
}

interface Progress {
  readonly startedAt: number;
  readonly total: number | undefined;
  readonly perPage: number;
  readonly pages: Map<number, Item[]>;
}

export class Crawler {
  readonly #api: FiveSyncApi;
  readonly #log: Log;
  #progress: Progress | undefined;
  /** Folders learnt one by one, where the list does not tell them. */
  readonly #folders = new Map<string, string>();

  constructor(api: FiveSyncApi, log: Log = silentLog) {
    this.#api = api;
    this.#log = log;
  }

  /** The first page: also the check that the credentials work. */
  async begin(options: CallOptions): Promise<void> {
    const { clock } = this.#api.http;
    const askedAt = clock.now();
    const first = await this.#api.page(1, options);
    // How far the server's clock is from ours is known from its first answer on.
    const startedAt = this.#api.serverNow() - (clock.now() - askedAt);
    this.#progress = { startedAt, ...shapeOf(first), pages: new Map([[1, first.items]]) };
  }

  /** Is there a part of a crawl to go on from? */
  get hasBegun(): boolean {
    return this.#progress !== undefined;
  }

  async run(options: CallOptions): Promise<Crawled> {
    let startedAt: number | undefined;
    for (let left = tries - 1; ; left--) {
      if (this.#progress === undefined) await this.begin(options);
      const progress = this.#progress as Progress;
      startedAt ??= progress.startedAt;
      const total = await this.#readPages(progress, options);
      const items = new Map([...progress.pages.values()].flat().map((item) => [item.id, item]));
      this.#progress = undefined;
      if (items.size < (total ?? 0) && left > 0) continue;
      if (items.size < (total ?? 0)) this.#log.warn({ total, read: items.size }, 'the list of files keeps changing');
      return { records: await this.#place([...items.values()], options), startedAt };
    }
  }

  /** Answers the total as told last. */
  async #readPages(progress: Progress, options: CallOptions): Promise<number | undefined> {
    const { pages, perPage } = progress;
    let { total } = progress;
    const read = async (page: number): Promise<void> => {
      if (pages.has(page)) return;
      const answer = await this.#api.page(page, options, perPage === 100 ? undefined : perPage);
      pages.set(page, answer.items);
      total = answer.total ?? total;
    };
    if (total !== undefined && perPage > 0) {
      const count = Math.ceil(total / perPage);
      const results = await Promise.allSettled(Array.from({ length: count }, (_, i) => read(i + 1)));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }
    // What came meanwhile, or everything where no total is told.
    for (let page = pages.size + 1; ; page++) {
      const last = pages.get(page - 1) ?? [];
      const counted = [...pages.values()].reduce((sum, items) => sum + items.length, 0);
      if (last.length === 0 || last.length < perPage || (total !== undefined && counted >= total)) return total;
      await read(page);
    }
  }

  /** Items may come without their folder: then it is learnt with the filter where that is exact, else one by one. */
  async #place(items: readonly Item[], options: CallOptions): Promise<FileRecord[]> {
    const unplaced = new Set(items.filter((item) => !hasPath(item) && !this.#folders.has(item.id)).map(({ id }) => id));
    if (unplaced.size > 0) await this.#learnFolders(unplaced, items.length, options);
    const records = items.map((item) => recordOf(item, this.#folders.get(item.id) ?? rootPath));
    return records.filter((record) => record !== undefined);
  }

  async #learnFolders(unplaced: Set<string>, all: number, options: CallOptions): Promise<void> {
    const inRoot = await this.#filtered(rootPath, options);
    // A filter that brings everything may be recursive, or none: it tells nothing about a single folder.
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
    const ids: string[] = [];
    for (let page = 1; ; page++) {
      const answer = await this.#api.page(page, options, undefined, path);
      ids.push(...answer.items.map((item) => item.id));
      const { total, perPage } = shapeOf(answer);
      if (answer.items.length === 0 || (total === undefined ? answer.items.length < perPage : ids.length >= total))
        return ids;
    }
  }
}

/** What the first page tells about the others. */
function shapeOf(page: Page): { readonly total: number | undefined; readonly perPage: number } {
  const total = page.total ?? undefined;
  const given = page.items.length;
  // The largest page that the server grants may be smaller than what was asked for.
  if (total !== undefined && total > given) return { total, perPage: given };
  return { total, perPage: Math.max(given, page.limit ?? 100) };
}
