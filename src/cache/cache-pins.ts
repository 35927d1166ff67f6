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

/** Which revisions are pinned: outside of the cache's limit, and never evicted. The index remembers it, so that a mount begins with it. */
export class CachePins {
  readonly #options: CachePinsOptions;

  constructor(options: CachePinsOptions) {
    this.#options = options;
  }

  has(key: string): boolean {
    this.#options.loader.ensure(key);
    return this.#options.space.isPinned(key);
  }

  /** The pinned revisions; those of earlier mounts as far as they are counted. */
  keys(): string[] {
    return this.#options.space.pinnedKeys();
  }

  /** From now on nothing of the revision is evicted. What is missing of it is not fetched by this. */
  add(key: string, size: number): void {
    const { space, index, loader, safely } = this.#options;
    loader.ensure(key);
    if (space.isPinned(key)) return;
    space.pin(key, blockCount(size));
    safely('pin', key, () => index.pin(key, 1));
  }

  /** The revision is like any other again. What does not fit into the limit is evicted. */
  remove(key: string): void {
    const { space, index, loader, safely } = this.#options;
    loader.ensure(key);
    if (!space.isPinned(key)) return;
    // Only then it is known whether it fits.
    loader.finish();
    safely('unpin', key, () => index.pin(key, 0));
    space.unpin(key);
  }

  /** Bytes that the disk can still take for pinned contents, if all other blocks that are counted go. 0 where nothing can be cached. */
  room(): number {
    const { space, freeSpace, isUsable, safely } = this.#options;
    if (!isUsable) return 0;
    return safely('look at the disk', '', () => Math.max(0, freeSpace.free() + space.bytes)) ?? 0;
  }
}
