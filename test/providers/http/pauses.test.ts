/** However long a server wants us to wait, and however the clock jumps, a pause ends and one request tries again. */
import { describe, expect, test } from 'vitest';
import { SteadyTime } from '../../../src/base/clock.js';
import { RateLimiter } from '../../../src/providers/http/client/rate-limit.js';
import { longestPause, parseRetryAfter } from '../../../src/providers/http/client/retry-delay.js';
import { describeEach, openWorld, overKernel, traits } from '../../mount/subjects.js';
import { cleanUpWorlds } from '../../mount/world.js';
import { TestClock } from '../../support/test-clock.js';

const year = 365 * 24 * 3600_000;
const now = Date.UTC(2026, 0, 2);

describe('Retry-After', () => {
  test.each([
    ['42', 42_000],
    ['1000000000000', longestPause],
    [`${'9'.repeat(400)}`, longestPause],
    ['Fri, 31 Dec 9999 23:59:59 GMT', longestPause],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['1e12', undefined],
    ['-5', undefined],
  ])('%s', (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms);
  });
});

describe('a limit that is used up', () => {
  test.each([
    ['Retry-After in seconds', { 'retry-after': '1000000000000' }],
    ['Retry-After as a date', { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }],
    [
      'X-RateLimit-Reset',
      { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '95617584000' },
    ],
    ['X-RateLimit-Reset from now', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '90000000' }],
  ])(
    '%s without bound: after an hour one request goes, and the others when it has come through',
    async (_, headers) => {
      const clock = new TestClock();
      const limiter = new RateLimiter(clock);
      await limiter.acquire('GET /', 0);
      limiter.observe(429, headers);
      limiter.release();
      await expect(limiter.acquire('GET /', 60_000)).rejects.toMatchObject({ code: 'rate-limited' });
      expect(limiter.snapshot()?.resetAt).toBe(clock.now() + longestPause);
      clock.advance(longestPause + 1);
      await limiter.acquire('GET /', 0);
      await expect(limiter.acquire('GET /', 0)).rejects.toMatchObject({ code: 'rate-limited' });
      limiter.observe(200, {});
      limiter.release();
    },
  );

  test('a clock that is set back a year delays no request, and the date shown is right', async () => {
    const clock = new TestClock();
    const limiter = new RateLimiter(clock);
    limiter.observe(429, { 'retry-after': '600' });
    clock.set(-year);
    expect(limiter.snapshot()?.resetAt).toBe(clock.now() + 600_000);
    clock.advance(600_001);
    await limiter.acquire('GET /', 0);
  });

  test('after a sleep of the machine the next request goes at once', async () => {
    const clock = new TestClock();
    const limiter = new RateLimiter(clock);
    limiter.observe(429, { 'retry-after': '600' });
    // The monotonic clock stood still.
    clock.set(3600_000);
    await limiter.acquire('GET /', 0);
  });
});

test('a steady time never goes back, and follows the clock forward', () => {
  const clock = new TestClock();
  const time = new SteadyTime(clock);
  const begin = time.now();
  for (const [ticks, set, since] of [
    [1000, 0, 1000],
    [1000, -year, 2000],
    [1000, 0, 3000],
    [1000, year, 4000],
    [0, 5000, 9000],
  ] as const) {
    clock.set(set);
    clock.advance(ticks);
    expect(time.now() - begin).toBe(since);
  }
});

describeEach(overKernel, 'a mount of $provider', (subject, { it }) => {
  cleanUpWorlds();

  it('is refused at once, with the day until which the server wants us to wait', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/file', 'x');
    await world.mount();
    await world.out('cat file');
    const { storing } = traits[subject.provider];
    const route = `^${storing.replace(/[{}]/g, '\\$&')}$`;
    const retryAfter = 'Fri, 31 Dec 9999 23:59:59 GMT';
    world.sandbox.faults.add({ route, action: { kind: 'status', status: 429, retryAfter } });
    const before = Date.now();
    const { code, stderr } = await world.sh('cp "$TOP/config/accounts/work.json" copy');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/busy/)]);
    const { rateLimit } = await world.status();
    expect(rateLimit?.resetAt).toBeGreaterThan(before);
    expect(rateLimit?.resetAt).toBeLessThanOrEqual(Date.now() + longestPause);
    expect((await world.cli(['status'])).stdout).toMatch(
      /limit {5}no requests|limit {5}0 of \d+|until \d{4}-\d\d-\d\d \d\d:\d\d/,
    );
  });
});
