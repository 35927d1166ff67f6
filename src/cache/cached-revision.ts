import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { messageOf } from '../base/errors.js';
import { readAt, writeAt } from '../base/files.js';
import { InUse } from '../base/in-use.js';
import type { Log } from '../base/log.js';
import { BLOCK_BYTES, type BlockMap, blockLength, blockOf, SEGMENT_BLOCKS, segmentOf } from './blocks.js';

/** A block that is evicted as often as this while it is being written is not worth keeping. */
const MAX_WRITES = 3;

/**
 * Frees the blocks of a range of a file (fallocate(2), FALLOC_FL_PUNCH_HOLE; Node has no such call). False where others are
 * still to read there what they read now: then the whole file has to go, which leaves it to them.
 */
export type PunchHole = (fd: number, offset: number, length: number) => boolean;

/** The cache that a revision lies in, as far as the revision needs it. */
export interface RevisionHost {
  readonly log: Log;
  readonly punchHole: PunchHole | undefined;
  /** May so many bytes more be on the disk? */
  hasFreeSpace(bytes: number): boolean;
  /** Room within the limit for `bytes` more at a block. False: do not write. */
  reserve(key: string, block: number, bytes: number): boolean;
  unreserve(key: string, block: number, bytes: number): void;
  touch(key: string, segment: number): void;
  /** Before the first write: until the index is told otherwise, a crash makes the file worthless. */
  markDirty(revision: CachedRevision): void;
  /** Gives up what is stored of a revision. */
  discard(revision: CachedRevision): void;
  /** Nothing of a revision is here any more. */
  forget(revision: CachedRevision): void;
}

/**
 * The blocks of one revision on disk, shared by all its readers. Every method treats a failing disk as an absent block.
 */
export class CachedRevision {
  readonly key: string;
  /** Bytes of the whole revision. */
  readonly size: number;
  readonly map: BlockMap;
  /** Readers; counted by `BlockCache`. */
  pins = 0;
  /** The index does not know yet what is here. */
  changed = false;
  /** The index says that nothing here is to be trusted, should the process die. */
  isMarkedDirty = false;
  /** Something was read from here. */
  wasUsed = false;
  /** The whole content was seen to be what the provider told: the CRC of every block, here or not, is that of the right one. */
  isChecked: boolean;
  readonly #cache: RevisionHost;
  readonly #path: string;
  /** Blocks whose checksum was seen to hold since the file was opened. */
  readonly #verified: Uint8Array;
  /** Blocks on their way to the disk. */
  readonly #writing = new Set<number>();
  /** By segment, how often it was evicted: what was read or written across an eviction may be a hole. */
  readonly #evictions: Uint32Array;
  /** How often all of it turned out to be wrong. */
  #corruptions = 0;
  #fd: number | null = null;
  /** Reads and writes on `#fd`. */
  #uses = new InUse();
  /** Nothing can be read from the disk. */
  #broken = false;
  /** Nothing more can be written to it; what is here can be read. */
  #full = false;

  constructor(cache: RevisionHost, key: string, size: number, path: string, map: BlockMap, isChecked: boolean) {
    this.#cache = cache;
    this.key = key;
    this.size = size;
    this.map = map;
    this.#path = path;
    this.isChecked = isChecked;
    this.#verified = new Uint8Array(map.count);
    this.#evictions = new Uint32Array(segmentOf(map.count) + 1);
  }

  has(block: number): boolean {
    return this.map.has(block);
  }

  isComplete(): boolean {
    for (let block = 0; block < this.map.count; block++) if (!this.map.has(block)) return false;
    return true;
  }

  isEmpty(): boolean {
    for (let block = 0; block < this.map.count; block++) if (this.map.has(block)) return false;
    return true;
  }

  /** Is every block here, and seen to be sound? */
  isFullyVerified(): boolean {
    return this.#hasAll(0, this.map.count - 1) && this.#isVerified(0, this.map.count - 1);
  }

  /** Its file is as it was when every block was last checked. */
  markVerified(): void {
    this.#verified.fill(1);
  }

  /**
   * Bytes from anywhere in blocks that are all here, in one read; those whose checksum was not seen to hold yet are read
   * whole and checked. False: something is missing or amiss, ask block by block.
   */
  async readSpan(into: Uint8Array, offset: number): Promise<boolean> {
    const first = blockOf(offset);
    const last = blockOf(offset + into.length - 1);
    if (!this.#hasAll(first, last)) return false;
    const fd = this.#file();
    if (fd === null) return false;
    const isChecked = this.#isVerified(first, last);
    const start = isChecked ? offset : first * BLOCK_BYTES;
    const end = isChecked ? offset + into.length : Math.min((last + 1) * BLOCK_BYTES, this.size);
    const isExact = end - start === into.length;
    const span = isExact ? into : Buffer.allocUnsafe(end - start);
    const segments = [segmentOf(first), segmentOf(last)] as const;
    const evictions = this.#evictionsOf(...segments);
    try {
      const count = await this.#uses.during(() => readAt(fd, span, start));
      // Evicted while it was being read: the bytes may be those of a hole, even if the blocks are back by now.
      if (count < span.length || evictions !== this.#evictionsOf(...segments)) return false;
    } catch (error) {
      this.#fail(error);
      return false;
    }
    if (!isChecked && !this.#check(first, last, span)) return false;
    if (!isExact) into.set(span.subarray(offset - start, offset - start + into.length));
    for (let segment = segments[0]; segment <= segments[1]; segment++) this.#used(segment);
    return true;
  }

  /** One whole block with its checksum verified, or null where it is not here (any more). */
  async readBlock(block: number): Promise<Uint8Array | null> {
    const fd = this.#file();
    if (fd === null || !this.map.has(block)) return null;
    const segment = segmentOf(block);
    const evictions = this.#evictions[segment];
    const data = Buffer.allocUnsafe(blockLength(block, this.size));
    try {
      const count = await this.#uses.during(() => readAt(fd, data, block * BLOCK_BYTES));
      if (evictions !== this.#evictions[segment] || !this.map.has(block)) return null;
      if (count === data.length && crc32(data) === this.map.crc(block)) {
        this.#verified[block] = 1;
        this.#used(segment);
        return data;
      }
      this.#dropDamaged(block);
    } catch (error) {
      this.#fail(error);
    }
    return null;
  }

  /**
   * Stores blocks that follow each other in `data`, from `first` on, all of one segment. Left out are those that are here,
   * those that somebody else is about to store, and all where there is no room for them or the disk refuses.
   */
  async write(first: number, data: Uint8Array): Promise<void> {
    const blocks = Math.ceil(data.length / BLOCK_BYTES);
    const isMine = (block: number): boolean => !this.map.has(block) && !this.#writing.has(block);
    const writes: Promise<void>[] = [];
    for (let from = first; from < first + blocks; from++) {
      if (!isMine(from)) continue;
      let end = from;
      while (end < first + blocks && isMine(end)) this.#writing.add(end++);
      writes.push(this.#write(from, end, data.subarray((from - first) * BLOCK_BYTES, (end - first) * BLOCK_BYTES)));
      from = end;
    }
    await Promise.all(writes);
  }

  /** Blocks `[from, end)`, which are in `#writing` and not here. */
  async #write(from: number, end: number, data: Uint8Array): Promise<void> {
    const segment = segmentOf(from);
    const corruptions = this.#corruptions;
    try {
      for (let tries = 0; tries < MAX_WRITES && !this.#broken && !this.#full && !this.map.has(from); tries++) {
        if (!this.#cache.hasFreeSpace(data.length) || !this.#cache.reserve(this.key, from, data.length)) return;
        // Making room may have evicted other blocks of this very segment: what counts is the state after it.
        const evictions = this.#evictions[segment];
        const isStill = (): boolean => evictions === this.#evictions[segment];
        const fd = this.#file();
        if (fd === null) return;
        try {
          if (!this.isMarkedDirty) this.#cache.markDirty(this);
          this.isMarkedDirty = true;
          this.changed = true;
          await this.#uses.during(() => writeAt(fd, data, from * BLOCK_BYTES));
        } catch (error) {
          if (isStill()) this.#cache.unreserve(this.key, from, data.length);
          this.#full = true;
          this.#cache.log.warn({ key: this.key }, `the cache disk takes no more of a file: ${messageOf(error)}`);
          return;
        }
        // Evicted while it was being written: nobody knows whether the bytes came before the hole or after it.
        if (!isStill()) {
          this.#free(fd, from, end);
          if (corruptions !== this.#corruptions) return;
          continue;
        }
        for (let block = from; block < end; block++) {
          const at = (block - from) * BLOCK_BYTES;
          this.map.set(block, crc32(data.subarray(at, at + BLOCK_BYTES)));
          this.#verified[block] = 1;
        }
      }
    } finally {
      for (let block = from; block < end; block++) this.#writing.delete(block);
    }
  }

  /**
   * Frees every block. The reservations are the caller's to drop. The file goes as a whole, and what is still being
   * written goes with it: cut to nothing, it would grow again under late writes.
   */
  clear(): void {
    this.#clearMap();
    this.closeFile();
    try {
      rmSync(this.#path, { force: true });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Frees every block, and forgets what is known of them: they were wrong. What is still being written is not wanted. */
  clearCorrupt(): void {
    this.clear();
    this.map.reset();
    this.isChecked = false;
    this.#corruptions++;
  }

  /** A block was here before, with other bytes. */
  contradicts(block: number, data: Uint8Array): boolean {
    const crc = this.map.crc(block);
    // 0: not known, but for one content in four thousand millions.
    return crc !== 0 && crc32(data) !== crc;
  }

  /** Remembers what a block is like that could not be stored. */
  noteCrc(block: number, data: Uint8Array): void {
    if (!this.map.has(block)) this.map.noteCrc(block, crc32(data));
  }

  clearSegment(segment: number): void {
    const first = segment * SEGMENT_BLOCKS;
    const end = Math.min(first + SEGMENT_BLOCKS, this.map.count);
    this.#evicted(segment);
    this.changed = true;
    const fd = this.#file();
    for (let block = first; block < end; block++) {
      this.map.clear(block);
      this.#verified[block] = 0;
    }
    if (fd !== null) this.#free(fd, first, end);
  }

  /** Closes it once nothing is in flight; the next use opens it again. */
  closeFile(): void {
    const fd = this.#fd;
    if (fd === null) return;
    const uses = this.#uses;
    this.#fd = null;
    this.#uses = new InUse();
    if (uses.isBusy) void uses.idle().then(() => closeSync(fd));
    else closeSync(fd);
  }

  #hasAll(first: number, last: number): boolean {
    for (let block = first; block <= last; block++) if (!this.map.has(block)) return false;
    return true;
  }

  #isVerified(first: number, last: number): boolean {
    for (let block = first; block <= last; block++) if (this.#verified[block] !== 1) return false;
    return true;
  }

  /** Compares whole blocks, just read, with their checksums; a damaged one is forgotten. */
  #check(first: number, last: number, span: Uint8Array): boolean {
    let isSound = true;
    for (let block = first; block <= last; block++) {
      if (this.#verified[block] === 1) continue;
      const at = (block - first) * BLOCK_BYTES;
      if (crc32(span.subarray(at, at + blockLength(block, this.size))) === this.map.crc(block)) {
        this.#verified[block] = 1;
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
    const { punchHole } = this.#cache;
    if (fd !== this.#fd || punchHole === undefined) return;
    try {
      const length = Math.min(end * BLOCK_BYTES, this.size) - first * BLOCK_BYTES;
      if (!punchHole(fd, first * BLOCK_BYTES, length)) this.#cache.discard(this);
    } catch (error) {
      this.#fail(error);
    }
  }

  #clearMap(): void {
    for (let segment = 0; segment < this.#evictions.length; segment++) this.#evicted(segment);
    for (let block = 0; block < this.map.count; block++) this.map.clear(block);
    this.#verified.fill(0);
    this.changed = true;
  }

  #used(segment: number): void {
    this.wasUsed = true;
    this.#cache.touch(this.key, segment);
  }

  #evictionsOf(first: number, last: number): number {
    let sum = 0;
    for (let segment = first; segment <= last; segment++) sum += this.#evictions[segment] ?? 0;
    return sum;
  }

  #evicted(segment: number): void {
    this.#evictions[segment] = (this.#evictions[segment] ?? 0) + 1;
  }

  #file(): number | null {
    if (this.#fd !== null || this.#broken) return this.#fd;
    try {
      this.#fd = this.isEmpty() ? makeSparse(this.#path, this.size) : openSync(this.#path, 'r+');
    } catch (error) {
      this.#fail(error);
    }
    return this.#fd;
  }

  #forget(block: number): void {
    if (!this.map.has(block)) return;
    this.map.clear(block);
    this.#verified[block] = 0;
    this.changed = true;
    this.#cache.unreserve(this.key, block, blockLength(block, this.size));
  }

  /** From here on this revision is read from the network alone: what cannot be read is not here. */
  #fail(error: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#clearMap();
    this.#cache.forget(this);
    this.#cache.log.warn({ key: this.key }, `the cache disk fails, reading goes on without it: ${messageOf(error)}`);
  }
}

/** Makes an empty sparse file of `size` bytes. */
function makeSparse(path: string, size: number): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = openSync(path, 'w+', 0o600);
  try {
    ftruncateSync(fd, size);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
