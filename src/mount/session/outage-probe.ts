/**
 * A mount that nobody uses sends no request, and would tell of an outage long after its end. While there is one, this asks the service by
 * itself, more and more seldom.
 */
import type { Clock } from '../../base/clock.js';

/** How often it is looked whether there is an outage, and how soon after that the service is asked first, ms. */
const FIRST_MS = 5_000;
/** A service may count the requests of an hour, and answer them all with an error, ms. */
const LONGEST_MS = 300_000;

export interface OutageProbe {
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Since when the service has not answered, ms since 1970; null: it answered the last request. */
  readonly outageSince: () => number | null;
  /** Sends a request whose answer ends the outage. Rejects where there is none. */
  readonly ask: () => Promise<unknown>;
}

/** Resolves when `signal` aborts. */
export async function probeOutages({ clock, signal, outageSince, ask }: OutageProbe): Promise<void> {
  let pause = FIRST_MS;
  while (!signal.aborted) {
    await clock.sleep(pause, signal).catch(() => undefined);
    if (signal.aborted) return;
    const isOut = outageSince() !== null;
    // What it rejects with is counted as an outage already, and shown as one.
    if (isOut) await ask().catch(() => undefined);
    pause = isOut && outageSince() !== null ? Math.min(2 * pause, LONGEST_MS) : FIRST_MS;
  }
}
