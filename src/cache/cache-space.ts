/**
 * The space accounting of the cache: an LRU list of segments. Space is reserved here before a byte is written, and older
 * segments are evicted for it. Invariant: the limit holds at every moment. It knows nothing of files.
 *
 * `IndexLoader` counts the contents that earlier mounts left, while the mount is already in use. Until it has ended nothing is evicted,
 * because the oldest segment is not known. `reserve` meanwhile assumes that uncounted contents take the most that they can.
 *
 * Revisions that the user has pinned are outside of the list: they are neither evicted nor counted against the limit. Their writer
 * checks how much of the disk they may take (`FreeSpace`).
 */
import { LRUCache } from 'lru-cache';
import { SEGMENT_BLOCKS, type Segment, segmentOf } from './blocks.js';
import { EarlierContents } from './earlier-contents.js';

/** Bytes of one block of the file system, the least that a segment takes. A cached revision of 10 bytes takes one, too. */
export const MIN_CHARGE = 4096;

export interface CacheSpaceOptions {
  /** Is the revision's file open as a backing file, so that none of its segments may be evicted now? */
  isInUse(key: string): boolean;
  /** Bytes on the disk that belong to no segment and still count against the limit. */
  detachedBytes(): number;
  /** Frees the blocks of a segment that is no longer on the list. */
  evict(segment: Segment): void;
}

export class CacheSpace {
  readonly #limit: number;
  readonly #options: CacheSpaceOptions;
  /** Segments that this mount has used. */
  readonly #segments: LRUCache<string, Segment>;
  readonly #earlier = new EarlierContents(chargeOf);
  /** The most bytes that uncounted contents can take. 0: all are counted. */
  uncounted = 0;
  /** The counting has ended. */
  mayEvict = false;
  /** By key of a pinned revision: the bytes of each segment. Arrays, because there may be a hundred thousand small revisions. */
  readonly #pinned = new Map<string, number[]>();
  #pinnedBytes = 0;

  /** `limit`: bytes. */
  constructor(limit: number, options: CacheSpaceOptions) {
    this.#limit = limit;
    this.#options = options;
    // lru-cache keeps only the order and the sum. `reserve` evicts before it adds, because one eviction may remove more than
    // one entry, and lru-cache does not allow that in the middle of an addition.
    this.#segments = new LRUCache<string, Segment>({
      maxSize: Number.MAX_SAFE_INTEGER,
      sizeCalculation: ({ bytes }) => chargeOf(bytes),
    });
  }

  /** Bytes that all segments take on the disk, except those of pinned revisions. */
  get bytes(): number {
    return this.#segments.calculatedSize + this.#earlier.bytes;
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

  /** Counts the segments of a revision that an earlier mount left, in bytes. `usedAt`: when a mount last used the revision, ms. */
  addEarlier(key: string, usedAt: number, segments: readonly number[]): void {
    const pinned = this.#pinned.get(key);
    if (pinned === undefined) this.#earlier.add(key, usedAt, segments);
    else for (const [segment, bytes] of segments.entries()) this.#setPinned(pinned, segment, bytes);
  }

  /** If the limit is exceeded (the last mount may have had a larger one), evicts the least recently used segment and returns true. */
  trim(): boolean {
    const oldest = this.#taken() > this.#limit ? this.#oldest() : undefined;
    if (oldest !== undefined) this.#evict(oldest);
    return oldest !== undefined;
  }

  /** Takes a revision of so many blocks out of the list. Its present blocks stay. */
  pin(key: string, blocks: number): void {
    if (this.#pinned.has(key)) return;
    // Allocated with its length: an empty array that grows allocates room for sixteen more elements.
    const segments = new Array<number>(segmentOf(blocks) + 1).fill(0);
    for (const segment of segments.keys()) {
      this.#use(key, segment);
      const id = segmentId(key, segment);
      const bytes = this.#segments.peek(id)?.bytes;
      if (bytes === undefined) continue;
      this.#segments.delete(id);
      segments[segment] = bytes;
      this.#pinnedBytes += chargeOf(bytes);
    }
    this.#pinned.set(key, segments);
  }

  /** Returns a revision to the list as the most recently used one. Segments that do not fit are evicted. */
  unpin(key: string): void {
    const segments = [...(this.#pinned.get(key) ?? [])];
    this.#forgetPinned(key);
    this.#pinned.delete(key);
    for (const [segment, bytes] of segments.entries()) {
      if (bytes > 0 && !this.reserve(key, segment * SEGMENT_BLOCKS, bytes))
        this.#options.evict({ key, segment, bytes });
    }
  }

  /** Reserves `bytes` more for a block's segment. False, and nothing reserved: there is no space, or none until all is counted. */
  reserve(key: string, block: number, bytes: number): boolean {
    const segment = segmentOf(block);
    const pinned = this.#pinned.get(key);
    if (pinned !== undefined) {
      this.#setPinned(pinned, segment, (pinned[segment] ?? 0) + bytes);
      return true;
    }
    const id = segmentId(key, segment);
    this.#use(key, segment);
    for (;;) {
      // Looked up anew each time: the eviction may have removed segments of this same revision.
      const reserved = this.#segments.get(id)?.bytes ?? 0;
      const grown = chargeOf(reserved + bytes) - (reserved === 0 ? 0 : chargeOf(reserved));
      if (this.#taken() + grown <= this.#limit) {
        this.#segments.set(id, { key, segment, bytes: reserved + bytes });
        return true;
      }
      if (!this.mayEvict) return false;
      const oldest = this.#oldest();
      if (oldest === undefined || segmentId(oldest.key, oldest.segment) === id) return false;
      this.#evict(oldest);
    }
  }

  /** Gives back the space reserved for a block that was not written after all. */
  unreserve(key: string, block: number, bytes: number): void {
    const segment = segmentOf(block);
    const pinned = this.#pinned.get(key);
    const id = segmentId(key, segment);
    this.#use(key, segment);
    const reserved = this.#segments.peek(id)?.bytes ?? 0;
    if (pinned !== undefined) this.#setPinned(pinned, segment, (pinned[segment] ?? 0) - bytes);
    else if (reserved > bytes) this.#segments.set(id, { key, segment, bytes: reserved - bytes });
    else this.#segments.delete(id);
  }

  /** A segment was used: it becomes the most recently used one. */
  touch(key: string, segment: number): void {
    this.#use(key, segment);
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
    this.#earlier.forget(key);
    for (let segment = 0; segment <= segmentOf(blocks); segment++) this.#segments.delete(segmentId(key, segment));
  }

  /** If the revision is pinned, it no longer has blocks, but stays pinned. */
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

  /** Bytes that count against the limit. */
  #taken(): number {
    return this.bytes + this.uncounted + this.#options.detachedBytes();
  }

  /** Moves a segment that an earlier mount left to those that this mount has used. */
  #use(key: string, segment: number): void {
    const bytes = this.#earlier.take(key, segment);
    if (bytes > 0) this.#segments.set(segmentId(key, segment), { key, segment, bytes });
  }

  #evict(segment: Segment): void {
    this.#earlier.take(segment.key, segment.segment);
    this.#segments.delete(segmentId(segment.key, segment.segment));
    this.#options.evict(segment);
  }

  #oldest(): Segment | undefined {
    const earlier = this.#earlier.oldest(this.#options.isInUse);
    if (earlier !== undefined) return earlier;
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
