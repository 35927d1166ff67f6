/**
 * The space accounting of the cache: an LRU list of segments. Space is reserved here before a byte is written, and older
 * segments are evicted for it. Invariant: the limit holds at every moment. It knows nothing of files.
 */
import { LRUCache } from 'lru-cache';
import { segmentOf } from './blocks.js';

/** Bytes of one block of the file system, the least that a segment takes: a cached revision of 10 bytes still takes one. */
const MIN_CHARGE = 4096;

/** The unit of eviction: `SEGMENT_BLOCKS` blocks of the revision `key`. */
export interface Segment {
  readonly key: string;
  readonly segment: number;
  /** Bytes of its present blocks. */
  readonly bytes: number;
}

export interface CacheSpaceOptions {
  /** Must no segment of this revision be evicted now? */
  isPinned(key: string): boolean;
  /** Bytes on the disk that belong to no segment and still count against the limit. */
  detachedBytes(): number;
  /** Frees the blocks of a segment that is no longer on the list. */
  evict(segment: Segment): void;
}

export class CacheSpace {
  readonly #limit: number;
  readonly #options: CacheSpaceOptions;
  readonly #segments: LRUCache<string, Segment>;

  /** `limit`: bytes. */
  constructor(limit: number, options: CacheSpaceOptions) {
    this.#limit = limit;
    this.#options = options;
    // lru-cache keeps the order and the sum only. `reserve` evicts before it adds: one eviction may remove more than one
    // entry, which lru-cache does not survive in the middle of an addition.
    this.#segments = new LRUCache<string, Segment>({
      maxSize: Math.max(1, limit),
      sizeCalculation: ({ bytes }) => chargeOf(bytes),
    });
  }

  /** Bytes that all segments take on the disk. */
  get bytes(): number {
    return this.#segments.calculatedSize;
  }

  /** Reserves `bytes` more for a block's segment. False: there is no space, and nothing was reserved. */
  reserve(key: string, block: number, bytes: number): boolean {
    const segment = segmentOf(block);
    const id = segmentId(key, segment);
    for (;;) {
      // Looked up anew each time: the eviction may have hit this very revision.
      const reserved = this.#segments.get(id)?.bytes ?? 0;
      const grown = chargeOf(reserved + bytes) - (reserved === 0 ? 0 : chargeOf(reserved));
      if (this.#segments.calculatedSize + this.#options.detachedBytes() + grown <= this.#limit) {
        this.#segments.set(id, { key, segment, bytes: reserved + bytes });
        return true;
      }
      const oldest = this.#oldest();
      if (oldest === undefined || segmentId(oldest.key, oldest.segment) === id) return false;
      this.#evict(oldest);
    }
  }

  /** Gives back what was reserved for a block that was not written after all. */
  unreserve(key: string, block: number, bytes: number): void {
    const segment = segmentOf(block);
    const id = segmentId(key, segment);
    const reserved = this.#segments.peek(id)?.bytes ?? 0;
    if (reserved > bytes) this.#segments.set(id, { key, segment, bytes: reserved - bytes });
    else this.#segments.delete(id);
  }

  /** A segment was used: it becomes the most recently used one. */
  touch(key: string, segment: number): void {
    this.#segments.get(segmentId(key, segment));
  }

  /** Evicts segments of so many bytes, least recently used first, or as many as there are. */
  reclaim(bytes: number): void {
    for (let freed = 0; freed < bytes; ) {
      const oldest = this.#oldest();
      if (oldest === undefined) return;
      this.#evict(oldest);
      freed += oldest.bytes;
    }
  }

  /** Removes every segment of a revision of so many blocks from the list. */
  forget(key: string, blocks: number): void {
    for (let segment = 0; segment <= segmentOf(blocks); segment++) this.#segments.delete(segmentId(key, segment));
  }

  #evict(segment: Segment): void {
    this.#segments.delete(segmentId(segment.key, segment.segment));
    this.#options.evict(segment);
  }

  #oldest(): Segment | undefined {
    for (const segment of this.#segments.rvalues()) {
      if (segment !== undefined && !this.#options.isPinned(segment.key)) return segment;
    }
    return undefined;
  }
}

function chargeOf(bytes: number): number {
  return Math.max(MIN_CHARGE, bytes);
}

function segmentId(key: string, segment: number): string {
  return `${key}#${segment}`;
}
