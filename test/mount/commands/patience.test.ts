/** A command gives up if the service has not answered for the time of its patience, and not earlier. */
import { expect, it } from 'vitest';
import { withPatience } from '../../../src/mount/session/patience.js';
import type { RequestMetrics } from '../../../src/providers/request-metrics.js';
import { TestClock } from '../../support/test-clock.js';

const outage = { since: 0, error: 'no connection (ECONNREFUSED)' };

function bench() {
  const clock = new TestClock();
  let answers = true;
  const metrics = (): RequestMetrics =>
    ({ total: 0, byRoute: {}, outcomes: {}, rateLimit: null, outage: answers ? null : outage }) as RequestMetrics;
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1000);
      await new Promise((turn) => setImmediate(turn));
    }
  };
  return {
    service: { provider: { name: '4shared' as const, metrics }, clock },
    clock,
    pass,
    set: (does: boolean) => (answers = does),
  };
}

it('gives up a service that does not answer, and tells the work', async () => {
  const { service, clock, pass, set } = bench();
  set(false);
  let isTold = false;
  const work = (signal: AbortSignal): Promise<never> =>
    new Promise(() => signal.addEventListener('abort', () => (isTold = true)));
  const ending = withPatience(service, 10_000, new AbortController().signal, work).catch(
    (error: Error) => error.message,
  );
  await pass(9);
  expect(isTold).toBe(false);
  await pass(1);
  expect(await ending).toBe('4shared does not answer: no connection (ECONNREFUSED)');
  expect([isTold, clock.sleepers]).toEqual([true, 0]);
});

it('goes on as long as the service answers now and then, and ends with the command that was typed', async () => {
  const { service, clock, pass, set } = bench();
  const typed = new AbortController();
  const ending = withPatience(service, 10_000, typed.signal, () => new Promise(() => undefined)).catch(String);
  for (let round = 0; round < 3; round++) {
    set(false);
    await pass(9);
    set(true);
    await pass(1);
  }
  expect(clock.sleepers).toBe(1);
  typed.abort('Ctrl-C');
  expect([await ending, clock.sleepers]).toEqual(['Ctrl-C', 0]);
  expect(await withPatience(service, 10_000, new AbortController().signal, async () => 'done')).toBe('done');
  expect(clock.sleepers).toBe(0);
});
