/**
 * Watches the free space while the kernel writes to spool files itself (passthrough).
 *
 * `FreeSpace` refuses a write before it eats into the reserve of the state database. A passthrough write cannot be refused:
 * only the disk says when it is full. So passthrough begins only while so much is free that a check comes in time for the
 * cache to evict. Meanwhile a file (the ballast) occupies the reserve: if the disk fills up all the same, that file is removed
 * and the database can be written.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Clock } from '../base/clock.js';
import { type FreeSpace, RESERVE } from './free-space.js';

/** How often the disk is checked while the kernel writes, ms. */
export const CHECK_EVERY_MS = 100;
/**
 * Free bytes that passthrough writes need to begin, and that the cache keeps free meanwhile: as much as a fast disk (3 GB/s)
 * takes between several checks, since a check may come late on a busy machine.
 */
export const MIN_FREE = 2 * 1024 ** 3;

export class FreeSpaceWatch {
  readonly #freeSpace: FreeSpace;
  /** The file that occupies the reserve. It lies beside the spool, because `Spool.sweep` takes files inside for contents. */
  readonly #ballast: string;
  readonly #clock: Clock;
  #users = 0;
  #isHeld = false;
  #watching: AbortController | null = null;

  constructor(freeSpace: FreeSpace, ballast: string, clock: Clock) {
    this.#freeSpace = freeSpace;
    this.#ballast = ballast;
    this.#clock = clock;
    // A process that died may have left it.
    rmSync(ballast, { force: true });
  }

  /** One more spool file is written directly; false where too little is free for that. Pair with `end`. */
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
    // The watch itself ends at its next check: many small files come one after the other, and do not begin a new one each.
    // With enough space the ballast stays for them too.
    if (this.#freeSpace.free() < MIN_FREE) this.#removeBallast();
  }

  /** The mount ends. */
  close(): void {
    this.#watching?.abort();
    this.#watching = null;
    this.#removeBallast();
  }

  /** Has the cache evict, and removes the ballast where that is not enough. */
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
      if (signal.aborted) return;
      if (this.#users === 0) break;
      try {
        this.check();
      } catch {
        // A disk that cannot be asked is broken. The next write of the journal reports it.
        break;
      }
    }
    this.#watching = null;
  }

  /** Creates the ballast. False where the disk refuses it. */
  #createBallast(): boolean {
    if (this.#isHeld) return true;
    try {
      const fd = openSync(this.#ballast, 'w', 0o600);
      try {
        // Not zeros: a file system that compresses would allocate nothing for them.
        const bytes = randomFillSync(Buffer.allocUnsafe(1024 * 1024));
        for (let at = 0; at < RESERVE; at += bytes.length) writeSync(fd, bytes, 0, bytes.length, at);
      } finally {
        closeSync(fd);
      }
      this.#isHeld = true;
    } catch {
      // On a disk that refuses 32 MiB every write must be checked. Without passthrough it is, and the error reaches the program.
      this.#removeBallast();
    }
    return this.#isHeld;
  }

  #removeBallast(): void {
    this.#isHeld = false;
    rmSync(this.#ballast, { force: true });
  }
}
