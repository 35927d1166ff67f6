import { describe, expect, it } from 'vitest';
import { freshnessOf, WalkDetector } from '../../src/tree/freshness.js';

describe('freshnessOf', () => {
  const base = { now: 100_000, ttl: 60_000, mountedAt: 50_000 };

  it.each([
    ['never listed', null, 'refresh'],
    ['listed just now', 100_000, 'serve'],
    ['within its ttl', 40_001, 'serve'],
    ['an earlier mount listed it, and its ttl is over', 40_000, 'serve-and-refresh'],
    ['from the future, after the clock was set back', 100_001, 'refresh'],
  ] as const)('%s: %s is %s', (_what, listedAt, expected) => {
    expect(freshnessOf({ ...base, listedAt })).toBe(expected);
  });

  it('asks first when this mount listed it and the ttl is over', () => {
    expect(freshnessOf({ ...base, now: 200_000, listedAt: 60_000 })).toBe('refresh');
  });

  it('asks each time when the ttl is 0', () => {
    expect(freshnessOf({ ...base, ttl: 0, listedAt: 100_000 })).toBe('refresh');
  });
});

describe('WalkDetector', () => {
  it('sees a walk in two siblings listed one after the other', () => {
    const walk = new WalkDetector();
    expect(walk.listed(2, 1, 0)).toBe(false);
    expect(walk.listed(3, 1, 10)).toBe(true);
    expect(walk.listed(4, 1, 20)).toBe(true);
  });

  it('sees none in one directory listed again, in directories of different parents, or after a pause', () => {
    const walk = new WalkDetector();
    walk.listed(2, 1, 0);
    expect(walk.listed(2, 1, 10)).toBe(false);
    expect(walk.listed(9, 5, 20)).toBe(false);
    walk.listed(2, 1, 30);
    expect(walk.listed(3, 1, 5031)).toBe(false);
    expect(walk.listed(1, null, 5040)).toBe(false);
  });
});
