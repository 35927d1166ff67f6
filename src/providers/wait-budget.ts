/** One deadline for an operation that takes several requests. */

/** An answer that arrives within this time, ms, does not count as waiting. */
const noWait = 1000;

/**
 * The time that the requests of one operation have waited so far. Later requests have only the rest of the deadline.
 * Time in which bytes of a content move does not count. Time in which several requests wait counts once. The sum is a lower
 * bound: of two overlapping waits, the one charged second adds only its part after the end of the first.
 */
export class WaitBudget {
  #spentMs = 0;
  /** The time before this moment is already counted, ms of a `SteadyTime`. */
  #until = Number.NEGATIVE_INFINITY;

  get spentMs(): number {
    return this.#spentMs;
  }

  /** Charges one wait for an answer (ms of a `SteadyTime`). Short waits are not charged: many quick answers are progress. */
  spend(from: number, to: number): void {
    if (to - from < noWait) return;
    this.#spentMs += Math.max(0, to - Math.max(from, this.#until));
    this.#until = Math.max(to, this.#until);
  }
}
