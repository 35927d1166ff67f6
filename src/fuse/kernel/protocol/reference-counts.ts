/**
 * Counts by number, in pages of an array. The kernel may hold a million nodes, whose numbers are row ids and lie close together: a `Map`
 * would take 60 bytes for each, and half a second of the event loop whenever it grows.
 */

/** Counts of one page: 32 KiB. A page exists while one of its counts is above 0. */
const PAGE = 4096;

interface Page {
  readonly counts: Float64Array;
  /** How many of them are above 0. */
  used: number;
}

export class ReferenceCounts {
  readonly #pages = new Map<number, Page>();
  #size = 0;

  /** How many numbers have a count above 0. */
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

  /** True where that takes the count from above 0 to 0. It never goes below. */
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
