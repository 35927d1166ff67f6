/** Work that several callers wait for. Invariant: it is cancelled when all of them have given up. */
export class SharedWork<T> {
  readonly done: Promise<T>;
  readonly #cancel = new AbortController();
  #waiting = 0;

  /** `start` must listen to the signal; its reason is the error that `givenUp` makes. */
  constructor(
    start: (signal: AbortSignal) => Promise<T>,
    private readonly givenUp: () => Error,
  ) {
    this.done = start(this.#cancel.signal);
    // Callers that join get the error. If none does, it must not become an unhandled rejection.
    this.done.catch(() => undefined);
  }

  /** The work ends soon without a result: a caller that wants one must start new work. */
  get isCancelled(): boolean {
    return this.#cancel.signal.aborted;
  }

  /** One more caller waits, until its `signal` aborts. Without a signal it never gives up. Settles as the work does. */
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

  /** Cancels the work, even if callers wait. */
  cancel(reason: Error): void {
    this.#cancel.abort(reason);
  }
}
