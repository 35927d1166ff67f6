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
    this.#keep(1, first);
    this.#isMoving = false;
  }

  /** Pages read. */
  get count(): number {
    return this.#pages.size;
  }

  /** Entries that are not as the document has them. */
  get badEntries(): number {
    return [...this.#pages.values()].reduce((sum, { items, length }) => sum + length - items.length, 0);
  }

  items(): Map<string, Item> {
    return new Map([...this.#pages.values()].flatMap(({ items }) => items.map((item) => [item.id, item] as const)));
  }

  /** All of it once more, after `finish`: something is known to have gone meanwhile. */
  async repeat(read: ReadPage): Promise<void> {
    this.hasMoved = true;
    this.#again = { high: this.#last ?? 1, low: 1 };
    await this.#readAgain(read);
  }

  async finish(read: ReadPage): Promise<void> {
    if (this.#last === undefined) await this.#forwards(read);
    while (this.#again !== null || this.#readFrom > 2) {
      if (this.#again === null) await this.#window(read);
      await this.#readAgain(read);
    }
    await this.#beyond(read);
    // The first page was read first of all.
    if (this.hasMoved) this.#keep(1, await read(1));
  }

  /** The pages before those that are read, in parallel. */
  async #window(read: ReadPage): Promise<void> {
    const high = this.#readFrom - 1;
    const low = Math.max(2, high - windowPages + 1);
    const wanted = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((page) => !this.#pages.has(page));
    const known = this.items();
    const before = this.total;
    const results = await Promise.allSettled(
      wanted.map(async (page) => {
        const answer = await read(page);
        if (answer.total !== before) this.#isMoving = true;
        this.#keep(page, answer);
      }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const isFruitless = wanted.every((page) => this.#pages.get(page)?.items.every(({ id }) => known.has(id)));
    if (high === this.#last && high > 2 && isFruitless) return this.#disbelieve(read);
    this.#readFrom = low;
    if (this.#isMoving) this.#again = { high, low };
    this.hasMoved ||= this.#isMoving;
    this.#isMoving = false;
  }

  async #readAgain(read: ReadPage): Promise<void> {
    while (this.#again !== null) {
      const { high, low } = this.#again;
      this.#keep(high, await read(high));
      if (high <= low) this.#again = null;
      else this.#again.high--;
    }
    this.#isMoving = false;
  }

  /** The pages that should be the last bring nothing: the total says nothing about this list. */
  async #disbelieve(read: ReadPage): Promise<void> {
    for (const page of [...this.#pages.keys()]) if (page > 1) this.#pages.delete(page);
    this.#last = undefined;
    await this.#forwards(read);
  }

  /** Page after page to the first that brings nothing new. Nothing tells then whether the list moved: it is taken to have. */
  async #forwards(read: ReadPage): Promise<void> {
    const known = new Set(this.items().keys());
    for (let last = Math.max(...this.#pages.keys()); ; last++) {
      const isFull = (this.#pages.get(last)?.length ?? 0) >= this.perPage;
      const page = isFull ? await read(last + 1) : undefined;
      const fresh = page?.items.filter(({ id }) => !known.has(id)) ?? [];
      if (page === undefined || fresh.length === 0) {
        this.#last = last;
        this.#readFrom = 2;
        this.total = undefined;
        this.hasMoved = last > 1 || page !== undefined;
        this.#again = last > 1 ? { high: last, low: 2 } : null;
        return;
      }
      this.#keep(last + 1, page);
      for (const { id } of fresh) known.add(id);
    }
  }

  /** What was added meanwhile, behind the last page. */
  async #beyond(read: ReadPage): Promise<void> {
    for (
      let page = (this.#last ?? 1) + 1;
      this.total !== undefined && this.items().size + this.badEntries < this.total;
      page++
    ) {
      if ((this.#pages.get(page - 1)?.length ?? 0) < this.perPage) return;
      const before = this.items().size;
      this.#keep(page, await read(page));
      this.#last = page;
      if (this.items().size === before) return;
    }
  }

  #keep(page: number, answer: Page): void {
    const { items, total } = answer;
    this.#pages.set(page, answer);
    if (total !== undefined && total !== null && this.total !== undefined) this.total = total;
    if (items.some(this.#isNew)) this.#isMoving = true;
    const times = items.map(({ created }) => Date.parse(created ?? ''));
    this.isAscending &&= times.every((time, i) => i === 0 || time >= (times[i - 1] ?? time));
  }
}
