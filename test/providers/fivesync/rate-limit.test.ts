import { describe, expect, test } from 'vitest';
import { pollInterval } from '../../../src/providers/fivesync/catalog.js';
import {
  admit,
  type LimitState,
  parseReset,
  RateLimiter,
  reserveOf,
} from '../../../src/providers/http/client/rate-limit.js';
import type { Priority } from '../../../src/providers/provider.js';
import { miniFiveSync } from './mini-fivesync.js';

const now = 1_700_000_000_000;
const hour = 3600_000;
const known = (remaining: number, resetIn = hour, limit = 60): LimitState['known'] => ({
  limit,
  remaining,
  resetAt: now + resetIn,
});
const base: LimitState = {
  known: null,
  inFlight: 0,
  pausedUntil: 0,
  isPauseFromServer: true,
  foregroundWaiting: 0,
  maxInFlight: Number.POSITIVE_INFINITY,
  isBehind: false,
};

describe('a request', () => {
  test.each([
    ['nothing is known', {}, 'foreground', 60_000, 'go'],
    ['nothing is known', {}, 'background', 60_000, 'go'],
    ['much is left', { known: known(59) }, 'background', 60_000, 'go'],
    ['one is left', { known: known(1) }, 'foreground', 60_000, 'go'],
    ['one is left, and under way', { known: known(1), inFlight: 1 }, 'foreground', 60_000, { wait: 1000 }],
    ['few are left', { known: known(12) }, 'background', 60_000, { refuse: hour }],
    ['few are left, reset near', { known: known(12, 5000) }, 'background', 60_000, { wait: 5000 }],
    ['few are left', { known: known(12) }, 'foreground', 60_000, 'go'],
    ['none is left', { known: known(0) }, 'foreground', 60_000, { refuse: hour }],
    ['none is left, reset near', { known: known(0, 40_000) }, 'foreground', 60_000, { wait: 40_000 }],
    ['none is left, no time to wait', { known: known(0, 40_000) }, 'foreground', 0, { refuse: 40_000 }],
    ['the window is over', { known: known(0, -1) }, 'foreground', 60_000, 'go'],
    ['the window is over, one asks', { known: known(0, -1), inFlight: 1 }, 'foreground', 60_000, { wait: 1000 }],
    ['429 said when', { known: known(50), pausedUntil: now + 42_000 }, 'foreground', 60_000, { wait: 42_000 }],
    ['429 said when', { pausedUntil: now + 90_000 }, 'foreground', 60_000, { refuse: 90_000 }],
    [
      '429 said nothing',
      { pausedUntil: now + 90_000, isPauseFromServer: false },
      'foreground',
      60_000,
      { guess: 90_000 },
    ],
    ['no answer yet, no time to wait', { known: known(1), inFlight: 1 }, 'foreground', 0, { guess: 1000 }],
    ['a pause was a guess, and one finds out', { inFlight: 1, maxInFlight: 1 }, 'foreground', 60_000, { wait: 1000 }],
    ['a pause was a guess', { inFlight: 1, maxInFlight: 2 }, 'foreground', 60_000, 'go'],
    ['an older one waits', { isBehind: true }, 'foreground', 60_000, { wait: 1000 }],
    [
      'an older one waits, and none is left',
      { isBehind: true, known: known(0) },
      'foreground',
      60_000,
      { refuse: hour },
    ],
    ['people wait', { known: known(50), foregroundWaiting: 1 }, 'background', 60_000, { wait: 1000 }],
  ] as [string, Partial<LimitState>, Priority, number, 'go' | { wait?: number; refuse?: number; guess?: number }][])(
    '%s: %o, %s, %i ms',
    (_, state, priority, maxWait, expected) => {
      const admission = admit({ ...base, ...state }, priority, maxWait, now);
      if (expected === 'go') expect(admission).toEqual({ act: 'go' });
      else if (expected.wait !== undefined) expect(admission).toEqual({ act: 'wait', ms: expected.wait });
      else {
        const retryAfterMs = expected.refuse ?? expected.guess;
        expect(admission).toEqual({ act: 'refuse', retryAfterMs, isFromServer: expected.guess === undefined });
      }
    },
  );

  test.each([
    [60, 12],
    [600, 100],
    [6000, 100],
  ])('of %i, background leaves %i', (limit, left) => {
    expect(reserveOf(limit)).toBe(left);
  });
});

test.each([
  [undefined, undefined, undefined],
  ['soon', undefined, undefined],
  ['42', undefined, 42_000],
  [String((now + 90_000) / 1000), undefined, 90_000],
  [String(now + 90_000), undefined, 90_000],
  // The server's clock is ten minutes ahead of ours. It sends both headers.
  [String((now + 690_000) / 1000), now + 600_000, 90_000],
  // An absolute time by another clock than the Date header.
  [String((now + 90_000) / 1000), now + 9e9, 90_000],
  [String((now - 5000) / 1000), undefined, 0],
])('X-RateLimit-Reset %o, Date %o: in %o ms', (value, date, wait) => {
  expect(parseReset(value, now, date)).toBe(wait === undefined ? undefined : now + wait);
});

test.each([
  [null, 1, 60_000],
  [60, 1, 600_000],
  [600, 1, 60_000],
  [6000, 1, 6000],
  [1_000_000, 1, 5000],
  [null, 3, 180_000],
  [5, 2, hour],
  [60, 5, 600_000],
  [600, 5, 300_000],
  [600, 50, 600_000],
  [6000, 0, 6000],
  [6000, 40, 240_000],
  [1_000_000, 10, 5000],
  [1_000_000, 200, 7200],
])('with %o requests an hour, after a poll of %i requests, changes are asked for in %i ms', (limit, requests, ms) => {
  expect(pollInterval(limit === null ? null : { limit, remaining: 1, resetAt: 0 }, requests)).toBe(ms);
});

test('a limiter without rate headers lets everything through, and only a 429 closes it for a while', async () => {
  const limiter = new RateLimiter();
  for (let i = 0; i < 100; i++) await limiter.acquire('GET /x', 0);
  limiter.observe(429, {});
  expect(limiter.retryAfterMs()).toBeGreaterThan(900);
  await expect(limiter.acquire('GET /x', 100)).rejects.toMatchObject({ code: 'rate-limited' });
  // The requests that were under way.
  for (let i = 0; i < 30; i++) limiter.observe(429, {});
  expect(limiter.retryAfterMs()).toBeLessThanOrEqual(1000);
});

test('a 429 while requests are left closes the limiter for a moment, not until the window ends', async () => {
  const limiter = new RateLimiter();
  const headers = { 'x-ratelimit-limit': '6000', 'x-ratelimit-reset': `${Math.ceil(Date.now() / 1000) + 3600}` };
  limiter.observe(429, { ...headers, 'x-ratelimit-remaining': '5990' });
  expect(limiter.retryAfterMs()).toBeLessThanOrEqual(1000);
  expect(limiter.resetAt()).toBeUndefined();
  expect(limiter.snapshot()).toMatchObject({ remaining: 5990 });
  limiter.observe(429, { ...headers, 'x-ratelimit-remaining': '0' });
  expect(limiter.retryAfterMs()).toBeGreaterThan(3_500_000);
});

test('when the limit is used up, no more requests are sent', async () => {
  const mini = await miniFiveSync({ limit: 3 });
  for (let i = 0; i < 10; i++) mini.add('/', `${i}`, 'x');
  const files = await mini.provider.list({
    kind: 'folder',
    id: '/',
    parentId: null,
    name: '',
    modified: 0,
    access: 'write',
    fileCount: null,
    folderCount: null,
  });
  const results = await Promise.allSettled(files.map((file) => mini.provider.stat(file)));
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(2);
  const refused = results.find((result) => result.status === 'rejected');
  expect(refused?.reason).toMatchObject({ code: 'rate-limited', data: { retryAfterMs: expect.any(Number) } });
  expect(mini.server.seen).toHaveLength(3);
});

test('a 429 with the time in its text stops all requests until then', async () => {
  const mini = await miniFiveSync();
  mini.before = () => ({
    status: 429,
    value: { error: { type: 'rate_limit_exceeded', message: 'Rate limit exceeded. Try again in 42 seconds.' } },
  });
  for (let i = 0; i < 5; i++) {
    const error = await mini.provider.account().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'rate-limited' });
    const { retryAfterMs } = (error as { data: { retryAfterMs: number } }).data;
    expect(retryAfterMs).toBeGreaterThan(41_000);
  }
  expect(mini.server.seen).toHaveLength(1);
});
