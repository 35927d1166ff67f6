/**
 * The time of a change, by a hybrid logical clock: the wall clock in ms, a counter for changes within one of its ms, and the
 * machine. Invariant: what a machine writes is later than all that it has seen, however wrong the clocks are. So a change that
 * was made in knowledge of another one wins over it, and for changes that knew nothing of each other the wall clock decides.
 */

export interface LogicalTime {
  /** ms since the epoch, by the latest clock that took part. */
  readonly wall: number;
  /** Changes within that ms. */
  readonly counter: number;
  /** The machine that made the change: settles a draw, the same way for every reader. */
  readonly machine: string;
}

/** Before every change. */
export const noTime: LogicalTime = { wall: 0, counter: 0, machine: '' };

/** Negative where `a` is earlier, positive where it is later, 0 for the same change. */
export function compareTimes(a: LogicalTime, b: LogicalTime): number {
  if (a.wall !== b.wall) return a.wall - b.wall;
  if (a.counter !== b.counter) return a.counter - b.counter;
  return a.machine === b.machine ? 0 : a.machine < b.machine ? -1 : 1;
}

export function laterOf(a: LogicalTime, b: LogicalTime): LogicalTime {
  return compareTimes(a, b) >= 0 ? a : b;
}

/** The time of a change that `machine` makes at `now` (ms) after it has seen `last`. Later than `last`. */
export function timeAfter(last: LogicalTime, now: number, machine: string): LogicalTime {
  if (now > last.wall) return { wall: Math.floor(now), counter: 0, machine };
  return { wall: last.wall, counter: last.counter + 1, machine };
}
