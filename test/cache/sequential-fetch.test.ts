import { expect, test } from 'vitest';
import { planSequentialFetch } from '../../src/cache/sequential-fetch.js';

test.each([
  ['at the beginning', { at: 0, requestedUntil: 0 }, 0, 100, [0, 32], { at: 0, requestedUntil: 32 }],
  ['a step, with enough requested already', { at: 0, requestedUntil: 32 }, 1, 100, null, { at: 0, requestedUntil: 32 }],
  ['when half a window is used', { at: 0, requestedUntil: 32 }, 16, 100, [32, 48], { at: 16, requestedUntil: 48 }],
  ['near the end', { at: 80, requestedUntil: 96 }, 84, 100, [96, 100], { at: 84, requestedUntil: 100 }],
  ['all requestedUntil for', { at: 84, requestedUntil: 100 }, 92, 100, null, { at: 92, requestedUntil: 100 }],
  ['elsewhere', { at: 16, requestedUntil: 48 }, 70, 100, [70, 100], { at: 70, requestedUntil: 100 }],
  ['back', { at: 16, requestedUntil: 48 }, 4, 100, [4, 36], { at: 4, requestedUntil: 36 }],
] as const)('a sequential reader: %s', (_, before, at, end, fetch, state) => {
  expect(planSequentialFetch(before, { at, end, window: 32 })).toEqual({ state, fetch });
});
