/** How far to fetch ahead of who is known to read on to some place, as whoever fills a copy does: a pure function. */

export interface SequentialFetch {
  /** Where the reader was last. */
  readonly at: number;
  /** Up to where was fetched for him. */
  readonly requestedUntil: number;
}

/**
 * The reader is at `at`, and goes on to `end`. Half a window at a time, lest each of his steps becomes a request of its own.
 * `fetch` is `[from, to)`, or null where enough is under way.
 */
export function planSequentialFetch(
  before: SequentialFetch,
  { at, end, window }: { readonly at: number; readonly end: number; readonly window: number },
): { readonly state: SequentialFetch; readonly fetch: readonly [number, number] | null } {
  const isSequential = at >= before.at && at <= before.requestedUntil;
  if (isSequential && before.requestedUntil - at > window / 2) return { state: before, fetch: null };
  const from = isSequential ? before.requestedUntil : at;
  const to = Math.min(end, at + window);
  return { state: { at, requestedUntil: Math.max(from, to) }, fetch: to > from ? [from, to] : null };
}
