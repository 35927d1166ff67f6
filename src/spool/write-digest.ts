/** The digest of a content that is written in order, computed in the background from what is in the file already. */
import { promisify } from 'node:util';
import type { ContentHasher, FileDigest } from '../base/content-hasher.js';

const nextTurn = promisify(setImmediate);

/**
 * Bytes hashed at a time. Each message to the hashing thread and back takes the event loop a tenth of a millisecond; `close` waits for the
 * last of them, which takes 10 ms.
 */
export const HASH_CHUNK = 4 * 1024 * 1024;

/** The file that is written to. */
export interface WrittenFile {
  readonly size: number;
  /** Runs `act` with the descriptor, which stays open meanwhile; null where it is closed. */
  whileOpen(act: (fd: number) => Promise<boolean>): Promise<boolean> | null;
}

export class WriteDigest {
  readonly #hasher: ContentHasher;
  readonly #blockBytes: number;
  readonly #file: WrittenFile;
  /** As long as every write continued it from the beginning of the content; else null. */
  #running: FileDigest | null = null;
  /** What it was when the file could not be read: it may have a part of a chunk. */
  #failed: FileDigest | null = null;
  /** The hashing under way. */
  #hashing: Promise<void> | null = null;

  constructor(hasher: ContentHasher, blockBytes: number, file: WrittenFile) {
    this.#hasher = hasher;
    this.#blockBytes = blockBytes;
    this.#file = file;
  }

  /** Before a write at `offset`. Does it continue the digest? The first write that does not ends it for good. */
  continues(offset: number): boolean {
    if (offset !== this.#file.size) this.end();
    else if (offset === 0) {
      this.end();
      this.#running = this.#hasher.digest(this.#blockBytes);
    }
    return this.#running !== null;
  }

  /** After a write that continues it. */
  written(): void {
    const running = this.#running;
    if (running === null || this.#hashing !== null || this.#file.size - running.bytes < HASH_CHUNK) return;
    // Not reported here: who takes the digest finds none, reads the bytes again, and rejects with the error.
    this.#hashing = this.#hashWritten(running)
      .catch(() => {
        running.drop();
        this.#failed = running;
        if (this.#running === running) this.#running = null;
      })
      .finally(() => {
        this.#hashing = null;
      });
  }

  /** The content changes in another way. */
  end(): void {
    this.#running?.drop();
    this.#running = null;
  }

  /** The digest so far, which the caller continues; null where there is none. It is taken away from later writes. */
  async take(): Promise<FileDigest | null> {
    const running = this.#running;
    this.#running = null;
    await this.#hashing;
    return running === this.#failed ? null : running;
  }

  /** Hashes whole chunks until there is none, the file is closed, or the digest has ended. */
  async #hashWritten(running: FileDigest): Promise<void> {
    for (;;) {
      // Without a thread, other work gets its turn between two chunks.
      await nextTurn();
      if (this.#running !== running || this.#file.size - running.bytes < HASH_CHUNK) return;
      if (!(await this.#file.whileOpen((fd) => running.add(fd, HASH_CHUNK)))) return;
    }
  }
}
