/**
 * Listings of an earlier mount are served at once, and revalidated in the background. This decides when: once programs are quiet, else a
 * walk over the tree would wait behind the answers to all of them.
 */
import { type Clock, SteadyTime } from '../base/clock.js';
import type { Ino } from './inode.js';
import { LISTINGS_AHEAD } from './walk-ahead.js';

/** No program has looked at a directory for so long: it is quiet, ms. */
const QUIET_MS = 200;
/** Programs that come to no other stale listing for so long do not walk: they look at the same directories again and again, ms. */
const NO_WALK_MS = 2000;
/** A walk delays a revalidation by at most the ttl, or by this where the ttl is shorter, ms. */
const MIN_DELAY_MS = 2000;

export interface StaleListingsOptions {
  readonly clock: Clock;
  /** How long a listing is served without a request, ms. */
  readonly ttl: number;
  readonly closing: AbortSignal;
  /** Lists a directory again. Rejects never. */
  readonly revalidate: (directory: Ino) => Promise<void>;
}

export class StaleListings {
  readonly #o: StaleListingsOptions;
  readonly #time: SteadyTime;
  /** Directories that were served, and when that was first, by `#time`. */
  readonly #served = new Map<Ino, number>();
  /** When a program last looked at a directory, by `#time`. */
  #lastUsedAt = 0;
  /** When a stale listing was last served that was not waiting already, by `#time`. */
  #lastFoundAt = 0;
  #revalidating: Promise<void> | null = null;

  constructor(options: StaleListingsOptions) {
    this.#o = options;
    this.#time = new SteadyTime(options.clock);
  }

  /** A program looks at a directory. */
  used(): void {
    if (this.#served.size > 0) this.#lastUsedAt = this.#time.now();
  }

  /** A stale listing was served. */
  served(directory: Ino): void {
    this.#lastUsedAt = this.#time.now();
    if (!this.#served.has(directory)) {
      this.#served.set(directory, this.#lastUsedAt);
      this.#lastFoundAt = this.#lastUsedAt;
    }
    this.#revalidating ??= this.#revalidateAll().finally(() => {
      this.#revalidating = null;
    });
  }

  async #revalidateAll(): Promise<void> {
    const { closing, revalidate } = this.#o;
    while (this.#served.size > 0 && !closing.aborted) {
      const [[, servedAt] = [0, 0]] = this.#served;
      if (!(await this.#untilQuiet(servedAt))) return;
      // No more than can be under way: what comes after them waits for the next pause.
      const batch = [...this.#served.keys()].slice(0, LISTINGS_AHEAD);
      for (const directory of batch) this.#served.delete(directory);
      await Promise.all(batch.map(revalidate));
    }
  }

  /** False where the mount ends before. */
  async #untilQuiet(servedAt: number): Promise<boolean> {
    const { clock, ttl, closing } = this.#o;
    const latest = servedAt + Math.max(ttl, MIN_DELAY_MS);
    try {
      do await clock.sleep(QUIET_MS, closing);
      while (this.#time.now() < latest && this.#isWalked());
      return true;
    } catch {
      return false;
    }
  }

  #isWalked(): boolean {
    const now = this.#time.now();
    return now - this.#lastUsedAt < QUIET_MS && now - this.#lastFoundAt < NO_WALK_MS;
  }
}
