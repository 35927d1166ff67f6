import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeName } from '../../src/base/raw-names.js';
import { assignLocalNames, type GivenName, isLocalName } from '../../src/tree/local-names.js';

const remoteName = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '/',
    'a/b',
    'a\0b',
    'a',
    'a (~1)',
    'b.txt',
    'b (~2).txt',
    '\ud800',
    '%2F',
    '\uefc3\uefa9',
    'caf\uefe9',
    'x'.repeat(300),
  ),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const objects = fc.uniqueArray(
  fc.record({ id: fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8'), name: remoteName }),
  {
    selector: (object) => object.id,
  },
);
const nameSet = fc.array(remoteName, { maxLength: 4 }).map((names) => new Set(names.filter(isLocalName)));

describe('local names', () => {
  it('are unique, valid, and different from names that are taken', () => {
    fc.assert(
      fc.property(objects, nameSet, (list, taken) => {
        const names = assignLocalNames(list, new Map(), taken);
        const all = [...names.values()];
        expect(names.size).toBe(list.length);
        expect(new Set([...all, ...taken]).size).toBe(all.length + taken.size);
        for (const name of all) expect(isLocalName(name)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('stand for different bytes, also where characters stand for bytes that are not UTF-8', () => {
    const list = ['é', '\uefc3\uefa9', 'caf\uefe9'].map((name, i) => ({ id: String(i), name }));
    const names = [...assignLocalNames(list, new Map()).values()];
    expect(new Set(names)).toEqual(new Set(['é', '\uefee\uefbf\uef83\uefee\uefbe\uefa9', 'caf\uefe9']));
    expect(new Set(names.map((name) => encodeName(name).toString('hex'))).size).toBe(3);
  });

  it('do not depend on the order of the listing', () => {
    fc.assert(
      fc.property(objects, (list) => {
        expect(assignLocalNames(list.toReversed(), new Map())).toEqual(assignLocalNames(list, new Map()));
      }),
      { numRuns: 300 },
    );
  });

  it('stay as long as the object keeps its remote name, whatever is added or removed beside it', () => {
    fc.assert(
      fc.property(objects, objects, (before, after) => {
        const first = assignLocalNames(before, new Map());
        const given = new Map<string, GivenName>(
          before.map(({ id, name }) => [id, { local: first.get(id) ?? '', remote: name }]),
        );
        const second = assignLocalNames(after, given);
        for (const { id, name } of after) {
          if (given.get(id)?.remote === name) expect(second.get(id)).toBe(first.get(id));
        }
        expect(new Set(second.values()).size).toBe(after.length);
      }),
      { numRuns: 500 },
    );
  });

  it('are the remote names if a directory can hold them', () => {
    const list = ['a', 'b.txt', 'ä'.repeat(127), ' (~1)'].map((name, i) => ({ id: String(i), name }));
    expect([...assignLocalNames(list, new Map()).values()]).toEqual(list.map(({ name }) => name));
  });

  it.each([
    ['', '%'],
    ['.', '%2E'],
    ['..', '%2E%2E'],
    ['a/b', 'a%2Fb'],
    ['a\0b', 'a%00b'],
    [`${'x'.repeat(300)}.txt`, `${'x'.repeat(250)}~.txt`],
  ])('show %j as %j', (name, local) => {
    expect(assignLocalNames([{ id: '1', name }], new Map()).get('1')).toBe(local);
  });

  it('contain the id for all but one of equal remote names', () => {
    const list = ['1', '2', '3'].map((id) => ({ id, name: 'a.txt' }));
    expect([...assignLocalNames(list, new Map()).values()]).toEqual(['a.txt', 'a (~2).txt', 'a (~3).txt']);
  });
});
