/** One deadline for what takes several requests. */

/** An answer that came sooner, ms, was not waited for. */
const noWait = 1000;

/**
 * What the requests of one operation have waited so far: those that follow have only the rest of the deadline. The time in
 * which bytes of a content move is no waiting, and what several wait at the same time counts once.
 */
export class Patience {
  #spentMs = 0;
  /** Up to here it is counted. */
  #until = Number.NEGATIVE_INFINITY;

  get spentMs(): number {
    return this.#spentMs;
  }

  /** Somebody waited for an answer, ms since the epoch. Many quick answers are progress, not waiting. */
  spend(from: number, to: number): void {
    if (to - from < noWait) return;
    this.#spentMs += Math.max(0, to - Math.max(from, this.#until));
    this.#until = Math.max(to, this.#until);
  }
}
