/** The MD5 of a file that is being written in any order: hashed as far as it is whole, while the rest still comes. */
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const hashPiece = 1024 * 1024;

export class PrefixHash {
  #hash: Hash = createHash('md5');
  #hashed = 0;
  /** Up to here it is hashed or will be. */
  #planned = 0;
  /** One after the other, because MD5 needs the bytes in order. */
  #work: Promise<void> = Promise.resolve();

  constructor(readonly file: FileHandle) {}

  /** The file is whole up to here. */
  extend(end: number): void {
    this.#planned = end;
    this.#work = this.#work.then(() => this.#hashUpTo(end));
    this.#work.catch(() => undefined);
  }

  /** Bytes from here on were written again: what was hashed of them may have changed, whatever the client promises. */
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

  /** Once everything is there. */
  async digest(): Promise<string> {
    await this.#work;
    // Of a copy, so that a completion that is refused can be tried again.
    return this.#hash.copy().digest('hex');
  }

  /** Reads on from where the hash is; the bytes come from the page cache. */
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
