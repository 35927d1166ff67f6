/** What `scripts/bench` makes of its results. */
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

interface Result {
  readonly row: string;
  readonly contender: string;
  readonly figure: number;
  readonly requests: number;
  readonly stall: number | null;
}

const { median, table } = (await import(resolve('scripts/benchmark/report.mjs'))) as {
  median: (numbers: readonly number[]) => number | null;
  table: (of: { names: readonly string[]; rows: readonly object[]; results: readonly Result[] }) => string;
};

describe('the median of rounds', () => {
  it.each([
    [[], null],
    [[3], 3],
    [[10, 1, 2], 2],
    [[4, 1, 100, 2], 3],
    [[2, 1], 1.5],
  ])('of %j is %s', (numbers, middle) => {
    expect(median(numbers)).toBe(middle);
  });

  it('is what the table shows, beside requests, the longest stall and the ratio; a row of which nothing is known is left out', () => {
    const ours = (figure: number, stall: number): Result => ({
      row: 'walk',
      contender: 'syncmount',
      figure,
      requests: 5,
      stall,
    });
    const disk: Result = { row: 'walk', contender: 'disk', figure: 2, requests: 0, stall: null };
    const text = table({
      names: ['syncmount', 'disk'],
      rows: [
        { name: 'walk', title: 'a walk', unit: 's' },
        { name: 'other', title: 'another', unit: 's' },
      ],
      results: [ours(5, 10), disk, ours(3, 30)],
    });
    expect(text.split('\n').slice(2)).toEqual(['| a walk | 4.00 s | 2.00 s | 5 | 20 ms | 2.0 |']);
  });
});
