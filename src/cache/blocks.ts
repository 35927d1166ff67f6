/** The geometry of the cache: which block a byte is in, and which blocks of a revision are present. */

/**
 * Bytes. Small enough that a random 4 KiB read costs little beyond its round trip (2.6 ms at 25 MB/s), large enough
 * that the map of a 50 GB file is 4 MB.
 */
export const BLOCK_BYTES = 64 * 1024;

/** Blocks of one revision that are evicted together: 8 MiB, so that a long file is evicted piece by piece. */
export const SEGMENT_BLOCKS = 128;

/** The unit of eviction: `SEGMENT_BLOCKS` blocks of the revision `key`. */
export interface Segment {
  readonly key: string;
  readonly segment: number;
  /** Bytes of its present blocks. */
  readonly bytes: number;
}

export function blockOf(offset: number): number {
  return Math.floor(offset / BLOCK_BYTES);
}

export function blockCount(size: number): number {
  return Math.ceil(size / BLOCK_BYTES);
}

/** Bytes of block `block` in a file of `size` bytes: less than a whole block only for the last. */
export function blockLength(block: number, size: number): number {
  return Math.min(BLOCK_BYTES, size - block * BLOCK_BYTES);
}

export function segmentOf(block: number): number {
  return Math.floor(block / SEGMENT_BLOCKS);
}

/** Bytes of the encoded map of so many blocks: CRCs, then presence. */
export function encodedBytes(count: number): number {
  return count * 5;
}

/** Presence and CRC-32 of every block of one revision. A verified block was written by this process, or compared with its CRC. */
export class BlockMap {
  readonly count: number;
  readonly #present: Uint8Array;
  readonly #crc: Uint32Array;
  readonly #verified: Uint8Array;

  constructor(count: number, stored?: Uint8Array) {
    this.count = count;
    this.#verified = new Uint8Array(count);
    if (stored !== undefined && stored.byteLength === encodedBytes(count)) {
      const copy = stored.slice();
      this.#crc = new Uint32Array(copy.buffer, copy.byteOffset, count);
      this.#present = copy.subarray(count * 4);
    } else {
      this.#crc = new Uint32Array(count);
      this.#present = new Uint8Array(count);
    }
  }

  has(block: number): boolean {
    return this.#present[block] === 1;
  }

  /** Are all blocks `[first, last]` present? */
  hasAll(first: number, last: number): boolean {
    for (let block = first; block <= last; block++) if (this.#present[block] !== 1) return false;
    return true;
  }

  isEmpty(): boolean {
    return !this.#present.includes(1);
  }

  /** Are all blocks `[first, last]` verified: does the disk hold bytes with their CRC for certain? */
  areVerified(first: number, last: number): boolean {
    for (let block = first; block <= last; block++) if (this.#verified[block] !== 1) return false;
    return true;
  }

  verified(block: number): void {
    this.#verified[block] = 1;
  }

  crc(block: number): number {
    return this.#crc[block] ?? 0;
  }

  /** The block was just written, with this CRC. */
  set(block: number, crc: number): void {
    this.#present[block] = 1;
    this.#crc[block] = crc;
    this.#verified[block] = 1;
  }

  /** The block is gone; its CRC is remembered. */
  clear(block: number): void {
    this.#present[block] = 0;
    this.#verified[block] = 0;
  }

  /** Remembers the CRC of a block that is not present. */
  noteCrc(block: number, crc: number): void {
    this.#crc[block] = crc;
  }

  /** No block is present, and no CRC is known. */
  reset(): void {
    this.#present.fill(0);
    this.#crc.fill(0);
    this.#verified.fill(0);
  }

  /** Bytes of the present blocks of a segment, in a revision of `size` bytes. */
  bytesOf(segment: number, size: number): number {
    let bytes = 0;
    const end = Math.min((segment + 1) * SEGMENT_BLOCKS, this.count);
    for (let block = segment * SEGMENT_BLOCKS; block < end; block++) {
      if (this.has(block)) bytes += blockLength(block, size);
    }
    return bytes;
  }

  /** For the index: first four bytes of CRC (in this machine's byte order) for each block, then one byte of presence for each block. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(encodedBytes(this.count));
    bytes.set(new Uint8Array(this.#crc.buffer, this.#crc.byteOffset, this.count * 4));
    bytes.set(this.#present, this.count * 4);
    return bytes;
  }
}
