/** Space that is reserved for consecutive blocks of a revision, a segment at a time. Evicting a segment also ends its reservation. */
import { blockLength, SEGMENT_BLOCKS, segmentOf } from './blocks.js';
import type { EvictionCounts } from './eviction-counts.js';

/** The source of space for one revision. */
export interface SpaceOf {
  /** Bytes of the revision. */
  readonly size: number;
  readonly evictions: EvictionCounts;
  /** Reserves space for blocks of one segment, from `block` on. False: there is no space. */
  reserve(block: number, bytes: number): boolean;
  unreserve(block: number, bytes: number): void;
}

export class Reservation {
  readonly #space: SpaceOf;
  /** By segment: its eviction count when it was reserved. */
  readonly #evictions = new Map<number, number>();

  private constructor(space: SpaceOf) {
    this.#space = space;
  }

  /** Reserves blocks `[first, end)`. Null, and nothing reserved, if there is no space for all. */
  static make(space: SpaceOf, first: number, end: number): Reservation | null {
    const reservation = new Reservation(space);
    for (let from = first; from < end; ) {
      const to = Math.min(end, (segmentOf(from) + 1) * SEGMENT_BLOCKS);
      if (!space.reserve(from, bytesOf(from, to, space.size))) {
        reservation.release(first, from);
        return null;
      }
      // Read after the reservation, which may itself have evicted other blocks of this segment.
      reservation.#evictions.set(segmentOf(from), space.evictions.of(from, from));
      from = to;
    }
    return reservation;
  }

  /** Is the block's space still reserved, and has nothing of its segment been evicted since? */
  holds(block: number): boolean {
    return this.#evictions.get(segmentOf(block)) === this.#space.evictions.of(block, block);
  }

  /** Gives back the space of blocks `[from, end)`. */
  release(from: number, end: number): void {
    for (let block = from; block < end; block++)
      if (this.holds(block)) this.#space.unreserve(block, blockLength(block, this.#space.size));
  }
}

function bytesOf(from: number, end: number, size: number): number {
  return (end - from - 1) * blockLength(from, size) + blockLength(end - 1, size);
}
