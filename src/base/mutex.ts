/** Runs one act at a time, in the order of the calls. */
export class Mutex {
  #tail: Promise<void> = Promise.resolve();
  #count = 0;

  /** Rejects with the signal's reason where it aborts before the turn has come. */
  run<T>(act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#count++;
    let hasBegun = false;
    const turn = this.#tail.then(() => {
      signal?.throwIfAborted();
      hasBegun = true;
      return act();
    });
    this.#tail = turn.then(this.#leave, this.#leave);
    if (signal === undefined) return turn;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        if (!hasBegun) reject(signal.reason);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      if (signal.aborted) giveUp();
      turn.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
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
