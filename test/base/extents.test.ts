import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExtentSet } from '../../src/base/extents.js';

const LIMIT = 64;
const range = fc.tuple(fc.nat(LIMIT), fc.nat(LIMIT)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const operation = fc.oneof(
  fc.record({ act: fc.constant('add' as const), range }),
  fc.record({ act: fc.constant('truncate' as const), range }),
);

describe('ExtentSet', () => {
  it('agrees with a plain set of positions', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), range, (operations, [start, end]) => {
        const extents = new ExtentSet();
        const model = new Set<number>();
        for (const {
          act,
          range: [low, high],
        } of operations) {
          if (act === 'add') {
            extents.add(low, high);
            for (let i = low; i < high; i++) model.add(i);
          } else {
            extents.truncate(low);
            for (const i of model) if (i >= low) model.delete(i);
          }
        }
        const missing: number[] = [];
        for (let i = start; i < end; i++) if (!model.has(i)) missing.push(i);
        expect(extents.size()).toBe(model.size);
        expect(extents.has(start, end)).toBe(missing.length === 0);
        expect(extents.gaps(start, end).flatMap(([low, high]) => positions(low, high))).toEqual(missing);
        const ranges = extents.ranges();
        for (let i = 1; i < ranges.length; i++) expect(ranges[i]?.[0]).toBeGreaterThan(ranges[i - 1]?.[1] ?? LIMIT);
      }),
      { numRuns: 2000 },
    );
  });
});

function positions(low: number, high: number): number[] {
  return Array.from({ length: high - low }, (_, i) => low + i);
}
