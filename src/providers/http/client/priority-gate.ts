import { Fifo } from '../../../base/fifo.js';
import type { Priority } from '../../provider.js';

interface Waiter {
  readonly start: () => void;
}

/**
 * Limits how many requests run at once against one host: a semaphore with two priorities. Foreground work goes first,
 * and background work never takes the last quarter of the slots, so that a person's `ls` does not wait behind a crawl.
 *
 * Our own rather than p-limit: that has one first-in-first-out queue and no way to leave it on abort.
 */
export class PriorityGate {
  readonly #limit: number;
  readonly #backgroundLimit: number;
  readonly #foreground = new Fifo<Waiter, Waiter>();
  readonly #background = new Fifo<Waiter, Waiter>();
  #running = 0;

  constructor(limit: number) {
    this.#limit = Math.max(1, limit);
    this.#backgroundLimit = Math.max(1, Math.ceil((this.#limit * 3) / 4));
  }

  /** Resolves when a slot is free, with the function that releases it. Rejects with the signal's reason. */
  async acquire(priority: Priority, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    const queue = priority === 'foreground' ? this.#foreground : this.#background;
    const limit = priority === 'foreground' ? this.#limit : this.#backgroundLimit;
    if (this.#running < limit && queue.size === 0) this.#running += 1;
    else await this.#wait(queue, signal);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#running -= 1;
      this.#admit();
    };
  }

  #wait(queue: Fifo<Waiter, Waiter>, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        queue.delete(waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        start: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      queue.set(waiter, waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #admit(): void {
    while (this.#running < this.#limit) {
      const queue =
        this.#foreground.size > 0
          ? this.#foreground
          : this.#running < this.#backgroundLimit
            ? this.#background
            : undefined;
      const next = queue?.first;
      if (queue === undefined || next === undefined) return;
      queue.delete(next);
      this.#running += 1;
      next.start();
    }
  }
}
