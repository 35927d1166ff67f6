/**
 * Watches the free space while the kernel writes to spool files itself (passthrough).
 *
 * `FreeSpace` refuses a write that would use the reserve of the state database. It cannot refuse a passthrough write: that fails only
 * when the disk is full. So passthrough begins only while enough space is free that a check comes in time for the cache to evict.
 * Meanwhile a file (the ballast) occupies the reserve. If the disk becomes full nevertheless, that file is removed, and the database
 * can be written.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Clock } from '../base/clock.js';
import { type FreeSpace, RESERVE } from './free-space.js';

/** How often the disk is checked while the kernel writes, ms. */
export const CHECK_EVERY_MS = 100;
/**
 * The free bytes that passthrough writes need to begin, and that the cache keeps free meanwhile. A fast disk (3 GB/s) fills them within
 * several checks: a check may come late on a busy machine.
 */
export const MIN_FREE = 2 * 1024 ** 3;

export class FreeSpaceWatch {
  readonly #freeSpace: FreeSpace;
  /** The path of the ballast. It is beside the spool directory, because `Spool.sweep` takes files inside for contents. */
  readonly #ballast: string;
  readonly #clock: Clock;
  #users = 0;
  #isHeld = false;
  #watching: AbortController | null = null;

  constructor(freeSpace: FreeSpace, ballast: string, clock: Clock) {
    this.#freeSpace = freeSpace;
    this.#ballast = ballast;
    this.#clock = clock;
    // A process that died may have left the ballast.
    rmSync(ballast, { force: true });
  }

  /** Call before passthrough writes to one more spool file; false if too little space is free. Pair with `end`. */
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
    // The watch itself ends at its next check, so that each of many small files does not start a new one. With enough space the
    // ballast stays for them, too.
    if (this.#freeSpace.free() < MIN_FREE) this.#removeBallast();
  }

  /** Ends the watch, with the mount. */
  close(): void {
    this.#watching?.abort();
    this.#watching = null;
    this.#removeBallast();
  }

  /** Makes the cache evict, and removes the ballast if that is not enough. */
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
        // A disk that does not answer is broken. The next write of the journal reports that.
        break;
      }
    }
    this.#watching = null;
  }

  /** Creates the ballast. False if the disk refuses it. */
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
      // On a disk that refuses 32 MiB every write must be checked. Without passthrough this happens, and the error reaches the program.
      this.#removeBallast();
    }
    return this.#isHeld;
  }

  #removeBallast(): void {
    this.#isHeld = false;
    rmSync(this.#ballast, { force: true });
  }
}
