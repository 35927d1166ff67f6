/** Ends a mount on a signal. */
import { codeOf, messageOf } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { DrainProgress } from '../../mount/control/status.js';

/** The mount that ends: a `Session`. */
export interface Ending {
  unmount(progress: (left: DrainProgress) => void): Promise<unknown>;
  forceUnmount(): Promise<unknown>;
}

export interface EndingOptions {
  readonly log: Log;
  /** ms; null: as long as it takes. */
  readonly stopTimeout: number | null;
  /** Nobody waits at a terminal, so the end does not wait for a service that does not answer. */
  readonly isUnattended: boolean;
  readonly onStopping: () => void;
  readonly complain: (message: string) => void;
}

/** If a service has not answered for this long after the signal, the mount stops waiting for it: an offline laptop is shutting down. ms. */
export const OUTAGE_PATIENCE_MS = 10_000;

/** Pause before another try to unmount a busy mount, while there is time left, ms. */
const BUSY_RETRY_MS = 500;

/**
 * Returns the function to call for a signal. The first call drains and unmounts; the second leaves pending contents for the next mount.
 * With `stopTimeout`, a busy mount is tried again until that time, and its end counts as the second signal. If nobody is there to send one,
 * an outage of `OUTAGE_PATIENCE_MS` counts as the second signal too.
 */
export function endOnSignal(
  session: Ending,
  { log, stopTimeout, isUnattended, onStopping, complain }: EndingOptions,
): () => void {
  let signals = 0;
  const outage = new OutageWatch();
  const giveUpOnOutage = ({ outage: reason }: DrainProgress): void => {
    if (!isUnattended || !outage.isLong(reason !== undefined, performance.now()) || signals !== 1) return;
    signals++;
    log.warn({ reason }, 'the service does not answer; what is not stored waits for the next mount');
    force();
  };
  const force = (): void => {
    void session.forceUnmount().catch((error) => log.error({ error }, 'unmount'));
  };
  const unmount = (until: number | null): void => {
    session.unmount(giveUpOnOutage).catch((error) => {
      if (until === null) {
        log.error({ error }, 'cannot unmount; another signal does it by force');
        complain(`${messageOf(error)}; another signal unmounts by force`);
      } else if (codeOf(error) === 'busy' && signals === 1 && performance.now() + BUSY_RETRY_MS < until)
        setTimeout(() => signals === 1 && unmount(until), BUSY_RETRY_MS);
      else log.warn({ error }, 'cannot unmount yet');
    });
  };
  return () => {
    signals++;
    if (signals > 1) return force();
    onStopping();
    if (stopTimeout !== null) {
      const late = setTimeout(() => {
        signals++;
        log.warn({ stopTimeout }, 'the time to stop is over; what is not stored waits for the next mount');
        force();
      }, stopTimeout);
      late.unref();
    }
    unmount(stopTimeout === null ? null : performance.now() + stopTimeout);
  };
}

/** Tracks whether the service answers while a mount ends. */
export class OutageWatch {
  #since: number | null = null;

  /** Whether the service has been out for `OUTAGE_PATIENCE_MS` over the calls so far. `now` in ms. */
  isLong(isOut: boolean, now: number): boolean {
    this.#since = isOut ? (this.#since ?? now) : null;
    return this.#since !== null && now - this.#since >= OUTAGE_PATIENCE_MS;
  }
}
