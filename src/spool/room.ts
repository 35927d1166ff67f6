import { statfsSync } from 'node:fs';
import { SyncmountError } from '../base/errors.js';

/** Bytes of contents taken on trust between two looks at the disk: a look costs microseconds, a write of 4 KiB not much more. */
const LOOK_EVERY = 1024 * 1024;
/** Kept free for the journal and the inode table, bytes: on a full disk not even a removal could be written down. */
const RESERVE = 32 * 1024 * 1024;

/** What contents may take of a disk: all of it but a reserve, and on a small one all but an eighth. */
export function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE, Math.floor(totalBytes / 8));
}

/** Refuses contents before the disk is so full that the state database cannot be written. */
export class Room {
  readonly #directory: string;
  #trusted = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Throws `SyncmountError` ENOSPC where `bytes` more would eat into the reserve. */
  require(bytes: number): void {
    if (bytes <= this.#trusted) {
      this.#trusted -= bytes;
      return;
    }
    const { bavail, blocks, bsize } = statfsSync(this.#directory);
    const free = bavail * bsize - reserveOf(blocks * bsize);
    if (free < bytes) throw new SyncmountError('ENOSPC', 'the disk of the state directory is full');
    this.#trusted = Math.min(LOOK_EVERY, free - bytes);
  }
}
