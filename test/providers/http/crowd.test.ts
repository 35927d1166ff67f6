/** A service that refuses requests with 429, and never says until when, treats a crowd fairly: nobody is refused until its deadline. */
import { expect, test, vi } from 'vitest';
import type { ProviderError } from '../../../src/providers/errors.js';
import { statusMeaning } from '../../../src/providers/http/answers/status-meaning.js';
import { HttpClient } from '../../../src/providers/http/client/client.js';
import { RateLimiter } from '../../../src/providers/http/client/rate-limit.js';
import { HurriedClock } from '../../contract/bench.js';
import { TestClock } from '../../support/test-clock.js';
import { miniServer } from '../mini-server.js';

test.each([
  [40, 10, 20, 20],
  [80, 10, 60, 36],
  [24, 2, 60, 36],
])(
  'of %i requests at once, of which %i are taken in 2 s, none fails within %i s, and at most %i are refused',
  async (crowd, taken, seconds, most) => {
    const clock = new HurriedClock();
    const refusals = new Map<string, number>();
    let window = -1;
    let used = 0;
    const server = await miniServer(({ path }, response) => {
      const now = Math.floor(clock.now() / 2000);
      if (now !== window) used = 0;
      window = now;
      used += 1;
      if (used > taken) refusals.set(path, (refusals.get(path) ?? 0) + 1);
      response.writeHead(used <= taken ? 200 : 429).end('{}');
    });
    const http = new HttpClient({
      clock,
      deadlineMs: seconds * 1000,
      limiter: new RateLimiter(clock),
      readError: (status) => statusMeaning(status),
      signer: { authorization: () => 'me' },
    });
    const outcomes = await Promise.all(
      Array.from({ length: crowd }, (_, n) =>
        http
          .request(
            { method: 'POST', route: 'POST /n', url: `${server.origin}/${n}` },
            { decode: ({ status }) => status },
          )
          .catch((error: unknown) => (error as ProviderError).code),
      ),
    );
    await http.close();
    expect(outcomes).toEqual(outcomes.map(() => 200));
    const refused = [...refusals.values()];
    expect(refused.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(most);
  },
);

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
