import { statfsSync } from 'node:fs';
import { SyncmountError } from '../base/errors.js';

/** Bytes of contents taken on trust between two looks at the disk: a look costs microseconds, a write of 4 KiB not much more. */
const LOOK_EVERY = 1024 * 1024;
/** Kept free for the journal and the inode table, bytes: on a full disk not even a removal could be written down. */
export const RESERVE = 32 * 1024 * 1024;

/** What contents may take of a disk: all of it but a reserve, and on a small one all but an eighth. */
export function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE, Math.floor(totalBytes / 8));
}

/** Refuses contents before the disk is so full that the state database cannot be written. */
export class FreeSpace {
  readonly #directory: string;
  readonly #relieve: ((bytes: number) => void) | undefined;
  #trusted = 0;

  /** `relieve` frees so many bytes of the disk, or as many as it can, of what can be had again. */
  constructor(directory: string, relieve?: (bytes: number) => void) {
    this.#directory = directory;
    this.#relieve = relieve;
  }

  /** Throws `SyncmountError` ENOSPC where `bytes` more would eat into the reserve, whatever was given up for them. */
  require(bytes: number): void {
    if (!this.has(bytes)) throw new SyncmountError('ENOSPC', 'the disk of the state directory is full');
  }

  has(bytes: number): boolean {
    if (bytes <= this.#trusted) {
      this.#trusted -= bytes;
      return true;
    }
    let free = this.free();
    if (free < bytes && this.#relieve !== undefined) {
      this.#relieve(bytes - free + LOOK_EVERY);
      free = this.free();
    }
    if (free < bytes) return false;
    this.#trusted = Math.min(LOOK_EVERY, free - bytes);
    return true;
  }

  /** Frees so many bytes, or as many as can be, of what can be had again. */
  relieve(bytes: number): void {
    this.#relieve?.(bytes);
  }

  /** Others fill the disk too: where they have taken of the reserve, what can be had again gives way. */
  keepReserve(): void {
    const free = this.free();
    if (free < 0) this.#relieve?.(-free);
  }

  /** Bytes that contents may still take. */
  free(): number {
    const { bavail, blocks, bsize } = statfsSync(this.#directory);
    return bavail * bsize - reserveOf(blocks * bsize);
  }
}
