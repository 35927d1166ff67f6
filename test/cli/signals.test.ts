/** When a mount that was told to end no longer waits for a service that does not answer. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import { endOnSignal, OUTAGE_PATIENCE_MS, OutageWatch } from '../../src/cli/terminal/signals.js';
import type { DrainProgress } from '../../src/mount/control/status.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const left = (outage?: string): DrainProgress => ({ files: 1, bytes: 5, ...(outage !== undefined && { outage }) });

/** A mount with an upload that goes on for ever, in which the service is out from the given time on, ms. */
function end(isUnattended: boolean, out: { from: number; to: number }): () => number {
  let forced = 0;
  const session = {
    unmount(progress: (what: DrainProgress) => void) {
      const start = performance.now();
      setInterval(() => {
        const at = performance.now() - start;
        progress(left(at >= out.from && at < out.to ? 'no connection' : undefined));
      }, 250);
      return new Promise<never>(() => undefined);
    },
    async forceUnmount() {
      forced++;
    },
  };
  const options = { log: silentLog, stopTimeout: null, onStopping: () => undefined, complain: () => undefined };
  endOnSignal(session, { ...options, isUnattended })();
  return () => forced;
}

it('is unmounted by force, once, when the service has been out for that long', () => {
  const forced = end(true, { from: 2000, to: Number.POSITIVE_INFINITY });
  vi.advanceTimersByTime(2000 + OUTAGE_PATIENCE_MS - 250);
  expect(forced()).toBe(0);
  vi.advanceTimersByTime(5000);
  expect(forced()).toBe(1);
});

it('is waited for while the service answers now and then, and where somebody can send another signal', () => {
  const short = end(true, { from: 0, to: OUTAGE_PATIENCE_MS - 500 });
  const attended = end(false, { from: 0, to: Number.POSITIVE_INFINITY });
  vi.advanceTimersByTime(100_000);
  expect([short(), attended()]).toEqual([0, 0]);
});

it('an outage begins anew after each answer', () => {
  const watch = new OutageWatch();
  const isLong = [true, true, false, true, true].map((isOut, step) => watch.isLong(isOut, step * OUTAGE_PATIENCE_MS));
  expect(isLong).toEqual([false, true, false, false, true]);
});
