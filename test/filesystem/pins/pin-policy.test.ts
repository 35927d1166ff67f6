/** When the background work for pins goes on after a failure, and how often folders are listed again. */
import { describe, expect, it } from 'vitest';
import { afterFailure, listingPauseMs } from '../../../src/filesystem/pins/pin-policy.js';

const S = 1000;
const MIN = 60 * S;

describe('after a failure', () => {
  it.each([
    // The service is out of reach, or refuses: all waits, longer each time, and never longer than five minutes.
    ['network', 1, 1, undefined, { pauseMs: 5 * S, delayMs: 0, relist: false }],
    ['server', 1, 2, undefined, { pauseMs: 10 * S, delayMs: 0, relist: false }],
    ['timeout', 1, 4, undefined, { pauseMs: 40 * S, delayMs: 0, relist: false }],
    ['auth', 9, 90, undefined, { pauseMs: 5 * MIN, delayMs: 0, relist: false }],
    // It has said for how long.
    ['rate-limited', 1, 1, 17 * MIN, { pauseMs: 17 * MIN, delayMs: 0, relist: false }],
    ['rate-limited', 1, 1, undefined, { pauseMs: 5 * S, delayMs: 0, relist: false }],
    // One object has changed or gone: the others go on.
    ['not-found', 1, 1, undefined, { pauseMs: 0, delayMs: MIN, relist: true }],
    ['revision-changed', 3, 1, undefined, { pauseMs: 0, delayMs: 4 * MIN, relist: true }],
    ['integrity', 1, 5, undefined, { pauseMs: 0, delayMs: MIN, relist: false }],
    ['permission', 30, 5, undefined, { pauseMs: 0, delayMs: 60 * MIN, relist: false }],
    [undefined, 1, 1, undefined, { pauseMs: 0, delayMs: MIN, relist: false }],
    // A full disk is looked at again and again, without a request.
    ['ENOSPC', 30, 30, undefined, { pauseMs: 0, delayMs: MIN, relist: false }],
    ['aborted', 30, 30, undefined, { pauseMs: 0, delayMs: 5 * S, relist: false }],
  ] as const)('%s, the object failed %i times, %i in a row', (code, failures, inARow, retryAfterMs, expected) => {
    expect(afterFailure({ code, failures, inARow, retryAfterMs })).toEqual(expected);
  });
});

describe('the pause between two listings of pinned folders', () => {
  it.each([
    // Each comes again after the ttl…
    [1, 60 * S, 60 * S],
    [6, 60 * S, 10 * S],
    [0, 60 * S, 60 * S],
    // …but no more than one in five seconds.
    [1, 1 * S, 5 * S],
    [200, 60 * S, 5 * S],
    [3, 0, 5 * S],
  ])('of %i folders and a ttl of %i ms', (folders, ttl, expected) => {
    expect(listingPauseMs(folders, ttl)).toBe(expected);
  });
});
