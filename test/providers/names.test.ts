import { describe, expect, test } from 'vitest';
import { collisionKey, mayBecome, mayBeKeptAs, mayCollide } from '../../src/providers/names.js';

const long = 'l'.repeat(240);

describe('names that a service may change', () => {
  test.each([
    ['a:b', 'a_b', true],
    ['a:b', 'a-b', true],
    ['a:b', 'ab', true],
    ['x.', 'x', true],
    [' x ', 'x', true],
    ['e\u0301', '\u00e9', true],
    ['README', 'readme', true],
    ['x\ty', 'xy', true],
    [long, long.slice(0, 200), true],
    ['a:b', 'a_b (1)', false],
    ['a.txt', 'a (1).txt', false],
    ['a:b', 'c_d', false],
    ['long name', 'long', false],
    ['\u00e9', '\u00c3\u00a9', false],
    ['a"b', 'a%22b', false],
  ])('%j may become %j: %s', (asked, kept, expected) => {
    expect(mayBecome(asked, kept)).toBe(expected);
  });

  test.each([
    ['a:b', 'a_b', true],
    ['a:b', 'a?b', true],
    ['x.', 'x', true],
    ['README', 'readme', true],
    ['e\u0301', '\u00e9', true],
    [long, `${long.slice(0, 230)}other`, true],
    ['img_1_2', 'img_12', false],
    ['a-b', 'a_b', false],
    ['a:b', 'a:c', false],
  ])('%j and %j may be one: %s', (a, b, expected) => {
    expect(mayCollide(a, b)).toBe(expected);
    expect(mayCollide(b, a)).toBe(expected);
    if (expected) expect(collisionKey(a)).toBe(collisionKey(b));
  });

  test.each([
    ['a:b', 'a_b', true],
    ['a:b.txt', 'a_b (~3f2a91).txt', true],
    ['a_b', 'a_b', false],
    ['twice (~f_123).txt', 'twice.txt', false],
  ])('%j may be kept as %j: %s', (asked, kept, expected) => {
    expect(mayBeKeptAs(asked, kept)).toBe(expected);
  });
});
