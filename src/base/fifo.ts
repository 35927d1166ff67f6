/**
 * A queue in the order of arrival, out of which any value may be taken by its key.
 *
 * It goes through its Map with one iterator. A new iterator for each look at the first value would begin with what was deleted before: V8 keeps
 * a hole for each deleted entry until three quarters of the table are holes, so that a queue of 100,000 takes a second of CPU to empty.
 */
export class Fifo<Key extends {}, Value> {
  readonly #values = new Map<Key, Value>();
  /** All keys before it are deleted, but for `#firstKey`. */
  #rest = this.#values.keys();
  #firstKey: Key | undefined;

  get size(): number {
    return this.#values.size;
  }

  /** The value that came first; undefined where there is none. */
  get first(): Value | undefined {
    if (this.#values.size === 0) return undefined;
    while (this.#firstKey === undefined) {
      const { value, done } = this.#rest.next();
      // An iterator that has come to its end does not see what is added later.
      if (done === true) this.#rest = this.#values.keys();
      this.#firstKey = value;
    }
    return this.#values.get(this.#firstKey);
  }

  /** A key that waits already keeps its place. */
  set(key: Key, value: Value): void {
    this.#values.set(key, value);
  }

  has(key: Key): boolean {
    return this.#values.has(key);
  }

  /** False: it was not there. */
  delete(key: Key): boolean {
    // It may come again, and then it comes last.
    if (key === this.#firstKey) this.#firstKey = undefined;
    return this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
    this.#firstKey = undefined;
  }
}
