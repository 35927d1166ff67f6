import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fifo } from '../../src/base/fifo.js';

it('is in the order of arrival, whatever is taken out of it, changed and added again', () => {
  const act = fc.record({ act: fc.constantFrom('set', 'delete', 'take', 'clear'), key: fc.nat(6), value: fc.nat(99) });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const fifo = new Fifo<number, number>();
      const model = new Map<number, number>();
      const oldest = (): number | undefined => [...model.keys()][0];
      for (const { act, key, value } of acts) {
        const taken = act === 'take' ? oldest() : key;
        if (act === 'set') fifo.set(key, value);
        else if (act === 'clear') fifo.clear();
        else if (taken !== undefined) expect(fifo.delete(taken)).toBe(model.has(taken));
        if (act === 'set') model.set(key, value);
        else if (act === 'clear') model.clear();
        else if (taken !== undefined) model.delete(taken);
        expect(fifo.size).toBe(model.size);
        expect(fifo.has(key)).toBe(model.has(key));
        expect(fifo.first).toBe([...model.values()][0]);
      }
    }),
  );
});

it('is emptied in time that grows with its length, not with its square', () => {
  const length = 200_000;
  const fifo = new Fifo<number, number>();
  for (let n = 0; n < length; n++) fifo.set(n, n);
  const before = process.cpuUsage();
  for (let n = 0; n < length; n++) {
    if (fifo.first !== n) expect(fifo.first).toBe(n);
    fifo.delete(n);
  }
  // Seconds of CPU. With a new iterator for each look it were more than 5.
  expect(process.cpuUsage(before).user / 1e6).toBeLessThan(3);
});
