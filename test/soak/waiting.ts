/** Waiting for a mount that may hang or be dead. */
import { lifeOf } from '../../src/base/processes.js';

/** A mount takes about one second to start, and work no longer than its requests: beyond this, ms, something hangs. */
export const PATIENCE = 30_000;
/** What a killed process needs to be gone, ms. */
const DEATH_PATIENCE = 5000;

/** What was found is not what must be there. */
export class Mismatch extends Error {}

/** What does not end in time ends the run: the message says what it was. */
export async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  const late = pause(PATIENCE).then(() => {
    throw new Error(`${what} takes over ${PATIENCE / 1000} s`);
  });
  return Promise.race([work, late]);
}

export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms).unref());
}

export function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Its switch was faster.
  }
}

/** Has the process ended, or does it soon? */
export async function isGone(pid: number): Promise<boolean> {
  for (const until = Date.now() + DEATH_PATIENCE; Date.now() < until; await pause(10)) {
    if (lifeOf(pid) === 'gone') return true;
  }
  return lifeOf(pid) === 'gone';
}
