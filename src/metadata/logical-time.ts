/**
 * The time of a change, by a hybrid logical clock: the wall clock in ms, a counter for changes within one ms, and the machine.
 * Invariant: a machine's change is later than all changes that the machine has read before, however wrong the clocks are. So a change
 * wins over every change that its machine knew. Between two changes that did not know each other, the wall clock decides.
 */

export interface LogicalTime {
  /** ms since the epoch, by the latest of the clocks that this machine knows of. */
  readonly wall: number;
  /** Changes within that ms. */
  readonly counter: number;
  /** The machine that made the change. It settles a draw, in the same way for every reader. */
  readonly machine: string;
}

/** A time before every change. */
export const noTime: LogicalTime = { wall: 0, counter: 0, machine: '' };

/** Negative if `a` is earlier, positive if it is later, 0 for the same change. */
export function compareTimes(a: LogicalTime, b: LogicalTime): number {
  if (a.wall !== b.wall) return a.wall - b.wall;
  if (a.counter !== b.counter) return a.counter - b.counter;
  return a.machine === b.machine ? 0 : a.machine < b.machine ? -1 : 1;
}

export function laterOf(a: LogicalTime, b: LogicalTime): LogicalTime {
  return compareTimes(a, b) >= 0 ? a : b;
}

/** The time, later than `last`, of a change that `machine` makes at `now` (ms). `last`: the latest time that it has seen. */
export function timeAfter(last: LogicalTime, now: number, machine: string): LogicalTime {
  if (now > last.wall) return { wall: Math.floor(now), counter: 0, machine };
  return { wall: last.wall, counter: last.counter + 1, machine };
}
