import { expect, test } from 'vitest';
import { RequestCounter } from '../../../src/providers/http/client/metrics.js';
import { type FailureKind, TransportFailure, type WireResponse } from '../../../src/providers/http/transport/wire.js';
import { TestClock } from '../../support/test-clock.js';

const counted = () => {
  const clock = new TestClock();
  const counter = new RequestCounter(clock);
  const send = (isShort = true) => {
    let settle: (answer: Promise<WireResponse>) => void = () => {};
    const answered = new Promise<WireResponse>((resolve) => {
      settle = resolve;
    });
    const over = counter.follow('GET /x', isShort, answered).catch(() => undefined);
    const end = async (answer: Promise<unknown>): Promise<void> => {
      settle(answer as Promise<WireResponse>);
      await over;
    };
    return {
      answer: (status: number) => end(Promise.resolve({ status })),
      fail: (kind: FailureKind) => end(Promise.reject(new TransportFailure(kind, 'no answer', undefined))),
    };
  };
  return { clock, send, outage: () => counter.snapshot().outage };
};

test('a service that lets requests wait for 5 s counts as out since they were sent', async () => {
  const { clock, send, outage } = counted();
  const since = clock.now();
  const first = send();
  clock.advance(4_999);
  send();
  expect(outage()).toBeNull();
  clock.advance(1);
  expect(outage()).toMatchObject({ since, error: 'no answer' });
  clock.advance(25_000);
  await first.fail('stalled');
  expect(outage()).toMatchObject({ since, error: 'no answer' });
  await send().answer(200);
  // The second request waits still: since this answer.
  expect(outage()).toBeNull();
  clock.advance(5_000);
  expect(outage()).toMatchObject({ since: since + 30_000 });
});

test('neither an upload that takes long, nor a request that its caller gave up, is silence of the service', async () => {
  const { clock, send, outage } = counted();
  send(false);
  const given = send();
  clock.advance(1_000);
  await given.fail('aborted');
  clock.advance(60_000);
  expect(outage()).toBeNull();
});

test('an error of the service is an answer, but no usable one', async () => {
  const { clock, send, outage } = counted();
  await send().answer(503);
  expect(outage()).toMatchObject({ since: clock.now(), error: 'it answers with 503' });
});
