/**
 * Counts by number, in pages of an array. The kernel may hold a million nodes. Their numbers are row ids, and lie close together. A `Map`
 * would take 60 bytes for each, and block the event loop for half a second whenever it grows.
 */

/** Counts of one page: 32 KiB. A page exists while one of its counts is above 0. */
const PAGE = 4096;

interface Page {
  readonly counts: Float64Array;
  /** The number of counts above 0. */
  used: number;
}

export class ReferenceCounts {
  readonly #pages = new Map<number, Page>();
  #size = 0;

  /** The number of counts above 0, in all pages. */
  get size(): number {
    return this.#size;
  }

  has(number: number): boolean {
    return this.#of(number) > 0;
  }

  add(number: number): void {
    const at = number % PAGE;
    const index = (number - at) / PAGE;
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = { counts: new Float64Array(PAGE), used: 0 };
      this.#pages.set(index, page);
    }
    const count = (page.counts[at] as number) + 1;
    page.counts[at] = count;
    if (count > 1) return;
    page.used++;
    this.#size++;
  }

  /** True if the count falls to 0 by this. It never becomes negative. */
  subtract(number: number, count: number): boolean {
    const left = this.#of(number) - count;
    const at = number % PAGE;
    const index = (number - at) / PAGE;
    const page = this.#pages.get(index);
    if (page === undefined || page.counts[at] === 0) return false;
    page.counts[at] = Math.max(0, left);
    if (left > 0) return false;
    page.used--;
    this.#size--;
    if (page.used === 0) this.#pages.delete(index);
    return true;
  }

  #of(number: number): number {
    const at = number % PAGE;
    return this.#pages.get((number - at) / PAGE)?.counts[at] ?? 0;
  }
}
