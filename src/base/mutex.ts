/** Lets one act at a time through, in the order of the calls. */
export class Mutex {
  #tail: Promise<void> = Promise.resolve();
  #count = 0;

  run<T>(act: () => Promise<T>): Promise<T> {
    this.#count++;
    const turn = this.#tail.then(act);
    this.#tail = turn.then(this.#leave, this.#leave);
    return turn;
  }

  /** Is anybody in, or waiting? */
  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Resolves when nobody is in or waiting. What the caller does before its next `await` nobody comes between. */
  async idle(): Promise<void> {
    while (this.#count > 0) await this.#tail;
  }

  readonly #leave = (): void => {
    this.#count--;
  };
}
