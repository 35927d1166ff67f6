import { LRUCache } from 'lru-cache';
import type { ListingMemory } from '../providers/provider.js';
import type { DirectoryWatch } from './directory-watches.js';
import type { Ino } from './inode.js';
import type { InodeTable } from './inode-table.js';

/** Directories remembered: about 600 bytes each. */
const MAX_DIRECTORIES = 16_384;

interface Known {
  readonly memory: ListingMemory;
  readonly watch: DirectoryWatch;
}

/**
 * Remembers the answers that were merged, as long as the rows of their directories are as the merge has left them: to merge the same answer
 * again would change nothing.
 */
export class SameListings {
  readonly #known: LRUCache<Ino, Known>;

  constructor(table: InodeTable) {
    this.#known = new LRUCache({
      max: MAX_DIRECTORIES,
      dispose: ({ watch }, directory) => table.unwatch(directory, watch),
    });
  }

  /** `watch` has seen the directory since the end of the merge; it belongs to this object from now on. */
  remember(directory: Ino, memory: ListingMemory, watch: DirectoryWatch): void {
    this.#known.set(directory, { memory, watch });
  }

  /** Null where no answer is known, or something has changed since. */
  of(directory: Ino): ListingMemory | null {
    const known = this.#known.get(directory);
    if (known === undefined) return null;
    if (known.watch.inos.size === 0) return known.memory;
    this.#known.delete(directory);
    return null;
  }
}
