import { setPriority } from 'node:os';

/**
 * Threads that move bytes give way to the event loop, which programs wait for. Enough that the scheduler prefers the loop, not so much
 * that other programs of the machine starve the transfers.
 */
const NICENESS = 5;

/** Lowers the priority of the calling thread: Linux takes 0 for it, not for the process (setpriority(2), "C library/kernel differences"). */
export function lowerPriority(): void {
  if (process.platform === 'linux') setPriority(0, NICENESS);
}
