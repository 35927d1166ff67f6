/**
 * How often each segment of a revision was evicted. Bytes that were read or written during an eviction may be those of a hole, so
 * each reader and writer compares the counts before and after.
 */
import { segmentOf } from './blocks.js';

export class EvictionCounts {
  readonly #counts: Uint32Array;

  /** `blocks`: the revision's number of blocks. */
  constructor(blocks: number) {
    this.#counts = new Uint32Array(segmentOf(blocks) + 1);
  }

  /** The sum over all segments of the blocks `[first, last]`. */
  of(first: number, last: number): number {
    let sum = 0;
    for (let segment = segmentOf(first); segment <= segmentOf(last); segment++) sum += this.#counts[segment] ?? 0;
    return sum;
  }

  add(segment: number): void {
    this.#counts[segment] = (this.#counts[segment] ?? 0) + 1;
  }

  addAll(): void {
    for (let segment = 0; segment < this.#counts.length; segment++) this.add(segment);
  }
}
