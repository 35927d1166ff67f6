/** What the cache has lent to the kernel. */
import { BackingFile } from '../spool/backing-file.js';
import type { CachedRevision } from './cached-revision.js';

/** Of the cache's limit, what may be lent at a time: the rest goes on taking new blocks. */
const MAX_SHARE = 1 / 2;

export class BackingFiles {
  readonly #limit: number;
  /** By key, those that the cache still has. */
  readonly #attached = new Map<string, BackingFile>();
  readonly #detached = new Set<BackingFile>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(key: string): boolean {
    return this.#attached.has(key);
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
    if (size === 0 || !revision.isFullyVerified()) return null;
    let file = this.#attached.get(key);
    if (file === undefined) {
      if (!this.fits(size)) return null;
      file = new BackingFile('cache', key, size, path);
      this.#attached.set(key, file);
    }
    file.users++;
    return file;
  }

  /** May so many bytes more be lent? */
  fits(size: number): boolean {
    return this.#bytes() + size <= this.#limit * MAX_SHARE;
  }

  /** A spool file that is lent has become the cache's, with all those who have it. */
  adopt(file: BackingFile, key: string, size: number): void {
    file.owner = 'cache';
    file.key = key;
    file.size = size;
    file.path = null;
    this.#attached.set(key, file);
  }

  /** The cache's file of a revision has become one of the spool, with all those who have it. Null: nobody has. */
  moveToSpool(key: string): BackingFile | null {
    const file = this.#attached.get(key);
    if (file === undefined) return null;
    this.#attached.delete(key);
    file.becomeSpoolFile();
    return file;
  }

  /** True when nobody has it any more. */
  close(file: BackingFile): boolean {
    file.users--;
    if (file.users > 0) return false;
    if (this.#attached.get(file.key) === file) this.#attached.delete(file.key);
    this.#detached.delete(file);
    file.close();
    return true;
  }

  /** The cache gives the file of a revision up. */
  detach(key: string): void {
    const file = this.#attached.get(key);
    if (file === undefined) return;
    file.owner = 'readers';
    this.#attached.delete(key);
    this.#detached.add(file);
  }

  #bytes(): number {
    let bytes = this.detachedBytes;
    for (const { size } of this.#attached.values()) bytes += size;
    return bytes;
  }
}
