import { expect, test } from 'vitest';
import { idSchema } from '../../../src/providers/http/answers/entries.js';
import { timeIn, timeSchema } from '../../../src/providers/http/answers/times.js';

const time = Date.UTC(2016, 1, 3, 15, 29, 16);

test.each([
  ['2016-02-03T15:29:16Z', time],
  ['2016-02-03T15:29:16.968Z', time + 968],
  ['2016-02-03T17:29:16+02:00', time],
  ['2016-02-03T17:29:16.968+0200', time + 968],
  // Not the zone of this machine.
  ['2016-02-03T15:29:16', time],
  ['2016-02-03 15:29:16.5', time + 500],
  ['Wed, 03 Feb 2016 15:29:16 GMT', time],
  [time, time],
  [time / 1000, time],
  [time / 1000 + 0.001, time + 1],
  [`${time}`, time],
  [` ${time / 1000} `, time],
  [0, 0],
  ['', undefined],
  ['yesterday', undefined],
  [8.64e15 + 1, undefined],
  [Number.NaN, undefined],
  [null, undefined],
  [undefined, undefined],
])('the time %j', (written, expected) => {
  const zone = process.env.TZ;
  process.env.TZ = 'Asia/Tokyo';
  try {
    expect(timeIn(written)).toBe(expected);
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
});

test('what is no time hides no object', () => {
  expect(timeSchema.parse({ year: 2016 })).toBeNull();
});

test('an id that is a number is taken only if it is exact', () => {
  expect(idSchema.parse(12)).toBe('12');
  // The next one cannot be told from it.
  expect(idSchema.safeParse(2 ** 53).success).toBe(false);
});
