/**
 * The backing files of the cache: files of complete revisions that the kernel reads directly (passthrough).
 * Invariant: together they take at most a share of the cache's limit, because an open backing file cannot be evicted.
 */
import { BackingFile } from '../spool/backing-file.js';
import type { CachedRevision } from './cached-revision.js';

/** The largest share of the cache's limit that backing files may take. The rest is left for new blocks. */
const MAX_SHARE = 1 / 2;

export class BackingFiles {
  readonly #limit: number;
  /** Backing files of revisions that are still in the cache, by key. */
  readonly #attached = new Map<string, BackingFile>();
  readonly #detached = new Set<BackingFile>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(key: string): boolean {
    return this.#attached.has(key);
  }

  /** Bytes of files that the cache has dropped and that are still open. The cache cannot free their disk space. */
  get detachedBytes(): number {
    let bytes = 0;
    for (const file of this.#detached) bytes += file.size;
    return bytes;
  }

  /** Null unless every block of the revision is present and verified. Pair with `close`. */
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

  /** May backing files take `size` bytes more? */
  fits(size: number): boolean {
    return this.#bytes() + size <= this.#limit * MAX_SHARE;
  }

  /** Turns a spool file that is open as a backing file into the cache's file. Its users keep it. */
  adopt(file: BackingFile, key: string, size: number): void {
    file.owner = 'cache';
    file.key = key;
    file.size = size;
    file.path = null;
    this.#attached.set(key, file);
  }

  /** Turns the cache's file of a revision into a spool file. Its users keep it. Null if it is not open as a backing file. */
  moveToSpool(key: string): BackingFile | null {
    const file = this.#attached.get(key);
    if (file === undefined) return null;
    this.#attached.delete(key);
    file.becomeSpoolFile();
    return file;
  }

  /** True when that was the last user. */
  close(file: BackingFile): boolean {
    file.users--;
    if (file.users > 0) return false;
    if (this.#attached.get(file.key) === file) this.#attached.delete(file.key);
    this.#detached.delete(file);
    file.close();
    return true;
  }

  /** The cache drops the revision. If its backing file is open, it stays open until its last user closes it. */
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
