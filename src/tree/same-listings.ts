import type { LRUCache } from 'lru-cache';
import { lruOf } from '../base/lru.js';
import type { ListingMemory } from '../providers/provider.js';
import type { Ino } from './inode.js';

/** The number of directories that are remembered: about 400 bytes each, and 40 more for each further page. */
const MAX_DIRECTORIES = 16_384;

/**
 * Remembers merged answers while the rows of their directories are as the merge left them: then merging the same answer again would change
 * nothing.
 */
export class SameListings {
  readonly #known: LRUCache<Ino, ListingMemory>;
  readonly #unchanged: Set<Ino>;

  /** `unchanged`: `DirectoryWatches.unchanged`. */
  constructor(unchanged: Set<Ino>) {
    this.#unchanged = unchanged;
    this.#known = lruOf(MAX_DIRECTORIES, (_, directory) => unchanged.delete(directory));
  }

  /** Call before anything can change in the directory after the merge. */
  remember(directory: Ino, memory: ListingMemory): void {
    this.#known.set(directory, memory);
    this.#unchanged.add(directory);
  }

  /** The answer that was merged last; null if none is known, or the directory has changed since. */
  of(directory: Ino): ListingMemory | null {
    const known = this.#known.get(directory);
    if (known === undefined || this.#unchanged.has(directory)) return known ?? null;
    this.#known.delete(directory);
    return null;
  }
}
