/**
 * Long work in pieces, with a turn of the event loop between two pieces. So other work (a `stat`, a read, a timer) waits only
 * a few milliseconds, even if a directory is very large.
 */

/**
 * Steps of one piece, each on one entry. The most expensive step (a new row with its indexes) takes about 20 µs. On a slow and busy
 * machine it takes 50 µs, and a piece 25 ms.
 */
export const entriesPerTurn = 500;

/** Resolves after every task that now waits for the event loop has had its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs work that yields between pieces, with a turn of the event loop at each `yield`. `around` runs each piece, say as a transaction. */
export async function inTurns<T>(
  work: Generator<void, T>,
  around: <R>(piece: () => R) => R = (piece) => piece(),
): Promise<T> {
  try {
    for (;;) {
      const piece = around(() => work.next());
      if (piece.done === true) return piece.value;
      await turn();
    }
  } finally {
    work.return(undefined as never);
  }
}

/** Runs the work at once, without turns: for small work. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const piece = work.next();
    if (piece.done === true) return piece.value;
  }
}

/** Calls `act` for all items, with a turn of the event loop after each `entriesPerTurn` of them. */
export async function forEachInTurns<T>(items: Iterable<T>, act: (item: T) => void): Promise<void> {
  let done = 0;
  for (const item of items) {
    if (++done % entriesPerTurn === 0) await turn();
    act(item);
  }
}

export async function mapInTurns<T, R>(items: Iterable<T>, of: (item: T) => R): Promise<R[]> {
  const results: R[] = [];
  await forEachInTurns(items, (item) => results.push(of(item)));
  return results;
}

/** Counts the entries of one long work over all its loops: the work must `yield` when `isFull` says so. */
export class Pieces {
  readonly #size: number;
  #left: number;

  constructor(size = entriesPerTurn) {
    this.#size = size;
    this.#left = size;
  }

  /** Counts one more entry. True after each `size` entries. */
  isFull(): boolean {
    if (--this.#left > 0) return false;
    this.#left = this.#size;
    return true;
  }
}

/** Sorts as `Array.prototype.sort` does, stably, with turns of the event loop. */
export async function sortInTurns<T>(items: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const pieces = new Pieces();
  let runs: T[][] = [];
  for (let at = 0; at < items.length; at += entriesPerTurn) {
    runs.push(items.slice(at, at + entriesPerTurn).sort(compare));
    await turn();
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(await inTurns(mergeRuns(runs[at] ?? [], runs[at + 1] ?? [], compare, pieces)));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergeRuns<T>(
  one: readonly T[],
  other: readonly T[],
  compare: (a: T, b: T) => number,
  pieces: Pieces,
): Generator<void, T[]> {
  const merged: T[] = [];
  for (let a = 0, b = 0; a < one.length || b < other.length; ) {
    const isOther = a === one.length || (b < other.length && compare(other[b] as T, one[a] as T) < 0);
    merged.push((isOther ? other[b++] : one[a++]) as T);
    if (pieces.isFull()) yield;
  }
  return merged;
}
