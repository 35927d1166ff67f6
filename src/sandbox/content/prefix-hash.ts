/** The MD5 of a file that is written in any order. The complete prefix is hashed while the rest still arrives. */
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const hashPiece = 1024 * 1024;

export class PrefixHash {
  #hash: Hash = createHash('md5');
  #hashed = 0;
  /** The bytes before this offset are hashed, or their hashing is queued. */
  #planned = 0;
  /** A queue, because MD5 needs the bytes in order. */
  #work: Promise<void> = Promise.resolve();

  constructor(readonly file: FileHandle) {}

  /** Reports that the file is complete up to `end`. */
  extend(end: number): void {
    this.#planned = end;
    this.#work = this.#work.then(() => this.#hashUpTo(end));
    this.#work.catch(() => undefined);
  }

  /** Reports that bytes from `first` on were written again. They may have changed, so the hash starts anew. */
  rewritten(first: number): void {
    if (first >= this.#planned) return;
    this.#planned = 0;
    this.#work = this.#work.then(() => {
      this.#hash = createHash('md5');
      this.#hashed = 0;
    });
    this.#work.catch(() => undefined);
  }

  async settled(): Promise<void> {
    await this.#work;
  }

  /** The digest. To be called when the file is complete. */
  async digest(): Promise<string> {
    await this.#work;
    // From a copy, so that a refused completion can be tried again.
    return this.#hash.copy().digest('hex');
  }

  /** Reads the bytes back from the file, which is in the page cache. */
  async #hashUpTo(end: number): Promise<void> {
    const piece = Buffer.allocUnsafe(Math.max(0, Math.min(hashPiece, end - this.#hashed)));
    while (this.#hashed < end) {
      const length = Math.min(piece.length, end - this.#hashed);
      const { bytesRead } = await this.file.read(piece, 0, length, this.#hashed);
      if (bytesRead === 0) throw new Error('the upload is shorter than its ranges');
      this.#hash.update(piece.subarray(0, bytesRead));
      this.#hashed += bytesRead;
    }
  }
}
