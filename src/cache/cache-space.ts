/**
 * What lies in the cache, by segments of revisions, and in which order they were used. Space is reserved here before a byte is
 * written, and older segments are evicted to make room, so the limit holds at every moment. It knows nothing of files.
 */
import { LRUCache } from 'lru-cache';
import { segmentOf } from './blocks.js';

/** What a file-system block costs at least: a cached revision of 10 bytes still takes one. */
const MIN_CHARGE = 4096;

/** The unit of eviction: `SEGMENT_BLOCKS` blocks of the revision `key`. */
export interface Segment {
  readonly key: string;
  readonly segment: number;
  /** Of its blocks that are present. */
  readonly bytes: number;
}

export interface CacheSpaceOptions {
  /** Is nothing of this revision to be evicted now? */
  isPinned(key: string): boolean;
  /** Bytes on the disk that are in no segment, and count against the limit. */
  detachedBytes(): number;
  /** Called for a segment that has lost its place: its blocks are to be freed. */
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
    // It keeps order and sum. `reserve` makes room before it adds: an eviction may free more than one entry, which
    // lru-cache does not survive in the middle of an addition.
    this.#segments = new LRUCache<string, Segment>({
      maxSize: Math.max(1, limit),
      sizeCalculation: ({ bytes }) => chargeOf(bytes),
    });
  }

  /** Bytes of all segments, each as what it takes of the disk. */
  get bytes(): number {
    return this.#segments.calculatedSize;
  }

  /** Room for `bytes` more of a block's segment. False: there is none, and nothing was reserved. */
  reserve(key: string, block: number, bytes: number): boolean {
    const segment = segmentOf(block);
    const id = segmentId(key, segment);
    for (;;) {
      // Asked anew each time: an eviction may have been of this very revision.
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

  /** Gives back what was reserved for a block that is not there after all. */
  unreserve(key: string, block: number, bytes: number): void {
    const segment = segmentOf(block);
    const id = segmentId(key, segment);
    const reserved = this.#segments.peek(id)?.bytes ?? 0;
    if (reserved > bytes) this.#segments.set(id, { key, segment, bytes: reserved - bytes });
    else this.#segments.delete(id);
  }

  /** A segment was used: it goes to the young end. */
  touch(key: string, segment: number): void {
    this.#segments.get(segmentId(key, segment));
  }

  /** Evicts segments of so many bytes, oldest first, or as many as there are. */
  reclaim(bytes: number): void {
    for (let freed = 0; freed < bytes; ) {
      const oldest = this.#oldest();
      if (oldest === undefined) return;
      this.#evict(oldest);
      freed += oldest.bytes;
    }
  }

  /** Nothing of a revision of so many blocks is here any more. */
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
