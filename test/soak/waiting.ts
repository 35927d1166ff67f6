/** Waiting for a mount that may hang or be dead. */
import { lifeOf } from '../../src/base/processes.js';

/** A mount takes about one second to start, and work no longer than its requests: beyond this, ms, something hangs. */
export const PATIENCE = 30_000;
/** The time in which a killed process is gone, ms. */
const DEATH_PATIENCE = 5000;

/** The content that was found is wrong. */
export class Mismatch extends Error {}

/** Ends the run if something does not end in time. The message says what it was. */
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
    // Its kill switch was faster.
  }
}

/** True if the process has ended, or ends soon. */
export async function isGone(pid: number): Promise<boolean> {
  for (const until = Date.now() + DEATH_PATIENCE; Date.now() < until; await pause(10)) {
    if (lifeOf(pid) === 'gone') return true;
  }
  return lifeOf(pid) === 'gone';
}
