/** One deadline for an operation that takes several requests. */

/** An answer that arrives within this time, ms, does not count as waiting. */
const noWait = 1000;

/**
 * How long the requests of one operation have waited so far. The requests that follow have only the rest of the deadline.
 * Time in which bytes of a content move does not count, and time in which several requests wait counts once (a lower bound:
 * of two waits that overlap, only what comes after the end of the one that was charged first is added).
 */
export class WaitBudget {
  #spentMs = 0;
  /** Time up to here is counted already, ms since the epoch. */
  #until = Number.NEGATIVE_INFINITY;

  get spentMs(): number {
    return this.#spentMs;
  }

  /** Charges one wait for an answer (ms since the epoch). Short waits are not charged: many quick answers are progress. */
  spend(from: number, to: number): void {
    if (to - from < noWait) return;
    this.#spentMs += Math.max(0, to - Math.max(from, this.#until));
    this.#until = Math.max(to, this.#until);
  }
}
