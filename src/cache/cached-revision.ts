/**
 * The blocks of one revision on disk: a sparse file and the map of its present blocks. All readers of the revision share it.
 * Invariant: every method treats a failing disk as an absent block, and a block that is read has the CRC it was stored with.
 */
import { crc32 } from 'node:zlib';
import type { RunningMd5 } from '../base/content-hasher.js';
import { messageOf } from '../base/errors.js';
import { readAt, writeAt } from '../base/files.js';
import type { Log } from '../base/log.js';
import { BlockClaim } from './block-claim.js';
import type { Block } from './block-runs.js';
import { BLOCK_BYTES, type BlockMap, blockLength, blockOf, SEGMENT_BLOCKS, segmentOf } from './blocks.js';
import { EvictionCounts } from './eviction-counts.js';
import { Reservation, type SpaceOf } from './reservation.js';
import { RevisionFile } from './revision-file.js';
import type { PunchHole } from './sparse-file.js';

/** A block that is evicted this often while it is being written is not worth keeping. */
const MAX_WRITES = 3;

/** The part of the cache that a revision calls. */
export interface RevisionHost {
  readonly log: Log;
  readonly punchHole: PunchHole | undefined;
  /** Does the disk have `bytes` free? */
  hasFreeSpace(bytes: number): boolean;
  /** Reserves `bytes` for a block within the limit. False: do not write. */
  reserve(key: string, block: number, bytes: number): boolean;
  unreserve(key: string, block: number, bytes: number): void;
  touch(key: string, segment: number): void;
  /** Called before the first write: until the next `persist`, a crash makes the file worthless. */
  markDirty(revision: CachedRevision): void;
  /** Frees every block of a revision. */
  discard(revision: CachedRevision): void;
  /** Drops the reservations of a revision whose blocks are gone. */
  forget(revision: CachedRevision): void;
}

export class CachedRevision {
  readonly key: string;
  /** Bytes of the whole revision. */
  readonly size: number;
  readonly map: BlockMap;
  /** The number of its users; counted by `BlockCache`. */
  users = 0;
  /** The map differs from the one in the index. */
  changed = false;
  /** The index says that no block may be trusted after a crash. */
  isMarkedDirty = false;
  /** Set if blocks came while the file was young (`RangeBody.isYoung`): the `SteadyTime` from which on they must be fetched anew. */
  youngUntil: number | null = null;
  /** A block was read since the last `persist`. */
  wasUsed = false;
  /** The whole content matched the provider's MD5. So the known CRCs, also those of evicted blocks, are those of the right content. */
  isConfirmed: boolean;
  readonly #cache: RevisionHost;
  readonly #disk: RevisionFile;
  /** Blocks that are being written to the disk. */
  readonly #writing = new Set<number>();
  readonly #evictions: EvictionCounts;
  readonly #space: SpaceOf;
  /** How often the content turned out to be wrong. */
  #corruptions = 0;
  /** Nothing can be read from the disk. */
  #broken = false;
  /** The disk takes no more blocks; present ones can be read. */
  #full = false;

  constructor(cache: RevisionHost, key: string, size: number, path: string, map: BlockMap, isConfirmed: boolean) {
    this.#cache = cache;
    this.key = key;
    this.size = size;
    this.map = map;
    this.isConfirmed = isConfirmed;
    this.#disk = new RevisionFile(path, size, cache.log, cache.punchHole);
    this.#evictions = new EvictionCounts(map.count);
    this.#space = {
      size,
      evictions: this.#evictions,
      reserve: (block, bytes) => cache.reserve(key, block, bytes),
      unreserve: (block, bytes) => cache.unreserve(key, block, bytes),
    };
  }

  has(block: number): boolean {
    return this.map.has(block);
  }

  isComplete(): boolean {
    return this.map.hasAll(0, this.map.count - 1);
  }

  isEmpty(): boolean {
    return this.map.isEmpty();
  }

  /** Is every block present and verified? */
  isFullyVerified(): boolean {
    return this.isComplete() && this.map.areVerified(0, this.map.count - 1);
  }

  /** Marks every block as verified: the file has the fingerprint that it had when all were. */
  markVerified(): void {
    for (let block = 0; block < this.map.count; block++) this.map.verified(block);
  }

  /**
   * Reads a range with one call, if all its blocks are present. Blocks that are not verified yet are read whole and checked.
   * False: a block is missing or damaged, so the caller must read block by block.
   */
  async readSpan(into: Uint8Array, offset: number): Promise<boolean> {
    const first = blockOf(offset);
    const last = blockOf(offset + into.length - 1);
    if (!this.map.hasAll(first, last)) return false;
    const fd = this.#file();
    if (fd === null) return false;
    const areVerified = this.map.areVerified(first, last);
    const start = areVerified ? offset : first * BLOCK_BYTES;
    const end = areVerified ? offset + into.length : Math.min((last + 1) * BLOCK_BYTES, this.size);
    const isExact = end - start === into.length;
    const span = isExact ? into : Buffer.allocUnsafe(end - start);
    const evictions = this.#evictions.of(first, last);
    try {
      const count = await this.#disk.during(() => readAt(fd, span, start));
      // A segment was evicted during the read: the bytes may be those of a hole, even if the blocks are back by now.
      if (count < span.length || evictions !== this.#evictions.of(first, last)) return false;
    } catch (error) {
      this.#fail(error);
      return false;
    }
    if (!areVerified && !this.#check(first, last, span)) return false;
    if (!isExact) into.set(span.subarray(offset - start, offset - start + into.length));
    for (let segment = segmentOf(first); segment <= segmentOf(last); segment++) this.#used(segment);
    return true;
  }

  /**
   * Adds blocks `[first, last]` to an MD5 and checks their CRCs. False, and nothing added, if one is missing or damaged.
   * Rejects if the hashing itself fails.
   */
  async hashSpan(md5: RunningMd5, first: number, last: number): Promise<boolean> {
    const fd = this.#file();
    if (fd === null || !this.map.hasAll(first, last)) return false;
    const position = first * BLOCK_BYTES;
    const length = Math.min((last + 1) * BLOCK_BYTES, this.size) - position;
    const crcs = Array.from({ length: last - first + 1 }, (_, at) => this.map.crc(first + at));
    const evictions = this.#evictions.of(first, last);
    const wrong = await this.#disk.during(() => md5.addSpan({ fd, position, length, crcs, partBytes: BLOCK_BYTES }));
    if (wrong === null) return true;
    // After an eviction the bytes may be those of a hole.
    if (evictions === this.#evictions.of(first, last)) this.#dropDamaged(first + wrong);
    return false;
  }

  /** One whole block with its CRC verified. Null if it is not present, or no longer. */
  async readBlock(block: number): Promise<Uint8Array | null> {
    const fd = this.#file();
    if (fd === null || !this.map.has(block)) return null;
    const evictions = this.#evictions.of(block, block);
    const data = Buffer.allocUnsafe(blockLength(block, this.size));
    try {
      const count = await this.#disk.during(() => readAt(fd, data, block * BLOCK_BYTES));
      if (evictions !== this.#evictions.of(block, block) || !this.map.has(block)) return null;
      if (count === data.length && crc32(data) === this.map.crc(block)) {
        this.map.verified(block);
        this.#used(segmentOf(block));
        return data;
      }
      this.#dropDamaged(block);
    } catch (error) {
      this.#fail(error);
    }
    return null;
  }

  /**
   * Stores consecutive blocks of one segment, from `first` on. It skips blocks that are present and blocks that another call
   * is writing. If there is no space or the disk refuses, it stores none. `crcs`: CRC-32 of each block, if known.
   */
  async write(first: number, data: Uint8Array, crcs: readonly number[] | null = null): Promise<void> {
    const blocks = Math.ceil(data.length / BLOCK_BYTES);
    const isMine = (block: number): boolean => !this.map.has(block) && !this.#writing.has(block);
    const writes: Promise<void>[] = [];
    for (let from = first; from < first + blocks; from++) {
      if (!isMine(from)) continue;
      let end = from;
      while (end < first + blocks && isMine(end)) this.#writing.add(end++);
      const part = data.subarray((from - first) * BLOCK_BYTES, (end - first) * BLOCK_BYTES);
      writes.push(this.#write(from, end, part, crcs?.slice(from - first, end - first)));
      from = end;
    }
    await Promise.all(writes);
  }

  /** Writes blocks `[from, end)`, which are in `#writing` and not present. */
  async #write(from: number, end: number, data: Uint8Array, crcs: readonly number[] | undefined): Promise<void> {
    const corruptions = this.#corruptions;
    try {
      for (let tries = 0; tries < MAX_WRITES && !this.#broken && !this.#full && !this.map.has(from); tries++) {
        const reservation = this.#reserve(from, end);
        const fd = reservation === null ? null : this.#file();
        if (reservation === null || fd === null) return;
        try {
          this.#willWrite();
          await this.#disk.during(() => writeAt(fd, data, from * BLOCK_BYTES));
        } catch (error) {
          reservation.release(from, end);
          this.#takesNoMore(error);
          return;
        }
        // The segment was evicted during the write: the bytes may have been written before or after the hole was punched.
        if (!reservation.holds(from)) {
          this.#free(fd, from, end);
          if (corruptions !== this.#corruptions) return;
          continue;
        }
        for (let block = from; block < end; block++) {
          const at = (block - from) * BLOCK_BYTES;
          this.map.set(block, crcs?.[block - from] ?? crc32(data.subarray(at, at + BLOCK_BYTES)));
        }
      }
    } finally {
      for (let block = from; block < end; block++) this.#writing.delete(block);
    }
  }

  /**
   * Reserves blocks `[first, end)` for a writer outside of the cache. Null if there is no space for them, if one of them is present or
   * being written, or if holes cannot be punched, because unfinished blocks could then not be freed.
   */
  claim(first: number, end: number): BlockClaim | null {
    if (this.#broken || this.#full || !this.#disk.canPunch) return null;
    for (let block = first; block < end; block++) if (this.map.has(block) || this.#writing.has(block)) return null;
    const reservation = this.#reserve(first, end);
    const fd = reservation === null ? null : this.#file();
    if (reservation === null || fd === null) return null;
    try {
      this.#willWrite();
    } catch (error) {
      reservation.release(first, end);
      this.#takesNoMore(error);
      return null;
    }
    for (let block = first; block < end; block++) this.#writing.add(block);
    const claim = new BlockClaim(fd, first, end, {
      landed: (from, crcs) => {
        // A run of blocks lies in one segment.
        if (!reservation.holds(from)) return false;
        crcs.forEach((crc, at) => {
          this.map.set(from + at, crc);
          this.#writing.delete(from + at);
        });
        return true;
      },
      free: (from, to) => {
        reservation.release(from, to);
        this.#free(fd, from, to);
        for (let block = from; block < to; block++) this.#writing.delete(block);
      },
    });
    void this.#disk.during(() => claim.ended);
    return claim;
  }

  /**
   * Frees every block. The caller drops the reservations. The file is unlinked, so that writes in flight are lost with it:
   * late writes would let a file that was only truncated grow again.
   */
  clear(): void {
    this.#clearMap();
    try {
      this.#disk.remove();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Frees every block and forgets the CRCs, because the content was wrong. Writes in flight are not repeated. */
  clearCorrupt(): void {
    this.clear();
    this.map.reset();
    this.isConfirmed = false;
    this.#corruptions++;
  }

  /** Is the CRC of this block known, and different? */
  contradicts({ block, data, crc }: Block): boolean {
    const known = this.map.crc(block);
    // 0 stands for "not known". One block in 2^32 has this CRC, and is then not compared.
    return known !== 0 && (crc ?? crc32(data)) !== known;
  }

  /** Remembers the CRC of a block that could not be stored. */
  noteCrc(block: number, crc: number): void {
    if (!this.map.has(block)) this.map.noteCrc(block, crc);
  }

  clearSegment(segment: number): void {
    const first = segment * SEGMENT_BLOCKS;
    const end = Math.min(first + SEGMENT_BLOCKS, this.map.count);
    this.#evictions.add(segment);
    this.changed = true;
    const fd = this.#file();
    for (let block = first; block < end; block++) this.map.clear(block);
    if (fd !== null) this.#free(fd, first, end);
  }

  /** Closes the descriptor once no read or write is in flight. The next use opens it again. */
  closeFile(): void {
    this.#disk.close();
  }

  #reserve(first: number, end: number): Reservation | null {
    const bytes = Math.min(end * BLOCK_BYTES, this.size) - first * BLOCK_BYTES;
    return this.#cache.hasFreeSpace(bytes) ? Reservation.make(this.#space, first, end) : null;
  }

  /** Marks the revision dirty before a write. Throws if the index fails. */
  #willWrite(): void {
    if (!this.isMarkedDirty) this.#cache.markDirty(this);
    this.isMarkedDirty = true;
    this.changed = true;
  }

  #takesNoMore(error: unknown): void {
    this.#full = true;
    this.#cache.log.warn({ key: this.key }, `the cache disk takes no more of a file: ${messageOf(error)}`);
  }

  /** Compares whole blocks, just read, with their CRCs; a damaged one is dropped. */
  #check(first: number, last: number, span: Uint8Array): boolean {
    let isSound = true;
    for (let block = first; block <= last; block++) {
      if (this.map.areVerified(block, block)) continue;
      const at = (block - first) * BLOCK_BYTES;
      if (crc32(span.subarray(at, at + blockLength(block, this.size))) === this.map.crc(block)) {
        this.map.verified(block);
      } else {
        this.#dropDamaged(block);
        isSound = false;
      }
    }
    return isSound;
  }

  #dropDamaged(block: number): void {
    this.#cache.log.warn({ key: this.key, block }, 'a cached block is damaged and will be fetched again');
    this.#forget(block);
  }

  #free(fd: number, first: number, end: number): void {
    try {
      const length = Math.min(end * BLOCK_BYTES, this.size) - first * BLOCK_BYTES;
      if (!this.#disk.punch(fd, first * BLOCK_BYTES, length)) this.#cache.discard(this);
    } catch (error) {
      this.#fail(error);
    }
  }

  #clearMap(): void {
    this.#evictions.addAll();
    for (let block = 0; block < this.map.count; block++) this.map.clear(block);
    this.changed = true;
  }

  #used(segment: number): void {
    this.wasUsed = true;
    this.#cache.touch(this.key, segment);
  }

  #file(): number | null {
    if (this.#broken) return null;
    try {
      return this.#disk.open(this.isEmpty());
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  #forget(block: number): void {
    if (!this.map.has(block)) return;
    this.map.clear(block);
    this.changed = true;
    this.#cache.unreserve(this.key, block, blockLength(block, this.size));
  }

  /** The disk failed: from now on this revision is read only from the network. */
  #fail(error: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#clearMap();
    this.#cache.forget(this);
    this.#cache.log.warn({ key: this.key }, `the cache disk fails, reading goes on without it: ${messageOf(error)}`);
  }
}
