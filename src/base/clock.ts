/** Time as the program sees it. Tests pass one that they can move; nothing else asks `Date` or `setTimeout` for a policy decision. */
export interface Clock {
  /** Milliseconds since the epoch. A person may set it, forward and back. */
  now(): number;
  /** Milliseconds since some moment, which nobody sets, and which may stand still while the machine sleeps. Absent: as `now`. */
  readonly monotonic?: (() => number) | undefined;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
};

/**
 * Time for what lasts a while: how old something is, until when to wait. Milliseconds since the epoch at first. It goes on
 * while the clock is set back, and follows it forward, as after a sleep of the machine: a wait may end early, and always ends.
 */
export class SteadyTime {
  readonly #clock: Clock;
  #at: number;
  #ticks: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = clock.now();
    this.#ticks = this.#read();
  }

  now(): number {
    const ticks = this.#read();
    this.#at = Math.max(this.#at + Math.max(0, ticks - this.#ticks), this.#clock.now());
    this.#ticks = ticks;
    return this.#at;
  }

  /** The date of a moment of this time, ms since the epoch by the clock as it is set now. */
  dateOf(moment: number): number {
    const off = this.now() - this.#clock.now();
    // Both run at their own pace: a difference that nobody sees is none.
    return Math.round(off < 1000 ? moment : moment - off);
  }

  #read(): number {
    return this.#clock.monotonic?.() ?? this.#clock.now();
  }
}
