/** Runs one act at a time, in the order of the calls. */
export class Mutex {
  #tail: Promise<void> = Promise.resolve();
  #count = 0;

  /** Rejects with the signal's reason if that aborts before `act` has begun. */
  run<T>(act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#count++;
    let begun = (): void => undefined;
    const turn = this.#tail.then(() => {
      signal?.throwIfAborted();
      begun();
      return act();
    });
    this.#tail = turn.then(this.#leave, this.#leave);
    if (signal === undefined) return turn;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(signal.reason);
      // A caller may hold a hundred of these locks under one signal, so the listener is removed as soon as `act` begins.
      begun = () => signal.removeEventListener('abort', giveUp);
      if (signal.aborted) giveUp();
      else signal.addEventListener('abort', giveUp, { once: true });
      turn.then(resolve, reject);
    });
  }

  /** Does an act run or wait? */
  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Resolves when no act runs or waits. No act begins before the caller's next `await`. */
  async idle(): Promise<void> {
    while (this.#count > 0) await this.#tail;
  }

  readonly #leave = (): void => {
    this.#count--;
  };
}
