/**
 * Reads every page of a list that changes meanwhile. Invariant: an item that was in the list all the time is not missed.
 *
 * A removal moves all following items up by one place: the first item of a page becomes the last item of the page before.
 * A reader that goes forwards has already read that page, and misses the item. A reader that goes backwards sees it twice
 * instead. So pages are read in windows: the last window first, the pages of one window in parallel. If the list moved
 * while a window was read, its pages are read again, one after the other, the last one first.
 *
 * When a page fails, the pages read so far stay, and the next call resumes. An account larger than its hourly limit needs
 * that.
 */
import { forEachInTurns } from '../../base/event-loop-turns.js';
import { timeIn } from '../http/answers/times.js';
import type { Item, Page } from './entities.js';

/** Pages at once: as many as there are connections to a host. */
export const windowPages = 32;

export type ReadPage = (page: number) => Promise<Page>;

export class PageWalk {
  /** Items in a full page, as the server grants them. */
  readonly perPage: number;
  /** The list moved while it was read. */
  hasMoved = false;
  /** All pages so far are in order of creation, by their `created`. */
  isAscending = true;
  /** Number of items, from the last page; undefined if the server sends none, or one that contradicts its pages. */
  total: number | undefined;
  readonly #pages = new Map<number, Page>();
  /** By item id: the number of pages that contain it. */
  readonly #ids = new Map<string, number>();
  /** The first page, until `finish` has added it. */
  #first: Page | null;
  readonly #isNew: (item: Item) => boolean;
  /** Number of the last page; undefined while unknown. */
  #last: number | undefined;
  /** All pages from this one to the last are read. */
  #readFrom: number;
  /** Pages to read again, from `high` down to `low`, because the list moved while their window was read. */
  #reread: { high: number; readonly low: number } | null = null;
  #isMoving = false;

  /** `isNew` tells whether the item was created since the walk began. */
  constructor(first: Page, isNew: (item: Item) => boolean) {
    this.#isNew = isNew;
    this.total = first.total ?? undefined;
    const given = first.length;
    // The server may return smaller pages than requested.
    this.perPage = this.total !== undefined && this.total > given ? given : Math.max(given, first.limit ?? given, 1);
    if (this.total !== undefined && this.perPage > 0) this.#last = Math.max(1, Math.ceil(this.total / this.perPage));
    this.#readFrom = (this.#last ?? 1) + 1;
    this.#first = first;
  }

  /** Pages read. */
  get count(): number {
    return this.#pages.size;
  }

  /** Number of entries that do not match the document. */
  get badEntries(): number {
    return [...this.#pages.values()].reduce((sum, { items, length }) => sum + length - items.length, 0);
  }

  async items(): Promise<Map<string, Item>> {
    const all = new Map<string, Item>();
    for (const { items } of this.#pages.values()) await forEachInTurns(items, (item) => all.set(item.id, item));
    return all;
  }

  /** Reads all pages once more after `finish`, because an item is known to have been removed meanwhile. */
  async repeat(read: ReadPage): Promise<void> {
    this.hasMoved = true;
    this.#reread = { high: this.#last ?? 1, low: 1 };
    await this.#readAgain(read);
  }

  async finish(read: ReadPage): Promise<void> {
    if (this.#first !== null) {
      const first = this.#first;
      this.#first = null;
      await this.#addPage(1, first);
      this.#isMoving = false;
    }
    if (this.#last === undefined) await this.#readForwards(read);
    while (this.#reread !== null || this.#readFrom > 2) {
      if (this.#reread === null) await this.#window(read);
      await this.#readAgain(read);
    }
    await this.#readAppended(read);
    // The first page was read first, so it may be out of date.
    if (this.hasMoved) await this.#addPage(1, await read(1));
  }

  /** Reads the window before the pages that are read already, in parallel. */
  async #window(read: ReadPage): Promise<void> {
    const high = this.#readFrom - 1;
    const low = Math.max(2, high - windowPages + 1);
    const wanted = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((page) => !this.#pages.has(page));
    const before = this.total;
    let hasNoNewItem = true;
    const results = await Promise.allSettled(
      wanted.map(async (page) => {
        const answer = await read(page);
        if (answer.total !== before) this.#isMoving = true;
        if (await this.#addPage(page, answer)) hasNoNewItem = false;
      }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    if (high === this.#last && high > 2 && hasNoNewItem) return this.#ignoreTotal(read);
    this.#readFrom = low;
    if (this.#isMoving) this.#reread = { high, low };
    this.hasMoved ||= this.#isMoving;
    this.#isMoving = false;
  }

  async #readAgain(read: ReadPage): Promise<void> {
    while (this.#reread !== null) {
      const { high, low } = this.#reread;
      await this.#addPage(high, await read(high));
      if (high <= low) this.#reread = null;
      else this.#reread.high--;
    }
    this.#isMoving = false;
  }

  /** The pages that should be the last are empty, so the total is wrong: ignore it and read forwards. */
  async #ignoreTotal(read: ReadPage): Promise<void> {
    for (const page of [...this.#pages.keys()]) if (page > 1) await this.#dropPage(page);
    this.#last = undefined;
    await this.#readForwards(read);
  }

  /** Reads page after page up to the first without a new item. Without a total, a move goes unnoticed: assume one. */
  async #readForwards(read: ReadPage): Promise<void> {
    for (let last = Math.max(...this.#pages.keys()); ; last++) {
      const isFull = (this.#pages.get(last)?.length ?? 0) >= this.perPage;
      const page = isFull ? await read(last + 1) : undefined;
      const bringsMore = page?.items.some(({ id }) => !this.#ids.has(id)) ?? false;
      if (page === undefined || !bringsMore) {
        this.#last = last;
        this.#readFrom = 2;
        this.total = undefined;
        this.hasMoved = last > 1 || page !== undefined;
        this.#reread = last > 1 ? { high: last, low: 2 } : null;
        return;
      }
      await this.#addPage(last + 1, page);
    }
  }

  /** Reads items that were added after the last page meanwhile. */
  async #readAppended(read: ReadPage): Promise<void> {
    for (
      let page = (this.#last ?? 1) + 1;
      this.total !== undefined && this.#ids.size + this.badEntries < this.total;
      page++
    ) {
      if ((this.#pages.get(page - 1)?.length ?? 0) < this.perPage) return;
      const before = this.#ids.size;
      await this.#addPage(page, await read(page));
      this.#last = page;
      if (this.#ids.size === before) return;
    }
  }

  /** Stores a page. Resolves with true if it has an item that no page had before. */
  async #addPage(page: number, answer: Page): Promise<boolean> {
    const { items, total } = answer;
    let bringsMore = false;
    let before: number | undefined;
    await forEachInTurns(items, (item) => {
      const held = this.#ids.get(item.id) ?? 0;
      bringsMore ||= held === 0;
      this.#ids.set(item.id, held + 1);
      if (this.#isNew(item)) this.#isMoving = true;
      const time = timeIn(item.created) ?? Number.NaN;
      this.isAscending &&= before === undefined || time >= before;
      before = time;
    });
    await this.#dropPage(page);
    this.#pages.set(page, answer);
    if (total !== undefined && total !== null && this.total !== undefined) this.total = total;
    return bringsMore;
  }

  /** Forgets a page. */
  async #dropPage(page: number): Promise<void> {
    const items = this.#pages.get(page)?.items ?? [];
    this.#pages.delete(page);
    await forEachInTurns(items, ({ id }) => {
      const held = this.#ids.get(id) ?? 0;
      if (held > 1) this.#ids.set(id, held - 1);
      else this.#ids.delete(id);
    });
  }
}
