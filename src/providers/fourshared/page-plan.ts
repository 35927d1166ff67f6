/** How a list is cut into pages: pure, so that the request budget is a table in the tests. */

/** "Default (and max value) is 100." */
export const pageSize = 100;

/**
 * How many pages to ask for at once. Null: only one after the other, because it is unknown where the end is.
 *
 * A fresh count is believed, 0 included. A stale one only says what is likely: it is worth asking for several pages at
 * once, but never worth asking for none.
 */
export function planPages(count: number | null, fresh: boolean): number | null {
  if (count === null) return null;
  if (count === 0) return fresh ? 0 : null;
  return Math.ceil(count / pageSize);
}

/**
 * What to do after the planned pages have come, by how many entries each held:
 * - `done`
 * - a number: go on, one page after the other, from this offset
 * - `restart`: a page in the middle was short: the list changed meanwhile, or the server's pages are smaller than ours,
 *   so that the offsets were wrong
 */
export function afterPages(lengths: readonly number[], count: number, fresh: boolean): 'done' | 'restart' | number {
  const short = lengths.findIndex((length) => length < pageSize);
  if (short === -1) {
    // All full. A fresh count that was met exactly needs no further proof.
    const total = lengths.length * pageSize;
    return fresh && total === count ? 'done' : total;
  }
  return lengths.slice(short + 1).some((length) => length > 0) ? 'restart' : 'done';
}
