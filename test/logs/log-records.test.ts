import { describe, expect, it } from 'vitest';
import {
  describeRecord,
  journalLineOf,
  parseRecord,
  passes,
  textOfRecord,
} from '../../src/mount/logging/log-records.js';

const line = (more: object): string =>
  JSON.stringify({ level: 40, time: '2026-11-29T08:00:00.000Z', pid: 7, ...more, msg: 'it is slow' });
const record = (more: object = {}) => {
  const found = parseRecord(line(more));
  if (found === null) throw new Error('no record');
  return found;
};

describe('a record of the log', () => {
  it.each([['{"broken'], ['Error: the last words of a runtime'], ['{"level":30}'], ['[1]'], ['null']])(
    'is not in %j',
    (text) => {
      expect(parseRecord(text)).toBeNull();
    },
  );

  it.each([
    [{}, 'it is slow'],
    [{ code: 'quota', ino: 7 }, 'it is slow  code=quota ino=7'],
    [{ path: 'a b', empty: '' }, 'it is slow  path="a b" empty=""'],
    [{ error: { message: 'no room', stack: 'at …' } }, 'it is slow  error="no room"'],
    [{ data: { a: [1] } }, 'it is slow  data="{\\"a\\":[1]}"'],
  ])('with %j says it in one line', (more, text) => {
    expect(describeRecord(record(more))).toBe(text);
  });

  it('has its time and level at a terminal, and its priority in the journal', () => {
    expect(textOfRecord(record())).toMatch(/^2026-11-2\d \d\d:00:00 warn {2}it is slow$/);
    expect(journalLineOf(record())).toBe('<4>it is slow');
    expect([20, 30, 50].map((level) => journalLineOf(record({ level })).slice(0, 3))).toEqual(['<7>', '<6>', '<3>']);
  });

  it.each([
    [{}, true],
    [{ level: 'warn' }, true],
    [{ level: 'error' }, false],
    [{ level: 'debug' }, true],
    [{ since: Date.UTC(2026, 10, 29, 8) }, true],
    [{ since: Date.UTC(2026, 10, 29, 8, 0, 1) }, false],
  ] as const)('passes the filter %j: %s', (filter, isPassed) => {
    expect(passes(record(), filter)).toBe(isPassed);
  });
});
