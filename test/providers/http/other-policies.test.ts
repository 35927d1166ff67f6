/** The tables and pure decisions of 5sync and Acronis. */
import { describe, expect, test } from 'vitest';
import { readError as readAcronisError } from '../../../src/providers/acronis/error-table.js';
import { readTokenError } from '../../../src/providers/acronis/tokens.js';
import { digest } from '../../../src/providers/fivesync/change-feed.js';
import { normalPath, parentPath } from '../../../src/providers/fivesync/entities.js';
import { readError as readFiveSyncError } from '../../../src/providers/fivesync/error-table.js';
import { dispositionOf } from '../../../src/providers/fivesync/form-data.js';
import { planParts } from '../../../src/providers/fivesync/parts.js';

describe('errors', () => {
  test.each([
    [400, 'bad_request', 'protocol', 'never'],
    [401, 'unauthorized', 'auth', 'never'],
    [403, 'forbidden', 'permission', 'never'],
    [404, 'not_found', 'not-found', 'never'],
    [429, 'rate_limit_exceeded', 'rate-limited', 'safely'],
    [500, 'internal_error', 'server', 'uncertain'],
    // Not documented.
    [400, 'new_type', 'protocol', 'never'],
    [502, 'bad_request', 'server', 'uncertain'],
    [503, 'maintenance', 'server', 'uncertain'],
    [409, 'conflict', 'exists', 'never'],
    [413, 'too_large', 'too-large', 'never'],
    [507, 'storage_full', 'quota', 'never'],
    [302, '', 'protocol', 'uncertain'],
  ])('5sync %i %s is %s', (status, type, code, repeat) => {
    const text = JSON.stringify({ error: { type, message: 'told' } });
    expect(readFiveSyncError(status, text)).toMatchObject({ code, repeat, providerCode: type, message: 'told' });
  });

  test.each(['', '<html>', '{"error":"text"}', '{"error":null}', '{'])('5sync body %j', (text) => {
    expect(readFiveSyncError(404, text)).toMatchObject({ code: 'not-found' });
  });

  test('a 5sync error contains the time to wait', () => {
    const text = '{"error":{"type":"rate_limit_exceeded","message":"Rate limit exceeded. Try again in 42 seconds."}}';
    expect(readFiveSyncError(429, text).retryAfterMs).toBe(42_000);
  });

  test.each([
    [403, 3, 'permission', 'never'],
    [400, 9, 'integrity', 'safely'],
    [404, 10, 'not-found', 'never'],
    [400, 15, 'invalid-name', 'never'],
    [409, 92, 'exists', 'never'],
    // Not documented.
    [400, 77, 'protocol', 'never'],
    [403, 77, 'permission', 'never'],
    [500, 3, 'server', 'uncertain'],
    [429, 1, 'rate-limited', 'safely'],
    [507, 1, 'quota', 'never'],
  ])('Acronis %i, code %i is %s', (status, number, code, repeat) => {
    const text = JSON.stringify({ error: { domain: 'Files', code: number, message: 'told' } });
    expect(readAcronisError(status, text)).toMatchObject({
      code,
      repeat,
      providerCode: `${status}.${number}`,
      message: 'told',
    });
  });

  test.each([
    [401, '', 'auth'],
    [404, '', 'not-found'],
    [403, '<html>', 'permission'],
    [405, '', 'unsupported'],
    [500, '', 'server'],
  ])('Acronis %i without its documented body is %s', (status, text, code) => {
    expect(readAcronisError(status, text)).toMatchObject({ code, providerCode: undefined });
  });

  test.each([
    [400, 'invalid_grant', 'auth'],
    [401, 'invalid_client', 'auth'],
    [503, 'x', 'server'],
    [429, 'x', 'rate-limited'],
  ])('token endpoint %i %s is %s', (status, error, code) => {
    expect(readTokenError(status, JSON.stringify({ error }))).toMatchObject({ code, providerCode: error });
  });
});

test.each([
  ['', '/', null],
  ['/', '/', null],
  ['documents', '/documents', '/'],
  ['/documents/', '/documents', '/'],
  ['//a//b c/', '/a/b c', '/a'],
])('path %j is %j, in %j', (given, normal, parent) => {
  expect(normalPath(given)).toBe(normal);
  expect(parentPath(normal)).toBe(parent);
});

test.each([
  [10, 2, 5, [5, 5]],
  [11, 3, 5, [5, 5, 1]],
  [3, 1, 5, [3]],
  [11, 2, 5, undefined],
  [10, 3, 5, undefined],
  [10, 1, 0, undefined],
])('%i bytes in %i parts of %i', (size, parts, bytes, lengths) => {
  expect(planParts(size, parts, bytes)?.map((part) => part.length)).toEqual(lengths);
});

test.each([
  ['percent', 'filename="a %22b%22 \\ü"'],
  ['backslash', 'filename="a \\"b\\" \\\\ü"'],
  ['extended', `filename="a _b_ __"; filename*=UTF-8''a%20%22b%22%20%5C%C3%BC`],
] as const)('a file name in form %s', (form, text) => {
  expect(dispositionOf('a "b" \\ü', form)).toBe(text);
});

describe('events', () => {
  const at = (second: number): string => `2025-02-10T14:22:0${second}Z`;
  const time = (second: number): number => Date.parse(at(second));
  const event = (id: string, action: string, second: number) => ({ id, action, timestamp: at(second) });
  const known = (id: string) => (id === 'f1' ? { created: time(1), modified: time(2) } : undefined);

  test.each([
    ['nothing', [], {}, [], []],
    ['a new file', [event('f2', 'created', 3)], {}, [], ['f2']],
    ['a change', [event('f1', 'modified', 3)], {}, [], ['f1']],
    ['our own upload', [event('f1', 'created', 1), event('f1', 'modified', 2)], {}, [], []],
    ['another change in the same second', [event('f1', 'created', 2), event('f1', 'modified', 2)], {}, [], ['f1']],
    ['deleted', [event('f1', 'modified', 3), event('f1', 'deleted', 4)], {}, ['f1'], []],
    ['deleted before we knew it', [event('f9', 'created', 3), event('f9', 'deleted', 3)], {}, [], []],
    ['deleted and there again', [event('f1', 'deleted', 3), event('f1', 'created', 4)], {}, [], ['f1']],
    ['told before', [event('f2', 'created', 3)], { [`f2|created|${at(3)}`]: 1 }, [], []],
    [
      'told once more than before',
      Array(2).fill(event('f2', 'modified', 3)),
      { [`f2|modified|${at(3)}`]: 1 },
      [],
      ['f2'],
    ],
    ['an action of the future', [event('f1', 'renamed', 3)], {}, [], ['f1']],
  ] as [string, ReturnType<typeof event>[], Record<string, number>, string[], string[]][])(
    '%s',
    (_, events, seen, remove, look) => {
      expect(digest(events, known, new Map(Object.entries(seen)))).toEqual({ remove, look });
    },
  );
});
