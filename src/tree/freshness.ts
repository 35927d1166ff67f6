/**
 * When a directory's listing may be served, as a pure decision.
 *
 * - `serve`: as it is.
 * - `serve-and-refresh`: as it is, and ask the provider in the background. So a remount answers at once.
 * - `refresh`: ask first; a listing that exists is the fallback when the provider does not answer in time.
 */
export type Freshness = 'serve' | 'serve-and-refresh' | 'refresh';

export interface ListingAge {
  /** ms; null: never listed. */
  readonly listedAt: number | null;
  readonly now: number;
  /** How long a listing counts as the truth, ms. */
  readonly ttl: number;
  /** When this mount began, ms: an older listing is an earlier mount's. */
  readonly mountedAt: number;
}

export function freshnessOf({ listedAt, now, ttl, mountedAt }: ListingAge): Freshness {
  if (listedAt === null) return 'refresh';
  // A clock set back makes a listing look younger than nothing: it is not to be trusted for longer than its ttl.
  if (listedAt > now) return 'refresh';
  if (now - listedAt < ttl) return 'serve';
  return listedAt < mountedAt ? 'serve-and-refresh' : 'refresh';
}

/**
 * Somebody walks the tree (`find`, `ls -R`, `rsync`): which siblings are worth listing before they are asked for.
 *
 * Two directories of one parent listed one after the other are a walk; a single `ls` is not, and costs nothing extra.
 */
export class WalkDetector {
  #parent: number | null = null;
  #last: number | null = null;
  #at = Number.NEGATIVE_INFINITY;

  /** Call when a program lists `ino`. True when its siblings will be next. `withinMs`: how quick a walk is. */
  listed(ino: number, parent: number | null, now: number, withinMs = 5000): boolean {
    const walking = parent !== null && parent === this.#parent && ino !== this.#last && now - this.#at <= withinMs;
    this.#parent = parent;
    this.#last = ino;
    this.#at = now;
    return walking;
  }
}
