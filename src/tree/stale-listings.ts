/**
 * Revalidates listings of an earlier mount, which are served at once, in the background. It waits until programs are quiet, because else a
 * walk over the tree would wait behind the answers for all of them.
 */
import { type Clock, SteadyTime } from '../base/clock.js';
import type { Ino } from './inode.js';
import { LISTINGS_AHEAD } from './walk-ahead.js';

/** Programs are quiet if none has looked at a directory for this long, ms. */
const QUIET_MS = 200;
/** Programs do not walk if none has come to another stale listing for this long, ms: they look at the same directories again. */
const NO_WALK_MS = 2000;
/** A walk delays a revalidation by at most the ttl, or by this if the ttl is shorter, ms. */
const MIN_DELAY_MS = 2000;

export interface StaleListingsOptions {
  readonly clock: Clock;
  /** How long a listing is served without a request, ms. */
  readonly ttl: number;
  readonly closing: AbortSignal;
  /** Lists a directory again. Never rejects. */
  readonly revalidate: (directory: Ino) => Promise<void>;
}

export class StaleListings {
  readonly #o: StaleListingsOptions;
  readonly #time: SteadyTime;
  /** Directories with a served stale listing, and the first time of that, by `#time`. */
  readonly #served = new Map<Ino, number>();
  /** The time when a program last looked at a directory, by `#time`. */
  #lastUsedAt = 0;
  /** The time when a directory was last added to `#served`, by `#time`. */
  #lastFoundAt = 0;
  #revalidating: Promise<void> | null = null;

  constructor(options: StaleListingsOptions) {
    this.#o = options;
    this.#time = new SteadyTime(options.clock);
  }

  /** Notes that a program looks at a directory. */
  used(): void {
    if (this.#served.size > 0) this.#lastUsedAt = this.#time.now();
  }

  /** Notes that a stale listing was served, and schedules its revalidation. */
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
      // As many as can be in flight. The others wait for the next quiet moment.
      const batch = [...this.#served.keys()].slice(0, LISTINGS_AHEAD);
      for (const directory of batch) this.#served.delete(directory);
      await Promise.all(batch.map(revalidate));
    }
  }

  /** Waits until programs are quiet. False if the mount ends before. */
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
