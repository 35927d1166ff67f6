import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { messageOf } from '../base/errors.js';
import { readAt, writeAt } from '../base/files.js';
import { type BlockCache, makeSparse } from './block-cache.js';
import { BLOCK_BYTES, type BlockMap, blockLength, blockOf, SEGMENT_BLOCKS, segmentOf } from './blocks.js';

/** A block that is evicted as often as this while it is being written is not worth keeping. */
const MAX_WRITES = 3;

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
  readonly #cache: BlockCache;
  readonly #path: string;
  /** Blocks whose checksum was seen to hold since the file was opened. */
  readonly #verified: Uint8Array;
  /** By segment, how often it was evicted: what was read or written across an eviction may be a hole. */
  readonly #evictions: Uint32Array;
  #fd: number | null = null;
  #broken = false;

  constructor(cache: BlockCache, key: string, size: number, path: string, map: BlockMap) {
    this.#cache = cache;
    this.key = key;
    this.size = size;
    this.map = map;
    this.#path = path;
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

  /** Are all of these blocks present and checked, so that one read may span them? */
  isVerified(first: number, last: number): boolean {
    for (let block = first; block <= last; block++) {
      if (!this.map.has(block) || this.#verified[block] !== 1) return false;
    }
    return true;
  }

  /** Bytes from anywhere in verified blocks. False: something is amiss, ask block by block. */
  async readVerified(into: Uint8Array, offset: number): Promise<boolean> {
    const fd = this.#file();
    if (fd === null) return false;
    const first = segmentOf(blockOf(offset));
    const last = segmentOf(blockOf(offset + into.length - 1));
    const evictions = this.#evictionsOf(first, last);
    try {
      const count = await readAt(fd, into, offset);
      // Evicted while it was being read: the bytes may be those of a hole, even if the blocks are back by now.
      return count === into.length && evictions === this.#evictionsOf(first, last);
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** One whole block with its checksum verified, or null where it is not here (any more). */
  async readBlock(block: number): Promise<Uint8Array | null> {
    const fd = this.#file();
    if (fd === null || !this.map.has(block)) return null;
    const segment = segmentOf(block);
    const evictions = this.#evictions[segment];
    const data = Buffer.allocUnsafe(blockLength(block, this.size));
    try {
      const count = await readAt(fd, data, block * BLOCK_BYTES);
      if (evictions !== this.#evictions[segment] || !this.map.has(block)) return null;
      if (count === data.length && crc32(data) === this.map.crc(block)) {
        this.#verified[block] = 1;
        this.#cache.touch(this.key, block);
        return data;
      }
      this.#cache.log.warn({ key: this.key, block }, 'a cached block is damaged and will be fetched again');
    } catch (error) {
      this.#fail(error);
    }
    this.#forget(block);
    return null;
  }

  /** Stores a block; false where there is no room for it or the disk refuses. */
  async write(block: number, data: Uint8Array): Promise<boolean> {
    const segment = segmentOf(block);
    for (let tries = 0; tries < MAX_WRITES && !this.#broken && !this.map.has(block); tries++) {
      if (!this.#cache.reserve(this.key, block, data.length)) return false;
      // Making room may have evicted other blocks of this very segment: what counts is the state after it.
      const evictions = this.#evictions[segment];
      const fd = this.#file();
      try {
        if (fd === null) throw new Error('the cache file cannot be opened');
        if (!this.changed) {
          this.#cache.distrust(this);
          this.changed = true;
        }
        await writeAt(fd, data, block * BLOCK_BYTES);
      } catch (error) {
        if (evictions === this.#evictions[segment]) this.#cache.unreserve(this.key, block, data.length);
        this.#fail(error);
        return false;
      }
      // Evicted while it was being written: nobody knows whether the bytes came before the hole or after it.
      if (evictions !== this.#evictions[segment]) continue;
      this.map.set(block, crc32(data));
      this.#verified[block] = 1;
    }
    return this.map.has(block);
  }

  /** Frees every block. The reservations are the caller's to drop. */
  clear(): void {
    for (let segment = 0; segment < this.#evictions.length; segment++) this.#evicted(segment);
    for (let block = 0; block < this.map.count; block++) this.map.clear(block);
    this.#verified.fill(0);
    this.changed = true;
    const fd = this.#file();
    if (fd === null) return;
    try {
      ftruncateSync(fd, 0);
      ftruncateSync(fd, this.size);
    } catch (error) {
      this.#fail(error);
    }
  }

  clearSegment(segment: number): void {
    const first = segment * SEGMENT_BLOCKS;
    const end = Math.min(first + SEGMENT_BLOCKS, this.map.count);
    this.#evicted(segment);
    this.changed = true;
    for (let block = first; block < end; block++) {
      this.map.clear(block);
      this.#verified[block] = 0;
    }
    const fd = this.#file();
    if (fd === null) return;
    try {
      this.#cache.punchHole?.(fd, first * BLOCK_BYTES, (end - first) * BLOCK_BYTES);
    } catch (error) {
      this.#fail(error);
    }
  }

  closeFile(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
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

  /** From here on this revision is read from the network alone. */
  #fail(error: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#cache.log.warn({ key: this.key }, `the cache disk fails, reading goes on without it: ${messageOf(error)}`);
  }
}
