import { describe, expect, it } from 'vitest';
import { DescriptorReserve, limitIn } from '../../src/base/descriptors.js';

describe('the reserve of descriptors', () => {
  it.each([
    // limit, next number, files open for others; the last quarter of a low limit is kept back, of others 96.
    [300, 224, 200, false],
    [300, 225, 200, true],
    [1024, 927, 900, false],
    [1024, 928, 900, true],
    [1024, Number.POSITIVE_INFINITY, 900, true],
    [Number.POSITIVE_INFINITY, 100_000, 90_000, false],
  ])('of a limit of %s, with number %s next and %s files open, is reached: %s', (limit, next, files, isReached) => {
    expect(new DescriptorReserve(limit, () => next).isReached(files)).toBe(isReached);
  });

  it('is not looked at while few files are open', () => {
    const reserve = new DescriptorReserve(1024, () => {
      throw new Error('looked');
    });
    expect(reserve.isReached(100)).toBe(false);
    expect(() => reserve.isReached(300)).toThrow('looked');
  });

  it('reads the limit of this process', () => {
    expect(
      limitIn('Limit  Soft  Hard\nMax open files            1024                 524288               files\n'),
    ).toBe(1024);
    expect(limitIn('Max open files            unlimited            unlimited            files')).toBe(Infinity);
    expect(limitIn('')).toBe(Number.POSITIVE_INFINITY);
  });
});
