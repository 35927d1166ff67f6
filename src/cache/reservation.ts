/** Space that is reserved for consecutive blocks of a revision, a segment at a time. What is evicted meanwhile is not reserved any more. */
import { blockLength, SEGMENT_BLOCKS, segmentOf } from './blocks.js';
import type { EvictionCounts } from './eviction-counts.js';

/** Where the space comes from, for one revision. */
export interface SpaceOf {
  /** Bytes of the revision. */
  readonly size: number;
  readonly evictions: EvictionCounts;
  /** Reserves for blocks of one segment, from `block` on. False: there is no space. */
  reserve(block: number, bytes: number): boolean;
  unreserve(block: number, bytes: number): void;
}

export class Reservation {
  readonly #space: SpaceOf;
  /** By segment: its evictions when it was reserved. */
  readonly #evictions = new Map<number, number>();

  private constructor(space: SpaceOf) {
    this.#space = space;
  }

  /** For blocks `[first, end)`. Null, and nothing reserved, where there is no space for all. */
  static make(space: SpaceOf, first: number, end: number): Reservation | null {
    const reservation = new Reservation(space);
    for (let from = first; from < end; ) {
      const to = Math.min(end, (segmentOf(from) + 1) * SEGMENT_BLOCKS);
      if (!space.reserve(from, bytesOf(from, to, space.size))) {
        reservation.release(first, from);
        return null;
      }
      // Read after the reservation, which may have evicted other blocks of this very segment.
      reservation.#evictions.set(segmentOf(from), space.evictions.of(from, from));
      from = to;
    }
    return reservation;
  }

  /** Is the block's space still reserved, and has nothing of its segment been evicted since? */
  holds(block: number): boolean {
    return this.#evictions.get(segmentOf(block)) === this.#space.evictions.of(block, block);
  }

  /** Gives the space of blocks `[from, end)` back. */
  release(from: number, end: number): void {
    for (let block = from; block < end; block++)
      if (this.holds(block)) this.#space.unreserve(block, blockLength(block, this.#space.size));
  }
}

function bytesOf(from: number, end: number, size: number): number {
  return (end - from - 1) * blockLength(from, size) + blockLength(end - 1, size);
}
