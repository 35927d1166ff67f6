/** Policy: which pages of a list are requested. Pure functions, so that the tests hold the request budget as a table. */

/** "Default (and max value) is 100." */
export const pageSize = 100;

/**
 * How many pages to request at once. Null: one after the other, because we do not know where the list ends.
 *
 * We believe a fresh count, also 0. A stale count is a guess: it is good enough to request several pages at once, but not
 * to request none.
 */
export function planPages(count: number | null, fresh: boolean): number | null {
  if (count === null) return null;
  if (count === 0) return fresh ? 0 : null;
  return Math.ceil(count / pageSize);
}

/**
 * What to do after the planned pages have arrived. `lengths` are their numbers of entries.
 * - `done`: the list is complete.
 * - a number: continue from this offset, one page after the other.
 * - `restart`: a page in the middle was short, so the offsets were wrong. The list has changed meanwhile, or the server's
 *   pages are smaller than ours.
 */
export function afterPages(lengths: readonly number[], count: number, fresh: boolean): 'done' | 'restart' | number {
  const short = lengths.findIndex((length) => length < pageSize);
  if (short === -1) {
    // All pages are full. If they hold exactly a fresh count of entries, the list is complete.
    const total = lengths.length * pageSize;
    return fresh && total === count ? 'done' : total;
  }
  return lengths.slice(short + 1).some((length) => length > 0) ? 'restart' : 'done';
}
