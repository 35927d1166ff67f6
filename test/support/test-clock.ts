import { type Clock, systemClock } from '../../src/base/clock.js';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it. */
export class TestClock implements Clock {
  #now = Date.UTC(2026, 0, 2, 3, 4, 5);
  /** By how much a person has set the clock in total, ms. */
  #set = 0;
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#now + this.#set;
  }

  monotonic(): number {
    return this.#now;
  }

  /** A person sets the clock forward, or back. Sleepers do not notice. */
  set(ms: number): void {
    this.#set += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        at: this.#now + ms,
        wake: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Moves the time on, and wakes the sleepers whose time has come. */
  advance(ms: number): void {
    this.#now += ms;
    for (const sleeper of [...this.#sleepers].sort((a, b) => a.at - b.at)) {
      if (sleeper.at > this.#now) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  get sleepers(): number {
    return this.#sleepers.size;
  }
}

/** Sleeps like the machine's clock, but always tells the same time, so that no limit in seconds is passed on a slow machine. */
export const stoppedClock: Clock = { ...systemClock, now: () => 0, monotonic: () => 0 };
