import type { FreeSpace } from '../spool/free-space.js';
import { blockCount } from './blocks.js';
import type { CacheSpace } from './cache-space.js';
import type { CacheIndex } from './index-db.js';
import type { IndexLoader } from './index-loader.js';

export interface CachePinsOptions {
  readonly space: CacheSpace;
  readonly index: CacheIndex;
  readonly loader: IndexLoader;
  readonly freeSpace: FreeSpace;
  /** False: the directory cannot be written. */
  readonly isUsable: boolean;
  /** Runs `act`, and logs its failure. */
  safely<T>(what: string, key: string, act: () => T): T | undefined;
}

/** The pinned revisions: outside of the cache's limit, and never evicted. The index remembers them, so that they survive a remount. */
export class CachePins {
  readonly #options: CachePinsOptions;

  constructor(options: CachePinsOptions) {
    this.#options = options;
  }

  has(key: string): boolean {
    this.#options.loader.ensure(key);
    return this.#options.space.isPinned(key);
  }

  /** The pinned revisions. Those of earlier mounts are missing until they are counted. */
  keys(): string[] {
    return this.#options.space.pinnedKeys();
  }

  /** From now on nothing of the revision is evicted. This does not fetch its missing blocks. */
  add(key: string, size: number): void {
    const { space, index, loader, safely } = this.#options;
    loader.ensure(key);
    if (space.isPinned(key)) return;
    space.pin(key, blockCount(size));
    safely('pin', key, () => index.pin(key, 1));
  }

  /** The revision counts against the limit again. Segments of it that do not fit are evicted. */
  remove(key: string): void {
    const { space, index, loader, safely } = this.#options;
    loader.ensure(key);
    if (!space.isPinned(key)) return;
    // Whether the revision fits is known only when all is counted.
    loader.finish();
    safely('unpin', key, () => index.pin(key, 0));
    space.unpin(key);
  }

  /** Bytes that the disk can still take for pinned contents, if all other counted blocks are evicted. 0 if nothing can be cached. */
  room(): number {
    const { space, freeSpace, isUsable, safely } = this.#options;
    if (!isUsable) return 0;
    return safely('look at the disk', '', () => Math.max(0, freeSpace.free() + space.bytes)) ?? 0;
  }
}
