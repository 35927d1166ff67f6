import pLimit from 'p-limit';

/** The places of `--transfers`: at most so many contents are sent at a time. The others wait in the order of their arrival. */
export class TransferPlaces {
  readonly #places: ReturnType<typeof pLimit>;

  /** null: no limit. */
  constructor(transfers: number | null) {
    this.#places = pLimit(transfers ?? Number.POSITIVE_INFINITY);
  }

  resize(transfers: number | null): void {
    this.#places.concurrency = transfers ?? Number.POSITIVE_INFINITY;
  }

  /** Calls `send` when there is a place. Rejects with the signal's reason if it aborts before that. */
  async during<T>(signal: AbortSignal, send: () => Promise<T>): Promise<T> {
    let hasBegun = false;
    let leave: () => void = () => {};
    const left = new Promise<never>((_, reject) => {
      leave = () => {
        if (!hasBegun) reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
    });
    const sent = this.#places(() => {
      signal.throwIfAborted();
      hasBegun = true;
      return send();
    });
    try {
      return await Promise.race([sent, left]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }
}
