import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReferenceCounts } from '../../src/fuse/kernel/protocol/reference-counts.js';

describe('reference counts', () => {
  it('are those of a map, whatever comes and goes', () => {
    // On both sides of a page's end, and far away.
    const numbers = fc.constantFrom(1, 2, 4095, 4096, 4097, 2 ** 40, 2 ** 40 + 1);
    const steps = fc.array(fc.tuple(numbers, fc.integer({ min: -3, max: 1 })), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (all) => {
        const counts = new ReferenceCounts();
        const model = new Map<number, number>();
        for (const [number, change] of all) {
          const before = model.get(number) ?? 0;
          const after = change > 0 ? before + 1 : Math.max(0, before + change);
          if (change > 0) counts.add(number);
          else expect(counts.subtract(number, -change)).toBe(before > 0 && after === 0);
          model.set(number, after);
          expect(counts.has(number)).toBe(after > 0);
          expect(counts.size).toBe([...model.values()].filter((count) => count > 0).length);
        }
      }),
    );
  });
});
