/** Lookups that several callers share. */
import { describe, expect, it } from 'vitest';
import { SingleFlight } from '../../../src/providers/http/ranges/single-flight.js';
import { deferred } from '../../support/deferred.js';

describe('SingleFlight', () => {
  /** Lookups that the test answers, in the order in which they began. */
  function byHand() {
    const questions = new SingleFlight();
    const begun: ReturnType<typeof deferred>[] = [];
    const put = (): Promise<void> => {
      const one = deferred();
      begun.push(one);
      return one.promise;
    };
    const ask = (signal?: AbortSignal): Promise<string> =>
      questions.share('key', put, signal).then(
        () => 'fine',
        (error: Error & { code?: string }) => error.code ?? error.message,
      );
    return { begun, ask };
  }

  it('shares the next lookup among all callers that come while one is under way', async () => {
    const { begun, ask } = byHand();
    const first = ask();
    const later = [ask(), ask(), ask()];
    expect(begun).toHaveLength(1);
    begun[0]?.resolve();
    expect(await first).toBe('fine');
    await expect.poll(() => begun).toHaveLength(2);
    const last = ask();
    begun[1]?.reject(new Error('changed'));
    expect(await Promise.all(later)).toEqual(['changed', 'changed', 'changed']);
    // It shared the lookup that failed. Another one would have the same result.
    expect(await last).toBe('changed');
    const again = ask();
    expect(begun).toHaveLength(3);
    begun[2]?.resolve();
    expect(await again).toBe('fine');
  });

  it('continues for the other callers when one gives up, and begins no lookup without a caller', async () => {
    const { begun, ask } = byHand();
    const [a, b, c] = [new AbortController(), new AbortController(), new AbortController()];
    const asked = [ask(a.signal), ask(b.signal), ask(c.signal)];
    a.abort();
    b.abort();
    expect(await Promise.all(asked.slice(0, 2))).toEqual(['aborted', 'aborted']);
    begun[0]?.resolve();
    await expect.poll(() => begun).toHaveLength(2);
    const waiting = ask(a.signal);
    begun[1]?.resolve();
    expect([await asked[2], await waiting]).toEqual(['fine', 'aborted']);
    const fresh = ask();
    begun.at(-1)?.resolve();
    expect([await fresh, begun.length]).toEqual(['fine', 3]);
  });
});
