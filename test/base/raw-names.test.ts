import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeName, encodeName, isNameText, nameBytes, toNameText } from '../../src/base/raw-names.js';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

describe('a name of bytes', () => {
  it.each([
    ['ASCII', '61', 'a'],
    ['UTF-8 of two to four bytes', 'c3a9e282acf09f9880', 'é€😀'],
    ['a replacement character that is meant', 'efbfbd', '\ufffd'],
    ['Latin-1', '636166e9', 'caf\uefe9'],
    ['a sequence that is cut', 'e28261', '\uefe2\uef82a'],
    ['too long a form', 'c081', '\uefc0\uef81'],
    ['a surrogate', 'eda080', '\uefed\uefa0\uef80'],
    ['beyond Unicode', 'f4908080', '\ueff4\uef90\uef80\uef80'],
    ['what no sequence begins with', '80ff', '\uef80\uefff'],
    ['a character that stands for a byte', 'eebea9', '\uefee\uefbe\uefa9'],
    ['its neighbours', 'eebdbfef8080', '\uef7f\uf000'],
  ])('%s', (_, hex, text) => {
    expect(decodeName(bytes(hex))).toBe(text);
    expect(encodeName(text)).toEqual(bytes(hex));
    expect(nameBytes(text)).toBe(bytes(hex).length);
    expect(isNameText(text)).toBe(true);
  });

  /** Bytes that come near UTF-8, so that all branches are met. */
  const near = fc.oneof(
    fc.uint8Array({ maxLength: 12 }).map((part) => Buffer.from(part)),
    fc.string({ unit: 'binary', maxLength: 3 }).map((part) => Buffer.from(part)),
    fc.integer({ min: 0xef70, max: 0xf010 }).map((code) => Buffer.from(String.fromCharCode(code))),
    fc.integer({ min: 0xef70, max: 0xf010 }).map((code) => Buffer.from(String.fromCharCode(code)).subarray(0, 2)),
  );
  const names = fc.array(near, { maxLength: 5 }).map((parts) => Buffer.concat(parts));

  it('comes back as it was, through text that is sound Unicode', () => {
    fc.assert(
      fc.property(names, (name) => {
        const text = decodeName(name);
        expect(encodeName(text)).toEqual(name);
        expect([text.isWellFormed(), isNameText(text), nameBytes(text)]).toEqual([true, true, name.length]);
        expect(decodeName(Buffer.from(encodeName(text)))).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the text of another client', () => {
  it('that would be the same bytes as another text gets a text of its own', () => {
    const twin = '\uefc3\uefa9';
    expect(isNameText(twin)).toBe(false);
    expect(encodeName(toNameText(twin))).toEqual(Buffer.from(twin));
    expect(isNameText(toNameText(twin))).toBe(true);
    expect(toNameText('caf\uefe9')).toBe('caf\uefe9');
  });
});
