/** Counts uses of a resource, so that it is not closed while an operation is in flight. */
export class InUse {
  #count = 0;
  #waiting: (() => void)[] = [];

  async during<T>(act: () => Promise<T>): Promise<T> {
    this.#count++;
    try {
      return await act();
    } finally {
      this.#count--;
      if (this.#count === 0) for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Resolves when no use is in flight. Check `isBusy` afterwards: another use may have begun since. */
  async idle(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
