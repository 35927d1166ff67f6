import { statfsSync } from 'node:fs';
import { SyncmountError } from '../base/errors.js';

/** Bytes that may be written between two calls of statfs(2): a call costs microseconds, a write of 4 KiB not much more. */
const CHECK_EVERY_BYTES = 1024 * 1024;
/** This many free bytes last longer than `AMPLE_FOR_MS`: no program writes 40 GB/s. */
const AMPLE = 8 * 1024 ** 3;
/** How long an answer with `AMPLE` free bytes is reused, ms. Without this, one small file would call statfs(2) five times. */
const AMPLE_FOR_MS = 100;
/** Bytes kept free for the journal and the inode table: on a full disk not even a removal could be recorded. */
export const RESERVE = 32 * 1024 * 1024;

/** With fewer free bytes than this, a commit may fail. */
const SCARCE = 4 * 1024 * 1024;

/** The bytes that contents must leave free on a disk of `totalBytes`: the reserve, or an eighth of a small disk. */
export function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE, Math.floor(totalBytes / 8));
}

/** Refuses writes of contents before the disk is too full for the state database. */
export class FreeSpace {
  readonly #directory: string;
  readonly #reclaim: ((bytes: number) => void) | undefined;
  #allowance = 0;
  /** The last answer of statfs(2), without the reserve, bytes. */
  #free = 0;
  #reserve = 0;
  /** How long that answer may be reused (`performance.now()`). */
  #ampleUntil = 0;

  /** `reclaim` frees this many bytes of the disk, or as many as it can, by evicting content that can be fetched again. */
  constructor(directory: string, reclaim?: (bytes: number) => void) {
    this.#directory = directory;
    this.#reclaim = reclaim;
  }

  /** Throws `SyncmountError` ENOSPC if `bytes` more would use the reserve, even after `reclaim`. */
  require(bytes: number): void {
    if (!this.has(bytes)) throw new SyncmountError('ENOSPC', 'the disk of the state directory is full');
  }

  has(bytes: number): boolean {
    if (bytes <= this.#allowance) {
      this.#allowance -= bytes;
      return true;
    }
    // A large content needs a fresh answer.
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

  /** Calls `reclaim` of the constructor. */
  reclaim(bytes: number): void {
    this.#reclaim?.(bytes);
  }

  /** Reclaims the reserve if other programs have used it. False if nearly nothing is free even then. */
  keepReserve(): boolean {
    const free = this.free();
    if (free >= 0) return true;
    this.#reclaim?.(-free);
    return this.free() + this.#reserve >= Math.min(SCARCE, this.#reserve / 2);
  }

  /** The bytes that contents may still take. If they are ample, the answer may be a tenth of a second old. */
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
