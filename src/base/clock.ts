/** The program's clock. Tests pass one that they can move, so policy decisions never use `Date` or `setTimeout` instead. */
export interface Clock {
  /** Milliseconds since the epoch. The user may set this clock forward and back. */
  now(): number;
  /** Milliseconds since some fixed moment. Nobody can set this clock, but it may stop while the machine sleeps. Absent: as `now`. */
  readonly monotonic?: (() => number) | undefined;
  /** Resolves after `ms` milliseconds. Rejects with the signal's reason if that aborts first. */
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
 * Time for ages and deadlines. It begins as milliseconds since the epoch. Invariant: it never runs backward. It ignores a clock
 * that is set back, and follows one that jumps forward, as after a sleep of the machine: a wait may end early, but always ends.
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
    // The two clocks drift apart a little: a difference below a second is ignored.
    return Math.round(off < 1000 ? moment : moment - off);
  }

  #read(): number {
    return this.#clock.monotonic?.() ?? this.#clock.now();
  }
}

const steadyTimes = new WeakMap<Clock, SteadyTime>();

/** The one `SteadyTime` of a clock: for moments that several parts of the program compare, such as deadlines. */
export function steadyTimeOf(clock: Clock): SteadyTime {
  let time = steadyTimes.get(clock);
  if (time === undefined) {
    time = new SteadyTime(clock);
    steadyTimes.set(clock, time);
  }
  return time;
}
