import { describe, expect, it } from 'vitest';
import { noReadAhead, planReadAhead, type ReadAheadState, WHOLE_FILE_BYTES } from '../../src/cache/read-ahead.js';

const K = 1024;
const M = 1024 * K;
const G = 1024 * M;

describe('planReadAhead', () => {
  const state = (next: number, window: number, asked: number): ReadAheadState => ({
    next,
    window,
    requestedUntil: asked,
  });

  it.each([
    ['a small file is fetched whole', noReadAhead, 0, 4 * K, 100 * K, G, [0, 100 * K]],
    ['the largest small file too', noReadAhead, 0, 4 * K, WHOLE_FILE_BYTES, G, [0, WHOLE_FILE_BYTES]],
    [
      'a small file is asked for at once, wherever it is read first',
      noReadAhead,
      90 * K,
      4 * K,
      100 * K,
      G,
      [0, 100 * K],
    ],
    ['a small file is not fetched whole for a cache that cannot hold it', noReadAhead, 0, 4 * K, 100 * K, 50 * K, null],
    ['a photo that is streamed is fetched whole', noReadAhead, 0, 128 * K, 2 * M, G, [0, 2 * M]],
    ['the largest such file too', noReadAhead, 0, 128 * K, 8 * M, G, [0, 8 * M]],
    ['but not for a cache that cannot hold it', noReadAhead, 0, 128 * K, 8 * M, 4 * M, [0, 512 * K]],
    ['nor for a look at its header', noReadAhead, 0, 32 * K, 2 * M, G, [0, 512 * K]],
    [
      'the rest of it comes at once for who reads on',
      state(500 * K, 512 * K, 512 * K),
      500 * K,
      32 * K,
      5 * M,
      G,
      [512 * K, 5 * M],
    ],
    ['a first read at the start opens a small window', noReadAhead, 0, 128 * K, G, G, [0, 512 * K]],
    ['a first read elsewhere opens none', noReadAhead, 5 * M, 4 * K, G, G, null],
    ['a second read that goes on opens one', state(6 * M, 0, 6 * M), 6 * M, 128 * K, G, G, [6 * M, 6.5 * M]],
    ['a small window is enough as long as no read goes beyond it', state(M, 2 * M, 2 * M), M, M, G, G, null],
    [
      'it grows with the first that does, which comes with it',
      state(M, 512 * K, 1.5 * M),
      M,
      M,
      G,
      G,
      [1.5 * M, 3.5 * M],
    ],
    ['reads of cat open a large window at once', noReadAhead, 0, 256 * K, G, G, [0, 8 * M]],
    ['a large first read does too', noReadAhead, 0, M, G, G, [0, 8 * M]],
    ['a large read near the end brings all of the end', state(7 * M, 8 * M, 8 * M), G - 7 * M, M, G, G, [G - 7 * M, G]],
    ['a large read elsewhere does not', state(7 * M, 8 * M, 8 * M), G - 9 * M, M, G, G, null],
    ['nor a small one near the end', state(7 * M, 8 * M, 8 * M), G - 7 * M, 128 * K, G, G, null],
    ['after 8 MiB it waits until all is used', state(9 * M, 8 * M, 9.25 * M), 9 * M, 128 * K, G, G, null],
    ['and then grows as before', state(9.25 * M, 8 * M, 9.25 * M), 9.25 * M, 128 * K, G, G, [9.375 * M, 41.375 * M]],
    ['it grows no further than the largest', state(G, 64 * M, G), G, M, 9 * G, 9 * G, [G + M, G + 65 * M]],
    ['the largest is kept full', state(G, 64 * M, G + 61 * M), G, M, 9 * G, 9 * G, [G + 61 * M, G + 65 * M]],
    ['by whole requests', state(G, 64 * M, G + 58 * M), G, M, 9 * G, 9 * G, [G + 58 * M, G + 62 * M]],
    ['and not by less', state(G, 64 * M, G + 62 * M), G, M, 9 * G, 9 * G, null],
    ['but for the end of the file', state(G, 64 * M, G + 60 * M), G, M, G + 62 * M, 9 * G, [G + 60 * M, G + 62 * M]],
    ['nor than the cache can spare', state(M, M, M), M, 128 * K, G, 2 * M, [M, 3 * M]],
    ['it ends with the file', state(M, M, M), M, 128 * K, 1.5 * M, G, [M, 1.5 * M]],
    ['a jump closes it', state(M, M, 2 * M), 500 * M, 4 * K, G, G, null],
    ['a little out of order does not', state(20 * M, 16 * M, 21 * M), 19 * M, 128 * K, G, G, [21 * M, 81 * M]],
    [
      'after a jump, reads of the kernel grow while the program reads little',
      state(M, 0, M),
      M,
      512 * K,
      G,
      G,
      [M, 1.5 * M],
    ],
    ['a cache too small for any window has none', noReadAhead, 0, 128 * K, G, 100 * K, null],
  ] as const)('%s', (_what, before, offset, length, size, maxWindow, fetch) => {
    expect(planReadAhead(before, { offset, length, size, maxWindow }).fetch).toEqual(fetch);
  });

  it.each([
    ['a small file', noReadAhead, 0, 4 * K, 100 * K, M],
    ['a photo that is streamed', noReadAhead, 0, 128 * K, 6 * M, 4 * M],
    ['a first window', noReadAhead, 0, 128 * K, G, 512 * K],
    ['a first window of `cat`', noReadAhead, 0, 256 * K, G, 512 * K],
    ['a first window of `file`', noReadAhead, 0, M, G, 4 * M],
    ['a window of who reads on', state(M, 512 * K, 1.5 * M), M, M, G, 0],
    ['the largest window', state(G, 64 * M, G + 61 * M), G, M, 9 * G, 0],
  ] as const)(
    'through the event loop comes no more than is waited for: %s',
    (_what, before, offset, length, size, urgent) => {
      expect(planReadAhead(before, { offset, length, size, maxWindow: 9 * G }).urgentBytes).toBe(urgent);
    },
  );

  it('asks for every byte of a stream once, in requests of sensible size', () => {
    let state = noReadAhead;
    let asked = 0;
    const size = 300 * M;
    for (let offset = 0; offset < size; offset += 128 * K) {
      const plan = planReadAhead(state, { offset, length: 128 * K, size, maxWindow: 2.5 * G });
      state = plan.state;
      if (plan.fetch === null) continue;
      expect(plan.fetch[0]).toBeGreaterThanOrEqual(asked);
      asked = plan.fetch[1];
      expect(plan.requestBytes).toBeGreaterThanOrEqual(512 * K);
      expect(plan.requestBytes).toBeLessThanOrEqual(8 * M);
    }
    expect(asked).toBe(size);
  });

  it('asks for a large file in requests of 4 MiB', () => {
    let state = noReadAhead;
    let requests = 0;
    for (let offset = 0; offset < G; offset += M) {
      const plan = planReadAhead(state, { offset, length: M, size: G, maxWindow: 2.5 * G });
      state = plan.state;
      if (plan.fetch !== null) requests += Math.ceil((plan.fetch[1] - plan.fetch[0]) / plan.requestBytes);
    }
    // The windows up to 32 MiB have a few smaller ones.
    expect(requests).toBeLessThanOrEqual(256 + 16);
  });

  it.each([
    [128 * K, 4, 10.5 * M],
    [M, 2, 8 * M],
  ])(
    'brings the first 7 MiB, which `file` reads, by %i bytes at a time, in %i requests, and little more',
    (step, count, most) => {
      let state = noReadAhead;
      let requests = 0;
      for (let offset = 0; offset < 7 * M; offset += step) {
        const plan = planReadAhead(state, { offset, length: step, size: G, maxWindow: G });
        state = plan.state;
        if (plan.fetch !== null) requests += Math.ceil((plan.fetch[1] - plan.fetch[0]) / plan.requestBytes);
      }
      expect(requests).toBe(count);
      expect(state.requestedUntil).toBeLessThanOrEqual(most);
    },
  );

  it('never reads ahead for random reads', () => {
    let state = noReadAhead;
    for (let n = 1; n < 200; n++) {
      const offset = (n * 7919 * 4096) % G;
      const plan = planReadAhead(state, { offset, length: 4 * K, size: G, maxWindow: G });
      expect(plan.fetch).toBeNull();
      state = plan.state;
    }
  });
});
