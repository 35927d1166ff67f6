import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sortInTurns, turn } from '../../src/base/event-loop-turns.js';

it('sorts as an array does, and stably', async () => {
  const items = fc.array(fc.nat(20), { maxLength: 3000, size: 'max' });
  await fc.assert(
    fc.asyncProperty(items, async (values) => {
      const entries = values.map((value, at) => ({ value, at }));
      const compare = (a: { value: number }, b: { value: number }): number => b.value - a.value;
      expect(await sortInTurns(entries, compare)).toEqual([...entries].sort(compare));
    }),
    { numRuns: 20 },
  );
});

it('lets others have their turn', async () => {
  let turns = 0;
  let isSorted = false;
  const count = async (): Promise<void> => {
    while (!isSorted) {
      await turn();
      turns++;
    }
  };
  const counting = count();
  await sortInTurns(
    Array.from({ length: 20_000 }, (_, i) => (i * 7919) % 20_000),
    (a, b) => a - b,
  );
  isSorted = true;
  await counting;
  // 40 runs, and 20,000 steps in each of six merges.
  expect(turns).toBeGreaterThan(200);
});
