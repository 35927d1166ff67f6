/** A service that refuses requests with 429, and never says until when, treats a crowd fairly: nobody is refused until its deadline. */
import { setImmediate } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { RateLimiter } from '../../../src/providers/http/client/rate-limit.js';
import { TestClock } from '../../support/test-clock.js';

const WINDOW_MS = 2000;
const ROUND_TRIP_MS = 50;
const STEP_MS = 10;

/** A crowd of requests to a service that takes so many in each window. Answers how often each was refused. */
async function refusals(crowd: number, taken: number): Promise<number[]> {
  const clock = new TestClock();
  const limiter = new RateLimiter(clock);
  const begun = clock.now();
  const refused = Array.from({ length: crowd }, () => 0);
  const answered = new Map<number, number>();
  const request = async (turn: number): Promise<void> => {
    for (;;) {
      await limiter.acquire('POST /', 60_000, {}, turn);
      await clock.sleep(ROUND_TRIP_MS);
      const window = Math.floor((clock.now() - begun) / WINDOW_MS);
      const before = answered.get(window) ?? 0;
      answered.set(window, before + 1);
      const isTaken = before < taken;
      limiter.observe(isTaken ? 200 : 429, {});
      limiter.release();
      if (isTaken) return;
      refused[turn] = (refused[turn] ?? 0) + 1;
      await clock.sleep(ROUND_TRIP_MS);
    }
  };
  let left = crowd;
  const all = refused.map(async () => {
    await request(limiter.takeTurn());
    left--;
  });
  while (left > 0) {
    await setImmediate();
    clock.advance(STEP_MS);
  }
  await Promise.all(all);
  return refused;
}

test.each([
  [40, 10],
  [80, 10],
  [24, 2],
])('of %i requests at once, of which %i are taken in 2 s, none is refused often', async (crowd, taken) => {
  const refused = await refusals(crowd, taken);
  // All of them come at once before anything is known: but for those that are taken, each is refused once. Later one asks first.
  expect(refused.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(2 * crowd);
  expect(Math.max(...refused)).toBeLessThanOrEqual(4);
});

test('of those that wait the oldest goes first, also after it was refused, and one goes alone at first', async () => {
  const clock = new TestClock();
  const limiter = new RateLimiter(clock);
  const sent: number[] = [];
  const turns = Array.from({ length: 4 }, () => limiter.takeTurn());
  const send = async (turn: number, priority: 'foreground' | 'background' = 'foreground'): Promise<void> => {
    await limiter.acquire('GET /', 60_000, { priority }, turn);
    sent.push(turn);
  };
  const [first = 0, second = 0, third = 0, fourth = 0] = turns;
  await send(first);
  limiter.observe(429, {});
  limiter.release();
  // They come in another order than they were made.
  const all = [send(fourth, 'background'), send(third), send(first), send(second)];
  for (const expected of [[first], [first, second, third], [first, second, third, fourth]]) {
    clock.advance(1001);
    await vi.waitFor(() => expect(sent.slice(1)).toEqual(expected));
    limiter.observe(200, {});
    limiter.release();
  }
  await Promise.all(all);
});
