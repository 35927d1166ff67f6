import { statfsSync } from 'node:fs';
import { SyncmountError } from '../base/errors.js';

/** Bytes that may be written between two calls of statfs(2): a call costs microseconds, a write of 4 KiB not much more. */
const CHECK_EVERY_BYTES = 1024 * 1024;
/** So many free bytes last longer than `AMPLE_FOR_MS`: nothing writes 40 GB/s. */
const AMPLE = 8 * 1024 ** 3;
/** How long a disk with so much free space is not asked again, ms: a small file alone would ask five times. */
const AMPLE_FOR_MS = 100;
/** Kept free for the journal and the inode table, bytes: on a full disk not even a removal could be recorded. */
export const RESERVE = 32 * 1024 * 1024;

/** With less free, bytes, a commit may find no room. */
const SCARCE = 4 * 1024 * 1024;

/** Bytes that contents must leave free on a disk of `totalBytes`: the reserve, on a small disk an eighth. */
export function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE, Math.floor(totalBytes / 8));
}

/** Refuses contents before the disk is so full that the state database cannot be written. */
export class FreeSpace {
  readonly #directory: string;
  readonly #reclaim: ((bytes: number) => void) | undefined;
  #allowance = 0;
  /** What the disk answered when it was asked last, bytes. */
  #free = 0;
  #reserve = 0;
  /** Until then that answer will do (`performance.now()`). */
  #ampleUntil = 0;

  /** `reclaim` frees so many bytes of the disk, or as many as it can, by evicting content that can be fetched again. */
  constructor(directory: string, reclaim?: (bytes: number) => void) {
    this.#directory = directory;
    this.#reclaim = reclaim;
  }

  /** Throws `SyncmountError` ENOSPC where `bytes` more would eat into the reserve, even after `reclaim`. */
  require(bytes: number): void {
    if (!this.has(bytes)) throw new SyncmountError('ENOSPC', 'the disk of the state directory is full');
  }

  has(bytes: number): boolean {
    if (bytes <= this.#allowance) {
      this.#allowance -= bytes;
      return true;
    }
    // A large content is compared with what is free now.
    if (bytes > AMPLE / 2) this.#ampleUntil = 0;
    let free = this.free();
    if (free < bytes && this.#reclaim !== undefined) {
      this.#reclaim(bytes - free + CHECK_EVERY_BYTES);
      this.#ampleUntil = 0;
      free = this.free();
    }
    if (free < bytes) return false;
    this.#allowance = Math.min(CHECK_EVERY_BYTES, free - bytes);
    return true;
  }

  /** Frees so many bytes, or as many as can be, by evicting content that can be fetched again. */
  reclaim(bytes: number): void {
    this.#reclaim?.(bytes);
  }

  /** Other programs fill the disk too: where they have eaten into the reserve, this reclaims it. False: nearly nothing is free all the same. */
  keepReserve(): boolean {
    const free = this.free();
    if (free >= 0) return true;
    this.#reclaim?.(-free);
    return this.free() + this.#reserve >= Math.min(SCARCE, this.#reserve / 2);
  }

  /** Bytes that contents may still take. Where there are many, the answer may be a tenth of a second old. */
  free(): number {
    const now = performance.now();
    if (now < this.#ampleUntil) return this.#free;
    const { bavail, blocks, bsize } = statfsSync(this.#directory);
    this.#reserve = reserveOf(blocks * bsize);
    this.#free = bavail * bsize - this.#reserve;
    this.#ampleUntil = this.#free < AMPLE ? 0 : now + AMPLE_FOR_MS;
    return this.#free;
  }
}
