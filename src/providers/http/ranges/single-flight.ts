/**
 * Single-flight whose results are never older than the call: a caller that comes during a run shares the next run, as
 * writers share a group commit. So there are at most two runs of a key, one running and one waiting.
 */
import { ProviderError } from '../../errors.js';
import { orAborted } from '../../or-aborted.js';

/** The next run of a key. */
interface Waiting {
  readonly result: Promise<void>;
  waiters: number;
}

export class SingleFlight {
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Waiting>();

  /**
   * Waits for a run of `work` that begins after this call; rejects as it does. `work` gets no signal, because several
   * callers share it: a caller whose signal aborts leaves, and the run continues. If the current run fails, the callers
   * that wait for the next run fail too: they have waited as long as they may.
   */
  async share(key: string, work: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    const running = this.#running.get(key);
    if (running === undefined) return await orAborted(this.#begin(key, work), signal);
    let waiting = this.#waiting.get(key);
    if (waiting === undefined) {
      waiting = { result: this.#beginAfter(running, key, work), waiters: 0 };
      this.#waiting.set(key, waiting);
    }
    waiting.waiters++;
    try {
      await orAborted(waiting.result, signal);
    } finally {
      waiting.waiters--;
    }
  }

  #begin(key: string, work: () => Promise<void>): Promise<void> {
    const running = work().finally(() => {
      // If a run is waiting, it takes over the key at once, so that no caller starts a third run in between.
      if (!this.#waiting.has(key)) this.#running.delete(key);
    });
    this.#running.set(key, running);
    return running;
  }

  async #beginAfter(running: Promise<void>, key: string, work: () => Promise<void>): Promise<void> {
    const failed = await running.then(
      () => null,
      (error: unknown) => ({ error }),
    );
    const waiters = this.#waiting.get(key)?.waiters;
    this.#waiting.delete(key);
    this.#running.delete(key);
    if (failed !== null) throw failed.error;
    if (waiters === 0) throw new ProviderError('aborted', 'cancelled: nobody asks any more', { data: {} });
    return await this.#begin(key, work);
  }
}
