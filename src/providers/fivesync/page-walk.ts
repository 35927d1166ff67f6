/**
 * Reads every page of a list that changes meanwhile, and misses nothing that was in it all the time.
 *
 * A removal moves all that follows up by one place: the first of each page becomes the last of the page before. Who has read
 * that page and not yet the other never sees it. From the last page to the first it is seen twice instead. So pages are read
 * in windows, the last window first, and those of one window in parallel. Where the list moved during a window, its pages
 * are read again, one after the other, the last one first.
 *
 * What is there stays when a page fails: the next call goes on, which an account larger than its hourly limit needs.
 */
import { forEachInTurns } from '../../base/turns.js';
import type { Item, Page } from './entities.js';

/** Pages at once: as many as there are connections to a host. */
export const windowPages = 32;

export type ReadPage = (page: number) => Promise<Page>;

export class PageWalk {
  /** Items in a full page, as the server grants them. */
  readonly perPage: number;
  /** The list was seen to move while it was read. */
  hasMoved = false;
  /** Pages come in the order in which files were made, as far as they tell. */
  isAscending = true;
  /** As told last; undefined where the server tells none, or one that its pages belie. */
  total: number | undefined;
  readonly #pages = new Map<number, Page>();
  /** On how many of the pages each is. */
  readonly #ids = new Map<string, number>();
  /** The first page, until it is taken in. */
  #first: Page | null;
  readonly #isNew: (item: Item) => boolean;
  /** The last page, where it is known. */
  #last: number | undefined;
  /** From here to the last one, all pages are read. */
  #readFrom: number;
  /** The pages of a window that moved, which are to be read again, from `high` down to `low`. */
  #again: { high: number; readonly low: number } | null = null;
  #isMoving = false;

  /** `isNew`: made since the walk began. */
  constructor(first: Page, isNew: (item: Item) => boolean) {
    this.#isNew = isNew;
    this.total = first.total ?? undefined;
    const given = first.length;
    // The largest page that the server grants may be smaller than what was asked for.
    this.perPage = this.total !== undefined && this.total > given ? given : Math.max(given, first.limit ?? given, 1);
    if (this.total !== undefined && this.perPage > 0) this.#last = Math.max(1, Math.ceil(this.total / this.perPage));
    this.#readFrom = (this.#last ?? 1) + 1;
    this.#first = first;
  }

  /** Pages read. */
  get count(): number {
    return this.#pages.size;
  }

  /** Entries that are not as the document has them. */
  get badEntries(): number {
    return [...this.#pages.values()].reduce((sum, { items, length }) => sum + length - items.length, 0);
  }

  async items(): Promise<Map<string, Item>> {
    const all = new Map<string, Item>();
    for (const { items } of this.#pages.values()) await forEachInTurns(items, (item) => all.set(item.id, item));
    return all;
  }

  /** All of it once more, after `finish`: something is known to have gone meanwhile. */
  async repeat(read: ReadPage): Promise<void> {
    this.hasMoved = true;
    this.#again = { high: this.#last ?? 1, low: 1 };
    await this.#readAgain(read);
  }

  async finish(read: ReadPage): Promise<void> {
    if (this.#first !== null) {
      const first = this.#first;
      this.#first = null;
      await this.#keep(1, first);
      this.#isMoving = false;
    }
    if (this.#last === undefined) await this.#forwards(read);
    while (this.#again !== null || this.#readFrom > 2) {
      if (this.#again === null) await this.#window(read);
      await this.#readAgain(read);
    }
    await this.#beyond(read);
    // The first page was read first of all.
    if (this.hasMoved) await this.#keep(1, await read(1));
  }

  /** The pages before those that are read, in parallel. */
  async #window(read: ReadPage): Promise<void> {
    const high = this.#readFrom - 1;
    const low = Math.max(2, high - windowPages + 1);
    const wanted = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((page) => !this.#pages.has(page));
    const before = this.total;
    let isFruitless = true;
    const results = await Promise.allSettled(
      wanted.map(async (page) => {
        const answer = await read(page);
        if (answer.total !== before) this.#isMoving = true;
        if (await this.#keep(page, answer)) isFruitless = false;
      }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    if (high === this.#last && high > 2 && isFruitless) return this.#disbelieve(read);
    this.#readFrom = low;
    if (this.#isMoving) this.#again = { high, low };
    this.hasMoved ||= this.#isMoving;
    this.#isMoving = false;
  }

  async #readAgain(read: ReadPage): Promise<void> {
    while (this.#again !== null) {
      const { high, low } = this.#again;
      await this.#keep(high, await read(high));
      if (high <= low) this.#again = null;
      else this.#again.high--;
    }
    this.#isMoving = false;
  }

  /** The pages that should be the last bring nothing: the total says nothing about this list. */
  async #disbelieve(read: ReadPage): Promise<void> {
    for (const page of [...this.#pages.keys()]) if (page > 1) await this.#drop(page);
    this.#last = undefined;
    await this.#forwards(read);
  }

  /** Page after page to the first that brings nothing new. Nothing tells then whether the list moved: it is taken to have. */
  async #forwards(read: ReadPage): Promise<void> {
    for (let last = Math.max(...this.#pages.keys()); ; last++) {
      const isFull = (this.#pages.get(last)?.length ?? 0) >= this.perPage;
      const page = isFull ? await read(last + 1) : undefined;
      const bringsMore = page?.items.some(({ id }) => !this.#ids.has(id)) ?? false;
      if (page === undefined || !bringsMore) {
        this.#last = last;
        this.#readFrom = 2;
        this.total = undefined;
        this.hasMoved = last > 1 || page !== undefined;
        this.#again = last > 1 ? { high: last, low: 2 } : null;
        return;
      }
      await this.#keep(last + 1, page);
    }
  }

  /** What was added meanwhile, behind the last page. */
  async #beyond(read: ReadPage): Promise<void> {
    for (
      let page = (this.#last ?? 1) + 1;
      this.total !== undefined && this.#ids.size + this.badEntries < this.total;
      page++
    ) {
      if ((this.#pages.get(page - 1)?.length ?? 0) < this.perPage) return;
      const before = this.#ids.size;
      await this.#keep(page, await read(page));
      this.#last = page;
      if (this.#ids.size === before) return;
    }
  }

  /** Does it bring what no page had before? */
  async #keep(page: number, answer: Page): Promise<boolean> {
    const { items, total } = answer;
    let bringsMore = false;
    let before: number | undefined;
    await forEachInTurns(items, (item) => {
      const held = this.#ids.get(item.id) ?? 0;
      bringsMore ||= held === 0;
      this.#ids.set(item.id, held + 1);
      if (this.#isNew(item)) this.#isMoving = true;
      const time = Date.parse(item.created ?? '');
      this.isAscending &&= before === undefined || time >= before;
      before = time;
    });
    await this.#drop(page);
    this.#pages.set(page, answer);
    if (total !== undefined && total !== null && this.total !== undefined) this.total = total;
    return bringsMore;
  }

  /** Forgets what was read of a page. */
  async #drop(page: number): Promise<void> {
    const items = this.#pages.get(page)?.items ?? [];
    this.#pages.delete(page);
    await forEachInTurns(items, ({ id }) => {
      const held = this.#ids.get(id) ?? 0;
      if (held > 1) this.#ids.set(id, held - 1);
      else this.#ids.delete(id);
    });
  }
}
