/** Hashes a content while it is written in order: in the background, from the bytes that are already in the file. */
import { promisify } from 'node:util';
import type { ContentHasher, FileDigest } from '../base/content-hasher.js';

const nextTurn = promisify(setImmediate);

/**
 * The bytes of one step. Each message to the hashing thread and back costs the event loop a tenth of a millisecond. `close` waits for the
 * last step, which takes 10 ms.
 */
export const HASH_CHUNK = 4 * 1024 * 1024;

/** The file that programs write to. */
export interface WrittenFile {
  readonly size: number;
  /** Runs `act` with the descriptor, which stays open meanwhile; null if it is closed. */
  whileOpen(act: (fd: number) => Promise<boolean>): Promise<boolean> | null;
}

export class WriteDigest {
  readonly #hasher: ContentHasher;
  readonly #blockBytes: number;
  readonly #file: WrittenFile;
  /** The digest while every write has continued it from the start of the content; else null. */
  #running: FileDigest | null = null;
  /** The digest whose file could not be read: it may contain a part of a chunk. */
  #failed: FileDigest | null = null;
  /** The hashing in progress. */
  #hashing: Promise<void> | null = null;

  constructor(hasher: ContentHasher, blockBytes: number, file: WrittenFile) {
    this.#hasher = hasher;
    this.#blockBytes = blockBytes;
    this.#file = file;
  }

  /** Call before a write at `offset`. True if the write continues the digest. The first write that does not ends the digest for good. */
  continues(offset: number): boolean {
    if (offset !== this.#file.size) this.end();
    else if (offset === 0) {
      this.end();
      this.#running = this.#hasher.digest(this.#blockBytes);
    }
    return this.#running !== null;
  }

  /** Call after a write that continues the digest. */
  written(): void {
    const running = this.#running;
    if (running === null || this.#hashing !== null || this.#file.size - running.bytes < HASH_CHUNK) return;
    // Errors are not reported here: the caller of `take` gets no digest, reads the bytes again, and rejects with the error.
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

  /** Ends the digest, because the content changes in another way. */
  end(): void {
    this.#running?.drop();
    this.#running = null;
  }

  /** Takes the digest so far, which the caller continues; null if there is none. Later writes no longer continue it. */
  async take(): Promise<FileDigest | null> {
    const running = this.#running;
    this.#running = null;
    await this.#hashing;
    return running === this.#failed ? null : running;
  }

  /** Hashes whole chunks until there is none, the file is closed, or the digest has ended. */
  async #hashWritten(running: FileDigest): Promise<void> {
    for (;;) {
      // Without a thread, other work has a turn between two chunks.
      await nextTurn();
      if (this.#running !== running || this.#file.size - running.bytes < HASH_CHUNK) return;
      if (!(await this.#file.whileOpen((fd) => running.add(fd, HASH_CHUNK)))) return;
    }
  }
}
