/**
 * The space accounting of the cache: an LRU list of segments. Space is reserved here before a byte is written, and older
 * segments are evicted for it. Invariant: the limit holds at every moment. It knows nothing of files.
 *
 * Revisions that a person has pinned are outside of the list: they are neither evicted nor counted against the limit. How much of the
 * disk they may take is checked by whoever writes them (`FreeSpace`).
 */
import { LRUCache } from 'lru-cache';
import { SEGMENT_BLOCKS, segmentOf } from './blocks.js';

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
  /** Must no segment of this revision be evicted now, because it is open? */
  isInUse(key: string): boolean;
  /** Bytes on the disk that belong to no segment and still count against the limit. */
  detachedBytes(): number;
  /** Frees the blocks of a segment that is no longer on the list. */
  evict(segment: Segment): void;
}

export class CacheSpace {
  readonly #limit: number;
  readonly #options: CacheSpaceOptions;
  readonly #segments: LRUCache<string, Segment>;
  /** Of pinned revisions: the bytes of each segment. Arrays, as there may be a hundred thousand small ones. */
  readonly #pinned = new Map<string, number[]>();
  #pinnedBytes = 0;

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

  /** Bytes that all segments take on the disk, those of pinned revisions excepted. */
  get bytes(): number {
    return this.#segments.calculatedSize;
  }

  /** Bytes that the segments of pinned revisions take on the disk. */
  get pinnedBytes(): number {
    return this.#pinnedBytes;
  }

  isPinned(key: string): boolean {
    return this.#pinned.has(key);
  }

  pinnedKeys(): string[] {
    return [...this.#pinned.keys()];
  }

  /** Takes a revision of so many blocks out of the list. What is present of it stays. */
  pin(key: string, blocks: number): void {
    if (this.#pinned.has(key)) return;
    // Of this length at once: an empty array that grows takes room for sixteen more.
    const segments = new Array<number>(segmentOf(blocks) + 1).fill(0);
    for (const segment of segments.keys()) {
      const id = segmentId(key, segment);
      const bytes = this.#segments.peek(id)?.bytes;
      if (bytes === undefined) continue;
      this.#segments.delete(id);
      segments[segment] = bytes;
      this.#pinnedBytes += chargeOf(bytes);
    }
    this.#pinned.set(key, segments);
  }

  /** Returns a revision to the list, as the one that was used last. What does not fit is evicted. */
  unpin(key: string): void {
    const segments = [...(this.#pinned.get(key) ?? [])];
    this.#forgetPinned(key);
    this.#pinned.delete(key);
    for (const [segment, bytes] of segments.entries()) {
      if (bytes > 0 && !this.reserve(key, segment * SEGMENT_BLOCKS, bytes))
        this.#options.evict({ key, segment, bytes });
    }
  }

  /** Reserves `bytes` more for a block's segment. False: there is no space, and nothing was reserved. */
  reserve(key: string, block: number, bytes: number): boolean {
    const segment = segmentOf(block);
    const pinned = this.#pinned.get(key);
    if (pinned !== undefined) {
      this.#setPinned(pinned, segment, (pinned[segment] ?? 0) + bytes);
      return true;
    }
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
    const pinned = this.#pinned.get(key);
    const id = segmentId(key, segment);
    const reserved = this.#segments.peek(id)?.bytes ?? 0;
    if (pinned !== undefined) this.#setPinned(pinned, segment, (pinned[segment] ?? 0) - bytes);
    else if (reserved > bytes) this.#segments.set(id, { key, segment, bytes: reserved - bytes });
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
    this.#forgetPinned(key);
    for (let segment = 0; segment <= segmentOf(blocks); segment++) this.#segments.delete(segmentId(key, segment));
  }

  /** A pinned revision has no block any more. It stays pinned. */
  #forgetPinned(key: string): void {
    const segments = this.#pinned.get(key) ?? [];
    for (const segment of segments.keys()) this.#setPinned(segments, segment, 0);
  }

  #setPinned(segments: number[], segment: number, bytes: number): void {
    const before = segments[segment] ?? 0;
    if (before > 0) this.#pinnedBytes -= chargeOf(before);
    if (bytes > 0) this.#pinnedBytes += chargeOf(bytes);
    segments[segment] = Math.max(0, bytes);
  }

  #evict(segment: Segment): void {
    this.#segments.delete(segmentId(segment.key, segment.segment));
    this.#options.evict(segment);
  }

  #oldest(): Segment | undefined {
    for (const segment of this.#segments.rvalues()) {
      if (segment !== undefined && !this.#options.isInUse(segment.key)) return segment;
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
