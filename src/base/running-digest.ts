/** The MD5 of a content and the CRC-32 of its blocks, computed while its bytes come, in order. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface Digest {
  /** Lower-case hex. */
  readonly md5: string;
  /** CRC-32 of every block of `blockBytes` bytes. */
  readonly crcs: readonly number[];
}

export class RunningDigest {
  readonly blockBytes: number;
  readonly #md5 = createHash('md5');
  /** CRCs of the complete blocks. */
  readonly #crcs: number[] = [];
  /** CRC of the bytes of the last, unfinished block. */
  #crc = 0;
  #bytes = 0;

  constructor(blockBytes: number) {
    this.blockBytes = blockBytes;
  }

  /** Bytes hashed so far. */
  get bytes(): number {
    return this.#bytes;
  }

  update(data: Uint8Array): void {
    this.#md5.update(data);
    for (let at = 0; at < data.length; ) {
      const left = this.blockBytes - (this.#bytes % this.blockBytes);
      const part = data.subarray(at, at + left);
      this.#crc = crc32(part, this.#crc);
      at += part.length;
      this.#bytes += part.length;
      if (part.length < left) continue;
      this.#crcs.push(this.#crc);
      this.#crc = 0;
    }
  }

  /** The hashes of the bytes so far; more may follow. */
  result(): Digest {
    const isBlockOpen = this.#bytes % this.blockBytes > 0;
    return { md5: this.#md5.copy().digest('hex'), crcs: isBlockOpen ? [...this.#crcs, this.#crc] : [...this.#crcs] };
  }
}
