/** What a mount does when it is told to end. */
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';

/** The mount that ends: a `Session`. */
export interface Ending {
  unmount(progress: () => void): Promise<unknown>;
  forceUnmount(): Promise<unknown>;
}

export interface EndingOptions {
  readonly log: Log;
  /** ms; null: as long as it takes. */
  readonly stopTimeout: number | null;
  readonly onStopping: () => void;
  readonly complain: (message: string) => void;
}

/** How often a busy mount is tried again, while there is time left to wait, ms. */
const BUSY_RETRY_MS = 500;

/**
 * Answers the function to call for a signal. The first call drains and unmounts; the second leaves pending contents for the next
 * mount. With `stopTimeout` a busy mount is tried again until then, and the end of that time counts as the second signal.
 */
export function endOnSignal(session: Ending, { log, stopTimeout, onStopping, complain }: EndingOptions): () => void {
  let signals = 0;
  const force = (): void => {
    void session.forceUnmount().catch((error) => log.error({ error }, 'unmount'));
  };
  const unmount = (until: number | null): void => {
    session
      .unmount(() => undefined)
      .catch((error) => {
        if (until === null) {
          log.error({ error }, 'cannot unmount; another signal does it by force');
          complain(`${messageOf(error)}; another signal unmounts all the same`);
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
