import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jsonPieces } from '../../src/base/json-pieces.js';

const text = (value: unknown): string => [...jsonPieces(value)].join('');

it('is what JSON.stringify makes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.object({ withDate: true, maxDepth: 3 })), (value) => {
      expect(text(value)).toBe(JSON.stringify(value));
    }),
  );
  expect(text({ a: undefined, b: [undefined], c: new Date(0), d: {} })).toBe(
    '{"b":[null],"c":"1970-01-01T00:00:00.000Z","d":{}}',
  );
});

it('cuts long arrays, wherever they are', () => {
  const list = Array.from({ length: 1201 }, (_, i) => ({
    path: `/${i}`,
    size: i,
    error: i % 2 === 0 ? undefined : 'x',
  }));
  for (const value of [list, { result: list }, { result: { files: list, bytes: 3 } }]) {
    const pieces = [...jsonPieces(value)];
    expect(pieces.join('')).toBe(JSON.stringify(value));
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(JSON.stringify(value).length / 2);
  }
});
