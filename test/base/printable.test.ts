import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { printable, printableJson } from '../../src/base/printable.js';

describe('printable', () => {
  test.each([
    ['a plain name.txt', 'a plain name.txt'],
    ['Ünï 日本 🎞 👩‍👩‍👧 \\ "q"', 'Ünï 日本 🎞 👩‍👩‍👧 \\ "q"'],
    ['two\nlines\r\n\ttab', 'two\\nlines\\r\\n\\ttab'],
    ['\x1b]0;title\x07\x1b[2J\x7f', '\\x1b]0;title\\x07\\x1b[2J\\x7f'],
    ['C1: \x9b31m \x85', 'C1: \\x9b31m \\x85'],
    ['gpj.\u202etxt \u2066x\u2069 \u200f', 'gpj.\\u202etxt \\u2066x\\u2069 \\u200f'],
    ['line\u2028para\u2029', 'line\\u2028para\\u2029'],
    ['half \ud800 tag \u{e0041}', 'half \\ud800 tag \\u{e0041}'],
  ])('%j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('leaves nothing that a terminal obeys, and changes nothing twice', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = printable(text);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
        expect(printable(shown)).toBe(shown);
      }),
    );
  });
});

describe('printableJson', () => {
  it('means the same, and holds nothing that a terminal obeys but its line breaks', () => {
    fc.assert(
      fc.property(fc.record({ name: fc.string({ unit: 'binary' }) }), (value) => {
        const json = printableJson(JSON.stringify(value, null, 2));
        expect(JSON.parse(json)).toEqual(value);
        expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
      }),
    );
  });
});
