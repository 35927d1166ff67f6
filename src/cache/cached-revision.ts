/**
 * The blocks of one revision on disk: a sparse file and the map of its present blocks. All readers of the revision share it.
 * Invariant: every method treats a failing disk as an absent block, and a block that is read has the CRC it was stored with.
 */
import { closeSync, openSync, rmSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { RunningMd5 } from '../base/content-hasher.js';
import { messageOf } from '../base/errors.js';
import { readAt, writeAt } from '../base/files.js';
import { InUse } from '../base/in-use.js';
import type { Log } from '../base/log.js';
import type { Block } from './block-runs.js';
import { BLOCK_BYTES, type BlockMap, blockLength, blockOf, SEGMENT_BLOCKS, segmentOf } from './blocks.js';
import { makeSparse, type PunchHole } from './sparse-file.js';

/** A block that is evicted as often as this while it is being written is not worth keeping. */
const MAX_WRITES = 3;

/** What a revision needs of the cache that it lies in. */
export interface RevisionHost {
  readonly log: Log;
  readonly punchHole: PunchHole | undefined;
  /** Does the disk have `bytes` free? */
  hasFreeSpace(bytes: number): boolean;
  /** Reserves `bytes` for a block within the limit. False: do not write. */
  reserve(key: string, block: number, bytes: number): boolean;
  unreserve(key: string, block: number, bytes: number): void;
  touch(key: string, segment: number): void;
  /** Called before the first write: until the index is told otherwise, a crash makes the file worthless. */
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
  /** Readers; counted by `BlockCache`. */
  pins = 0;
  /** The map differs from the one in the index. */
  changed = false;
  /** The index says that no block may be trusted after a crash. */
  isMarkedDirty = false;
  /** A block was read since the last `persist`. */
  wasUsed = false;
  /** The whole content matched the provider's MD5. So the CRC of every block, present or not, is that of the right content. */
  isChecked: boolean;
  readonly #cache: RevisionHost;
  readonly #path: string;
  /** Blocks whose CRC was compared with the bytes on disk, and matched, since the file was opened. */
  readonly #verified: Uint8Array;
  /** Blocks on their way to the disk. */
  readonly #writing = new Set<number>();
  /** How often each segment was evicted: bytes read or written across an eviction may be those of a hole. */
  readonly #evictions: Uint32Array;
  /** How often the content turned out to be wrong. */
  #corruptions = 0;
  #fd: number | null = null;
  /** Reads and writes on `#fd`. */
  #uses = new InUse();
  /** Nothing can be read from the disk. */
  #broken = false;
  /** No more can be written to the disk; present blocks can be read. */
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

  /** Is every block present and verified? */
  isFullyVerified(): boolean {
    return this.#hasAll(0, this.map.count - 1) && this.#isVerified(0, this.map.count - 1);
  }

  /** The file has the fingerprint that it had when every block was verified. */
  markVerified(): void {
    this.#verified.fill(1);
  }

  /**
   * Reads a range whose blocks are all present with one call. Blocks that are not verified yet are read whole and checked.
   * False: a block is missing or damaged; read block by block.
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
      // A segment was evicted during the read: the bytes may be those of a hole, even if the blocks are back by now.
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

  /**
   * Adds blocks `[first, last]` to an MD5, each only with the right CRC. False, and nothing added, where one is missing or damaged.
   * Rejects where the hashing itself fails.
   */
  async hashSpan(md5: RunningMd5, first: number, last: number): Promise<boolean> {
    const fd = this.#file();
    if (fd === null || !this.#hasAll(first, last)) return false;
    const position = first * BLOCK_BYTES;
    const length = Math.min((last + 1) * BLOCK_BYTES, this.size) - position;
    const crcs = Array.from({ length: last - first + 1 }, (_, at) => this.map.crc(first + at));
    const segments = [segmentOf(first), segmentOf(last)] as const;
    const evictions = this.#evictionsOf(...segments);
    const wrong = await this.#uses.during(() => md5.addSpan({ fd, position, length, crcs, partBytes: BLOCK_BYTES }));
    if (wrong === null) return true;
    // After an eviction the bytes may be those of a hole.
    if (evictions === this.#evictionsOf(...segments)) this.#dropDamaged(first + wrong);
    return false;
  }

  /** One whole block with its CRC verified, or null where it is not present (any more). */
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
   * Stores consecutive blocks of one segment, from `first` on. It skips blocks that are present and blocks that another call
   * is writing. It stores none where there is no space for them or the disk refuses. `crcs`: CRC-32 of each block, where known.
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
    const segment = segmentOf(from);
    const corruptions = this.#corruptions;
    try {
      for (let tries = 0; tries < MAX_WRITES && !this.#broken && !this.#full && !this.map.has(from); tries++) {
        if (!this.#cache.hasFreeSpace(data.length) || !this.#cache.reserve(this.key, from, data.length)) return;
        // `reserve` may have evicted other blocks of this very segment: what counts is the state after it.
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
        // The segment was evicted during the write: nobody knows whether the bytes came before the hole or after it.
        if (!isStill()) {
          this.#free(fd, from, end);
          if (corruptions !== this.#corruptions) return;
          continue;
        }
        for (let block = from; block < end; block++) {
          const at = (block - from) * BLOCK_BYTES;
          this.map.set(block, crcs?.[block - from] ?? crc32(data.subarray(at, at + BLOCK_BYTES)));
          this.#verified[block] = 1;
        }
      }
    } finally {
      for (let block = from; block < end; block++) this.#writing.delete(block);
    }
  }

  /**
   * Frees every block. The caller drops the reservations. The file is unlinked, so that writes under way are lost with it:
   * a file that was only truncated would grow again under late writes.
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

  /** Frees every block and forgets the CRCs, because the content was wrong. Writes under way are not repeated. */
  clearCorrupt(): void {
    this.clear();
    this.map.reset();
    this.isChecked = false;
    this.#corruptions++;
  }

  /** Is the block known, and known with other bytes? */
  contradicts({ block, data, crc }: Block): boolean {
    const known = this.map.crc(block);
    // 0 stands for "not known". One content in four thousand millions has this CRC, and is then not compared.
    return known !== 0 && (crc ?? crc32(data)) !== known;
  }

  /** Remembers the CRC of a block that could not be stored. */
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

  /** Closes the descriptor once no read or write is under way; the next use opens it again. */
  closeFile(): void {
    const fd = this.#fd;
    if (fd === null) return;
    const uses = this.#uses;
    this.#fd = null;
    this.#uses = new InUse();
    const close = (): void => {
      try {
        closeSync(fd);
      } catch (error) {
        this.#cache.log.warn({ key: this.key }, `a cached file cannot be closed: ${messageOf(error)}`);
      }
    };
    if (uses.isBusy) void uses.idle().then(close);
    else close();
  }

  #hasAll(first: number, last: number): boolean {
    for (let block = first; block <= last; block++) if (!this.map.has(block)) return false;
    return true;
  }

  #isVerified(first: number, last: number): boolean {
    for (let block = first; block <= last; block++) if (this.#verified[block] !== 1) return false;
    return true;
  }

  /** Compares whole blocks, just read, with their CRCs; a damaged one is dropped. */
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

  /** The disk failed: from here on this revision is read from the network alone. */
  #fail(error: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#clearMap();
    this.#cache.forget(this);
    this.#cache.log.warn({ key: this.key }, `the cache disk fails, reading goes on without it: ${messageOf(error)}`);
  }
}
