import { statfsSync } from 'node:fs';
import { SyncmountError } from '../base/errors.js';

/** Bytes that may be written between two calls of statfs(2): a call costs microseconds, a write of 4 KiB not much more. */
const CHECK_EVERY_BYTES = 1024 * 1024;
/** Kept free for the journal and the inode table, bytes: on a full disk not even a removal could be recorded. */
export const RESERVE = 32 * 1024 * 1024;

/** Bytes that contents must leave free on a disk of `totalBytes`: the reserve, on a small disk an eighth. */
export function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE, Math.floor(totalBytes / 8));
}

/** Refuses contents before the disk is so full that the state database cannot be written. */
export class FreeSpace {
  readonly #directory: string;
  readonly #reclaim: ((bytes: number) => void) | undefined;
  #allowance = 0;

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
    let free = this.free();
    if (free < bytes && this.#reclaim !== undefined) {
      this.#reclaim(bytes - free + CHECK_EVERY_BYTES);
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

  /** Other programs fill the disk too: where they have eaten into the reserve, this reclaims it. */
  keepReserve(): void {
    const free = this.free();
    if (free < 0) this.#reclaim?.(-free);
  }

  /** Bytes that contents may still take. */
  free(): number {
    const { bavail, blocks, bsize } = statfsSync(this.#directory);
    return bavail * bsize - reserveOf(blocks * bsize);
  }
}
