/**
 * An idle mount sends no requests, so it would report an outage long after its end. During an outage this probe asks the service, at
 * growing intervals.
 */
import type { Clock } from '../../base/clock.js';

/** How often the probe checks for an outage, and the pause before its first request, ms. */
const FIRST_MS = 5_000;
/** The longest pause, ms. A service may count the requests of an hour even if it answers them with an error. */
const LONGEST_MS = 300_000;

export interface OutageProbe {
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Since when the service has not answered, ms since 1970; null: it answered the last request. */
  readonly outageSince: () => number | null;
  /** Sends a request whose answer ends the outage. Rejects without an answer. */
  readonly ask: () => Promise<unknown>;
}

/** Resolves when `signal` aborts. */
export async function probeOutages({ clock, signal, outageSince, ask }: OutageProbe): Promise<void> {
  let pause = FIRST_MS;
  while (!signal.aborted) {
    await clock.sleep(pause, signal).catch(() => undefined);
    if (signal.aborted) return;
    const isOut = outageSince() !== null;
    // The error is already counted and shown as an outage.
    if (isOut) await ask().catch(() => undefined);
    pause = isOut && outageSince() !== null ? Math.min(2 * pause, LONGEST_MS) : FIRST_MS;
  }
}
