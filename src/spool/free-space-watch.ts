/**
 * Free space for those who write to the spool without asking for each write (the kernel, by passthrough).
 *
 * `Room` refuses a write before it eats into the reserve of the state database; here nobody can be refused, the disk
 * itself says when it is full. So spool files are handed out only while there is so much room that the looks in between
 * come in time for the cache to give way, and the reserve is held by a file meanwhile (the ballast): when the disk is full
 * all the same, that file goes, and the database can be written.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Clock } from '../base/clock.js';
import { type FreeSpace, RESERVE } from './free-space.js';

/** How often the disk is looked at while something is handed out, ms. */
export const CHECK_EVERY_MS = 100;
/**
 * Free bytes without which nothing is handed out, and which the cache is asked to keep free meanwhile: several looks' worth
 * of what a fast disk takes (3 GB/s), since a look may come late on a busy machine.
 */
export const MIN_FREE = 2 * 1024 ** 3;

export class FreeSpaceWatch {
  readonly #freeSpace: FreeSpace;
  /** The file that holds the reserve; beside the spool, where no journal row is missed for it. */
  readonly #ballast: string;
  readonly #clock: Clock;
  #users = 0;
  #isHeld = false;
  #watching: AbortController | null = null;

  constructor(freeSpace: FreeSpace, ballast: string, clock: Clock) {
    this.#freeSpace = freeSpace;
    this.#ballast = ballast;
    this.#clock = clock;
    // Left by a process that died.
    rmSync(ballast, { force: true });
  }

  /** One more writes without asking; false where there is too little room for that. Pair with `end`. */
  begin(): boolean {
    if (this.#freeSpace.free() < MIN_FREE || !this.#createBallast()) return false;
    this.#users++;
    if (this.#watching === null) {
      this.#watching = new AbortController();
      void this.#watch(this.#watching.signal);
    }
    return true;
  }

  end(): void {
    this.#users--;
    if (this.#users > 0) return;
    // Nobody asks for the reason; without one an error with a stack trace is made, at each close of a small file.
    this.#watching?.abort(null);
    this.#watching = null;
    // It stays for the next one where it is in nobody's way: many small files come one after the other.
    if (this.#freeSpace.free() < MIN_FREE) this.#removeBallast();
  }

  /** The mount ends. */
  close(): void {
    this.#watching?.abort();
    this.#removeBallast();
  }

  /** Lets the cache give way, and the ballast go where that is not enough. */
  check(): void {
    let free = this.#freeSpace.free();
    if (free >= MIN_FREE) return;
    this.#freeSpace.reclaim(MIN_FREE - free);
    free = this.#freeSpace.free();
    if (free <= 0) this.#removeBallast();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(CHECK_EVERY_MS, signal).catch(() => undefined);
      try {
        if (!signal.aborted) this.check();
      } catch {
        // A disk that cannot be asked is broken, as the next write of the journal says to who waits for it.
        return;
      }
    }
  }

  /** False where the disk refuses it. */
  #createBallast(): boolean {
    if (this.#isHeld) return true;
    try {
      const fd = openSync(this.#ballast, 'w', 0o600);
      try {
        // Not zeros: a file system that compresses would keep nothing for them.
        const bytes = randomFillSync(Buffer.allocUnsafe(1024 * 1024));
        for (let at = 0; at < RESERVE; at += bytes.length) writeSync(fd, bytes, 0, bytes.length, at);
      } finally {
        closeSync(fd);
      }
      this.#isHeld = true;
    } catch {
      // A disk that refuses 32 MiB is none to write to without asking; each write is then checked, and says what is wrong.
      this.#removeBallast();
    }
    return this.#isHeld;
  }

  #removeBallast(): void {
    this.#isHeld = false;
    rmSync(this.#ballast, { force: true });
  }
}
