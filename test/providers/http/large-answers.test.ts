/** Answers much longer than a page are parsed and checked in pieces, with the same results as `JSON.parse`. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { entriesPerTurn } from '../../../src/base/event-loop-turns.js';
import { BadEntry, entriesOf } from '../../../src/providers/http/answers/entries.js';
import { parsedAtOnce, parseJson } from '../../../src/providers/http/answers/parse-json.js';

/** Blanks that make a text longer than what is parsed at once. */
const long = ' '.repeat(parsedAtOnce + 1);
/** An entry that fills most of a piece. */
const wide = { name: 'w'.repeat(60_000) };

describe('parsing a long text', () => {
  it('has the same result as JSON.parse', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.boolean(), async (value, isObject) => {
        const many = Array.from({ length: 20 }, () => [value, wide]).flat();
        const whole = isObject ? { a: value, list: many, 'b"]': [value], empty: [] } : many;
        const text = JSON.stringify(whole);
        expect(text.length).toBeGreaterThan(parsedAtOnce);
        expect(await parseJson(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    '[',
    ']',
    '[1',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1}',
    '{"a":[1,]}',
    '{"a":[1],}',
    '[1],[2]',
    '{"a":[1]',
    '"',
    '[]]',
    '',
  ])('refuses %j as JSON.parse does', async (text) => {
    await expect(parseJson(text + long.replaceAll(' ', '\n'))).rejects.toThrow(SyntaxError);
    const padded = text.replaceAll('1', JSON.stringify(Array.from({ length: 20 }, () => wide)).slice(1, -1));
    if (text.includes('1')) await expect(parseJson(padded)).rejects.toThrow(SyntaxError);
  });

  it.each([
    ['an entry', JSON.stringify([{ name: 'w'.repeat(parsedAtOnce + 10) }])],
    ['what is beside the lists', JSON.stringify({ name: 'w'.repeat(parsedAtOnce + 10), files: [] })],
    ['a list that is further down', JSON.stringify({ data: { files: Array.from({ length: 20 }, () => wide) } })],
  ])('refuses %s of more than is parsed at once', async (_what, text) => {
    await expect(parseJson(text)).rejects.toThrow(SyntaxError);
  });

  it('keeps a key named like the prototype', async () => {
    const text = `{"__proto__":{"x":1},"files":[${JSON.stringify(wide)}${`,${JSON.stringify(wide)}`.repeat(20)}]}`;
    const value = (await parseJson(text)) as object;
    expect(Object.keys(value)).toEqual(['__proto__', 'files']);
    expect((value as { x?: unknown }).x).toBeUndefined();
  });

  it('yields to other work', async () => {
    let turns = 0;
    let isOver = false;
    const onTurn = (): void => {
      turns++;
      if (!isOver) setImmediate(onTurn);
    };
    setImmediate(onTurn);
    await parseJson(JSON.stringify(Array.from({ length: 100 }, () => wide)));
    isOver = true;
    // Two entries are more than a piece.
    expect(turns).toBeGreaterThanOrEqual(45);
  });
});

describe('checking a long list', () => {
  it('yields to other work after each piece, and leaves bad entries in their places', async () => {
    let calls = 0;
    let most = 0;
    const schema = z.object({ id: z.string() }).refine(() => {
      most = Math.max(most, ++calls);
      return true;
    });
    const list = Array.from({ length: 10 * entriesPerTurn }, (_, i) => ({ id: i === 7 ? 7 : `id${i}` }));
    let isOver = false;
    const onTurn = (): void => {
      calls = 0;
      if (!isOver) setImmediate(onTurn);
    };
    setImmediate(onTurn);
    const checked = await entriesOf(schema).parse(list).validate();
    isOver = true;
    expect(checked).toHaveLength(list.length);
    expect(checked[7]).toBeInstanceOf(BadEntry);
    expect(checked[8]).toEqual({ id: 'id8' });
    expect(most).toBeLessThanOrEqual(2 * entriesPerTurn);
  });
});
