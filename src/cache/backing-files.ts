/** What the cache has lent to the kernel. */
import { BackingFile } from '../spool/backing-file.js';
import type { CachedRevision } from './cached-revision.js';

/** Of the cache's limit, what may be lent at a time: the rest goes on taking new blocks. */
const SHARE = 1 / 2;

export class BackingFiles {
  readonly #limit: number;
  /** By key, those that the cache still has. */
  readonly #lent = new Map<string, BackingFile>();
  readonly #detached = new Set<BackingFile>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(key: string): boolean {
    return this.#lent.has(key);
  }

  /** Bytes on the disk that the cache does not have any more, and cannot free. */
  get detachedBytes(): number {
    let bytes = 0;
    for (const file of this.#detached) bytes += file.size;
    return bytes;
  }

  /** Null unless all of the revision is here and every checksum was seen to hold. Pair with `giveBack`. */
  open(revision: CachedRevision, path: string): BackingFile | null {
    const { key, size } = revision;
    if (size === 0 || !revision.isWhollyVerified()) return null;
    let lent = this.#lent.get(key);
    if (lent === undefined) {
      if (!this.hasRoom(size)) return null;
      lent = new BackingFile('cache', key, size, path);
      this.#lent.set(key, lent);
    }
    lent.users++;
    return lent;
  }

  /** May so many bytes more be lent? */
  hasRoom(size: number): boolean {
    return this.#bytes() + size <= this.#limit * SHARE;
  }

  /** A spool file that is lent has become the cache's, with all those who have it. */
  adopt(lent: BackingFile, key: string, size: number): void {
    lent.owner = 'cache';
    lent.key = key;
    lent.size = size;
    lent.path = null;
    this.#lent.set(key, lent);
  }

  /** The cache's file of a revision has become one of the spool, with all those who have it. Null: nobody has. */
  moveToSpool(key: string): BackingFile | null {
    const lent = this.#lent.get(key);
    if (lent === undefined) return null;
    this.#lent.delete(key);
    lent.spooled();
    return lent;
  }

  /** True when nobody has it any more. */
  close(lent: BackingFile): boolean {
    lent.users--;
    if (lent.users > 0) return false;
    if (this.#lent.get(lent.key) === lent) this.#lent.delete(lent.key);
    this.#detached.delete(lent);
    lent.close();
    return true;
  }

  /** The cache gives the file of a revision up. */
  detach(key: string): void {
    const lent = this.#lent.get(key);
    if (lent === undefined) return;
    lent.owner = 'readers';
    this.#lent.delete(key);
    this.#detached.add(lent);
  }

  #bytes(): number {
    let bytes = this.detachedBytes;
    for (const { size } of this.#lent.values()) bytes += size;
    return bytes;
  }
}
