/**
 * How a directory is served, as a pure decision.
 *
 * - `serve`: from the stored listing.
 * - `serve-and-refresh`: from the stored listing; ask the provider in the background. So a remount answers at once.
 * - `refresh`: ask the provider first. If it does not answer in time, the stored listing is the fallback.
 */
import { listedWithoutMetadata } from './inode.js';

export type Freshness = 'serve' | 'serve-and-refresh' | 'refresh';

export interface ListingAge {
  /** ms; null: never listed; `listedWithoutMetadata`: must not be served yet. */
  readonly listedAt: number | null;
  readonly now: number;
  /** How long a listing is served without a request, ms. */
  readonly ttl: number;
  /** The start of this mount, ms: an older listing is from an earlier mount. */
  readonly mountedAt: number;
}

export function freshnessOf({ listedAt, now, ttl, mountedAt }: ListingAge): Freshness {
  if (listedAt === null || listedAt === listedWithoutMetadata) return 'refresh';
  // The clock was set back: without this test the listing would be served for longer than its ttl.
  if (listedAt > now) return 'refresh';
  if (now - listedAt < ttl) return 'serve';
  return listedAt < mountedAt ? 'serve-and-refresh' : 'refresh';
}

/**
 * Detects that a program walks the tree (`find`, `ls -R`, `rsync`), so that its next directories can be listed ahead.
 *
 * Two directories of one parent, listed one after the other, are a walk. A single `ls` is none and costs no extra request.
 */
export class WalkDetector {
  #parent: number | null = null;
  #last: number | null = null;
  #at = Number.NEGATIVE_INFINITY;

  /** Call when a program lists `ino`. True if it will probably list the siblings next. `withinMs`: the longest pause within a walk. */
  listed(ino: number, parent: number | null, now: number, withinMs = 5000): boolean {
    const walking = parent !== null && parent === this.#parent && ino !== this.#last && now - this.#at <= withinMs;
    this.#parent = parent;
    this.#last = ino;
    this.#at = now;
    return walking;
  }
}
