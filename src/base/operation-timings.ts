/**
 * How often each kind of operation ran, how long it took, and how often it failed. Every call of a program is counted, so the numbers lie
 * in arrays. The histograms are made of them on demand.
 */

/** Upper bounds of the buckets, seconds: about three for each power of ten in the range of a disk or a service. */
export const timingBounds = [0.0001, 0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60] as const;

const BUCKETS = timingBounds.length + 1;

export interface OperationCount {
  readonly operation: string;
  /** Calls in each bucket, without those of the buckets before. The last one counts calls that took longer than all bounds. */
  readonly buckets: readonly number[];
  /** Seconds. */
  readonly sum: number;
  readonly failed: number;
}

export class OperationTimings {
  readonly #names: readonly (string | undefined)[];
  readonly #buckets: Float64Array;
  readonly #sums: Float64Array;
  readonly #failed: Float64Array;

  /** `names`: the names of the operations, by number. */
  constructor(names: readonly (string | undefined)[]) {
    this.#names = names;
    this.#buckets = new Float64Array(names.length * BUCKETS);
    this.#sums = new Float64Array(names.length);
    this.#failed = new Float64Array(names.length);
  }

  /** Records the end of an operation. `begun`: `performance.now()` at its beginning. */
  ended(operation: number, begun: number, hasFailed: boolean): void {
    const seconds = (performance.now() - begun) / 1000;
    let bucket = 0;
    while (bucket < timingBounds.length && seconds > (timingBounds[bucket] as number)) bucket++;
    const at = operation * BUCKETS + bucket;
    this.#buckets[at] = (this.#buckets[at] as number) + 1;
    this.#sums[operation] = (this.#sums[operation] as number) + seconds;
    if (hasFailed) this.#failed[operation] = (this.#failed[operation] as number) + 1;
  }

  /** The counts of all operations that ran at least once. */
  counts(): OperationCount[] {
    return this.#names.flatMap((operation, at) => {
      const buckets = [...this.#buckets.subarray(at * BUCKETS, (at + 1) * BUCKETS)];
      if (operation === undefined || buckets.every((count) => count === 0)) return [];
      return [{ operation, buckets, sum: this.#sums[at] ?? 0, failed: this.#failed[at] ?? 0 }];
    });
  }
}
