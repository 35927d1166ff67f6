/**
 * Questions that many want answered, none by an answer older than his asking: who comes while one is under way shares
 * the next, as writers share a group commit. So there are at most two of a key, one running and one waiting.
 */
import { ProviderError } from '../../errors.js';
import { orAborted } from '../../or-aborted.js';

interface Waiting {
  readonly answer: Promise<void>;
  sharers: number;
}

export class SingleFlight {
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Waiting>();

  /**
   * Rejects as `put` does, which begins after this call. It is for all who share it, so it is given no signal: who gives
   * up leaves them to it. Where one that runs fails, so do those who wait: they have waited for as long as one may.
   */
  async share(key: string, put: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    const running = this.#running.get(key);
    if (running === undefined) return await orAborted(this.#begin(key, put), signal);
    let waiting = this.#waiting.get(key);
    if (waiting === undefined) {
      waiting = { answer: this.#beginAfter(running, key, put), sharers: 0 };
      this.#waiting.set(key, waiting);
    }
    waiting.sharers++;
    try {
      await orAborted(waiting.answer, signal);
    } finally {
      waiting.sharers--;
    }
  }

  #begin(key: string, put: () => Promise<void>): Promise<void> {
    const running = put().finally(() => {
      // Else the waiting one takes its place, with nobody in between.
      if (!this.#waiting.has(key)) this.#running.delete(key);
    });
    this.#running.set(key, running);
    return running;
  }

  async #beginAfter(running: Promise<void>, key: string, put: () => Promise<void>): Promise<void> {
    const failed = await running.then(
      () => null,
      (error: unknown) => ({ error }),
    );
    const sharers = this.#waiting.get(key)?.sharers;
    this.#waiting.delete(key);
    this.#running.delete(key);
    if (failed !== null) throw failed.error;
    if (sharers === 0) throw new ProviderError('aborted', 'cancelled: nobody asks any more', { data: {} });
    return await this.#begin(key, put);
  }
}
