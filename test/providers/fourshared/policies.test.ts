import { describe, expect, test } from 'vitest';
import { additionalParallel, chunkPolicy, planChunks } from '../../../src/providers/fourshared/chunk-plan.js';
import { errorTable, readError } from '../../../src/providers/fourshared/error-table.js';
import { afterPages, planPages } from '../../../src/providers/fourshared/page-plan.js';
import {
  coveredBytes,
  missingSpans,
  parseContentRange,
  parseRangeList,
} from '../../../src/providers/http/answers/content-range.js';
import { PriorityGate } from '../../../src/providers/http/client/priority-gate.js';
import { parseRetryAfter, retryDelay } from '../../../src/providers/http/client/retry-delay.js';
import { redirectTarget } from '../../../src/providers/http/ranges/download.js';
import { readRangeAnswer } from '../../../src/providers/http/ranges/range-answer.js';

describe('retryDelay', () => {
  test.each([
    { tries: 1, leftMs: 60_000, random: 0, delay: 100 },
    { tries: 1, leftMs: 60_000, random: 0.999, delay: 200 },
    { tries: 2, leftMs: 60_000, random: 0, delay: 200 },
    { tries: 5, leftMs: 60_000, random: 0, delay: 1600 },
    { tries: 40, leftMs: 60_000, random: 0, delay: 5000 },
    { tries: 1, leftMs: 100, random: 0, delay: null },
    { tries: 1, leftMs: 60_000, random: 0, retryAfterMs: 3000, delay: 3000 },
    { tries: 9, leftMs: 60_000, random: 0, retryAfterMs: 3000, delay: 5000 },
    { tries: 1, leftMs: 60_000, random: 0, retryAfterMs: 120_000, delay: null },
    { tries: 1, leftMs: 300_000, random: 0, retryAfterMs: 120_000, delay: 120_000 },
  ])('%o', ({ delay, ...input }) => {
    expect(retryDelay(input)).toBe(delay);
  });
});

test.each([
  [undefined, undefined],
  ['0', 0],
  ['7', 7000],
  [' 1.5 ', 1500],
  ['-3', undefined],
  ['soon', undefined],
  ['Thu, 01 Jan 1970 00:01:40 GMT', 90_000],
  ['Thu, 01 Jan 1970 00:00:01 GMT', 0],
])('Retry-After %o is %o ms', (value, ms) => {
  expect(parseRetryAfter(value, 10_000)).toBe(ms);
});

describe('ranges', () => {
  test.each([
    [undefined, []],
    ['', []],
    ['0-99', [[0, 100]]],
    ['bytes=0-99', [[0, 100]]],
    ['bytes 0-99/1000', [[0, 100]]],
    [
      '0-99, 200-299',
      [
        [0, 100],
        [200, 300],
      ],
    ],
    [
      'bytes=200-299,0-99',
      [
        [0, 100],
        [200, 300],
      ],
    ],
    ['0-99,100-199, 150-250', [[0, 251]]],
    ['0-99, nonsense, 9-5', [[0, 100]]],
  ] as [string | undefined, [number, number][]][])('list %o', (value, spans) => {
    expect(parseRangeList(value)).toEqual(spans.map(([start, end]) => ({ start, end })));
  });

  test('several header lines are one list', () => {
    expect(parseRangeList(['0-9', '20-29'])).toHaveLength(2);
  });

  test.each([
    [[], 100, [[0, 100]], 0],
    [[[0, 100]], 100, [], 100],
    [
      [
        [10, 20],
        [30, 40],
      ],
      50,
      [
        [0, 10],
        [20, 30],
        [40, 50],
      ],
      20,
    ],
    [[[0, 500]], 100, [], 100],
    [[[50, 500]], 100, [[0, 50]], 50],
    [[], 0, [], 0],
  ] as [[number, number][], number, [number, number][], number][])(
    'missing from %o of %o',
    (stored, size, missing, covered) => {
      const spans = stored.map(([start, end]) => ({ start, end }));
      expect(missingSpans(spans, size)).toEqual(missing.map(([start, end]) => ({ start, end })));
      expect(coveredBytes(spans, size)).toBe(covered);
    },
  );

  test.each([
    ['bytes 0-99/1000', { start: 0, end: 100, total: 1000 }],
    ['bytes 5-5/*', { start: 5, end: 6, total: null }],
    ['bytes 9-5/10', undefined],
    ['bytes 0-10/10', undefined],
    ['bytes */10', undefined],
    [undefined, undefined],
  ])('Content-Range %o', (value, range) => {
    expect(parseContentRange(value)).toEqual(range);
  });
});

describe('chunks', () => {
  const MiB = 1024 * 1024;
  test('have 8 MiB, eight at once, the first one shorter; larger ones for very large files', () => {
    expect(chunkPolicy(256 * MiB)).toEqual({ chunkBytes: 8 * MiB, firstBytes: 2 * MiB, parallel: 8, maxParallel: 16 });
    expect(chunkPolicy(256 * MiB, 5)).toMatchObject({ chunkBytes: 5, firstBytes: 5 });
    expect((20_000 * MiB) / chunkPolicy(20_000 * MiB).chunkBytes).toBeLessThanOrEqual(1000);
  });
  test.each([
    ['on a fast line', 8, 8 * MiB, 400, 8],
    ['only up to maxParallel', 12, 8 * MiB, 400, 4],
    ['none above maxParallel', 16, 8 * MiB, 400, 0],
    ['not on a slow line', 8, 8 * MiB, 1001, 0],
    ['not if chunks must go in order', 1, 8 * MiB, 1, 0],
    ['on a line that was fast with the first chunk', 8, 2 * MiB, 240, 8],
    ['not on a line that was slow with the first chunk', 8, 2 * MiB, 260, 0],
  ])('additional workers: %s', (_, running, bytes, tookMs, expected) => {
    expect(additionalParallel(chunkPolicy(256 * MiB), running, bytes, tookMs)).toBe(expected);
  });
  test('cover exactly what is missing, the first one shorter', () => {
    const missing = [
      { start: 0, end: 25 },
      { start: 40, end: 45 },
    ];
    expect(planChunks(missing, { chunkBytes: 10, firstBytes: 4 })).toEqual([
      { start: 0, end: 4 },
      { start: 4, end: 14 },
      { start: 14, end: 24 },
      { start: 24, end: 25 },
      { start: 40, end: 45 },
    ]);
  });
});

describe('pages', () => {
  test.each([
    [null, true, null],
    [0, true, 0],
    [0, false, null],
    [1, true, 1],
    [100, true, 1],
    [101, true, 2],
    [250, false, 3],
  ])('count %o, fresh %o', (count, fresh, pages) => {
    expect(planPages(count, fresh)).toBe(pages);
  });
  test.each([
    [[], 0, true, 'done'],
    [[40], 40, true, 'done'],
    [[100], 100, true, 'done'],
    [[100], 100, false, 100],
    [[100, 100], 150, true, 200],
    [[100, 20], 150, true, 'done'],
    [[100, 80, 30], 230, true, 'restart'],
    [[100, 80, 0], 230, true, 'done'],
  ] as [number[], number, boolean, unknown][])('got %o of %o, fresh %o', (lengths, count, fresh, next) => {
    expect(afterPages(lengths, count, fresh)).toBe(next);
  });
});

describe('range answers', () => {
  const wanted = { offset: 10, length: 5 };
  const bytes = (offset: number, length: number, unproven = false): object => ({
    kind: 'bytes',
    offset,
    length,
    unproven,
  });
  test.each([
    [206, { 'content-range': 'bytes 10-14/100', 'content-length': '5' }, bytes(10, 5)],
    [206, { 'content-range': 'bytes 10-14/100' }, bytes(10, 5)],
    [206, { 'content-range': 'bytes 10-12/100', 'content-length': '3' }, bytes(10, 3)],
    [200, { 'content-range': 'bytes 10-14/100', 'content-length': '5' }, bytes(10, 5)],
    [200, { 'content-length': '5' }, bytes(10, 5, true)],
    [200, { 'content-length': '100' }, bytes(0, 100)],
    [200, {}, bytes(0, 100)],
    [206, { 'content-range': 'bytes 10-14/99', 'content-length': '5' }, { kind: 'changed' }],
    [206, { 'content-range': 'bytes 11-15/100' }, { kind: 'wrong' }],
    [206, { 'content-range': 'bytes 10-19/100' }, { kind: 'wrong' }],
    [206, { 'content-range': 'bytes 10-14/100', 'content-length': '4' }, { kind: 'wrong' }],
    [206, {}, { kind: 'wrong' }],
    [200, { 'content-length': '5', 'content-encoding': 'gzip' }, { kind: 'wrong' }],
    [200, { 'content-length': '77' }, { kind: 'doubtful' }],
    [200, { 'content-type': 'text/html; charset=utf-8' }, { kind: 'doubtful' }],
    [416, { 'content-range': 'bytes */4' }, { kind: 'doubtful' }],
  ])('%o %o', (status, headers, meaning) => {
    expect(readRangeAnswer(status, headers, 100, wanted)).toMatchObject(meaning);
  });
});

describe('errors of the documents', () => {
  // "Common Responses", both documents.
  const documented =
    `400 400.0212 400.0213 400.0215 400.0216 400.0218 400.0219 400.0220 400.0303 400.0500 401 401.0300 401.0301
    401.0316 401.0317 401.0318 401.0319 401.0600 403 403.0100 403.0101 403.0102 403.0103 403.0104 403.0105 403.0200 403.0201
    403.0206 403.0223 403.0224 403.0225 403.0228 403.0233 403.0302 403.0303 403.0305 403.0306 403.0307 403.0308 403.0313
    403.0323 403.0461 404 405 405.0211 406 406.0209 415 415.0210 429 429.0107 500 500.0600 501 501.0601 501.0602`.split(
      /\s+/,
    );

  test('every documented code has its row', () => {
    expect(documented.filter((code) => errorTable[code] === undefined)).toEqual([]);
  });

  const body = (code: unknown, more: object = {}): string =>
    JSON.stringify({ message: 'no', code, cause: null, ...more });
  test.each([
    [400, body('400.0213', { fieldName: 'name' }), 'invalid-name', 'never'],
    [400, body('400.0213', { fieldName: 'fileName' }), 'invalid-name', 'never'],
    [400, body('400.0213', { fieldName: 'description' }), 'protocol', 'never'],
    [
      400,
      body('400.0215', { message: 'Invalid value for name parameter, name may not be empty.' }),
      'invalid-name',
      'never',
    ],
    [400, body('400.9999'), 'protocol', 'never'],
    [401, body('401.0301'), 'auth', 'never'],
    [401, '', 'auth', 'never'],
    [401, body('401.0318'), 'auth', 'safely'],
    [401, body('401.0600'), 'server', 'uncertain'],
    [403, body('403.0100'), 'quota', 'never'],
    [403, body('403.0101'), 'too-large', 'never'],
    [403, body('403.0104'), 'limit', 'never'],
    [403, body('403.0201'), 'exists', 'never'],
    [403, body('403.0228'), 'invalid-name', 'never'],
    [403, body('403.0302'), 'permission', 'never'],
    [403, body('403.7777'), 'permission', 'never'],
    [404, '<html>', 'not-found', 'never'],
    [409, '', 'exists', 'never'],
    [418, '', 'protocol', 'never'],
    [429, body('429.0107'), 'rate-limited', 'safely'],
    [500, body('500.0600'), 'server', 'uncertain'],
    [501, body('501.0602'), 'server', 'uncertain'],
    [501, body('501.0601'), 'unsupported', 'never'],
    [502, body('403.0201'), 'server', 'uncertain'],
    [503, '<html>busy</html>', 'server', 'uncertain'],
    [302, '', 'protocol', 'uncertain'],
    [507, '', 'quota', 'never'],
  ])('%o %s is %s', (status, text, code, repeat) => {
    expect(readError(status, text)).toMatchObject({ code, repeat });
  });
});

test.each([
  ['https://a.example/x', '/y', 'https://a.example/y'],
  ['https://a.example/x', 'https://cdn.example/z?k=1', 'https://cdn.example/z?k=1'],
  ['https://a.example/x', 'http://cdn.example/z', undefined],
  ['https://a.example/x', 'http://127.0.0.1/z', undefined],
  ['http://127.0.0.1:1/x', 'http://127.0.0.1:2/z', 'http://127.0.0.1:2/z'],
  ['http://127.0.0.1:1/x', 'http://cdn.example/z', undefined],
  ['https://a.example/x', 'file:///etc/passwd', undefined],
  ['https://a.example/x', 'https://u:p@a.example/', undefined],
  ['https://a.example/x', undefined, undefined],
])('redirect from %s to %s', (from, location, target) => {
  expect(redirectTarget(new URL(from), location)?.href).toBe(target);
});

test('foreground goes before background, which never takes every connection', async () => {
  const gate = new PriorityGate(4);
  const order: string[] = [];
  const leaves = await Promise.all([1, 2, 3].map(() => gate.acquire('background')));
  const late = gate.acquire('background').then((leave) => [order.push('background'), leave] as const);
  const fore = await gate.acquire('foreground');
  const second = gate.acquire('foreground').then((leave) => [order.push('foreground'), leave] as const);
  const gone = new AbortController();
  const cancelled = gate.acquire('foreground', gone.signal);
  gone.abort(new Error('left'));
  await expect(cancelled).rejects.toThrow('left');
  for (const leave of leaves) leave();
  fore();
  await Promise.all([late, second]);
  expect(order).toEqual(['foreground', 'background']);
});
