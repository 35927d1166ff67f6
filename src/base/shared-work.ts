/** Work that several wait for, and that is cancelled when all of them have given up. */
export class SharedWork<T> {
  readonly done: Promise<T>;
  readonly #cancel = new AbortController();
  #waiting = 0;

  /** `start` is to listen to the signal; its reason is what `givenUp` makes. */
  constructor(
    start: (signal: AbortSignal) => Promise<T>,
    private readonly givenUp: () => Error,
  ) {
    this.done = start(this.#cancel.signal);
    // Whoever joins hears of it; nobody may.
    this.done.catch(() => undefined);
  }

  /** It ends soon, without a result: who wants one begins anew. */
  get isCancelled(): boolean {
    return this.#cancel.signal.aborted;
  }

  /** One more waits, until his `signal` aborts; without one he never gives up. Resolves and rejects as the work does. */
  join(signal?: AbortSignal): Promise<T> {
    this.#waiting++;
    if (signal === undefined) return this.done;
    const leave = (): void => {
      if (--this.#waiting === 0) this.cancel(this.givenUp());
    };
    if (signal.aborted) leave();
    else {
      signal.addEventListener('abort', leave, { once: true });
      const stay = (): void => signal.removeEventListener('abort', leave);
      this.done.then(stay, stay);
    }
    return this.done;
  }

  /** Whoever waits. */
  cancel(reason: Error): void {
    this.#cancel.abort(reason);
  }
}
