/** How far to fetch ahead of a reader that is known to read on to a given end, for example to fill a copy: a pure function. */

export interface SequentialFetch {
  /** The reader's last offset. */
  readonly at: number;
  /** Every byte before this offset has been requested for the reader. */
  readonly requestedUntil: number;
}

/**
 * The reader is at offset `at` and reads on to `end`. It fetches half a window at a time, so that not every read becomes a
 * request of its own. `fetch` is `[from, to)`, or null if enough was requested already.
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
