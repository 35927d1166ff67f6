import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/base/errors.js';
import { describeLimit, limitAt, parseBandwidth } from '../../src/config/bandwidth-timetable.js';

const K = 1024;
const M = 1024 * 1024;
/** 2026-11-29 is a Sunday. */
const at = (day: number, time: string): Date => new Date(`2026-11-${29 + day > 30 ? '30' : 29 + day}T${time}:00`);
const sunday = (time: string): Date => at(0, time);
const monday = (time: string): Date => at(1, time);

describe('a limit of the bandwidth', () => {
  it.each([
    ['off', null, null],
    ['', null, null],
    ['0', null, null],
    ['5M:1M', 5 * M, M],
    ['2M', 2 * M, 2 * M],
    ['off:512K', null, 512 * K],
    ['1.5M:off', 1.5 * M, null],
    ['100B', 100, 100],
  ])('%j is %d down and %d up', (text, down, up) => {
    expect(limitAt(parseBandwidth(text), sunday('12:00'))).toEqual({ limit: { down, up }, minutesLeft: null });
  });

  it.each([
    ['512', /no unit/],
    ['5M:1M:2M', /not DOWN:UP/],
    ['fast', /not a bandwidth/],
    ['08:00,512K 19:00', /not TIME,LIMIT/],
    ['08:00', /not TIME,LIMIT/],
    ['24:00,1M 08:00,off', /not TIME,LIMIT/],
    ['Fun-08:00,1M', /not TIME,LIMIT/],
    ['08:00,512', /no unit/],
  ])('%j is none', (text, why) => {
    expect(() => parseBandwidth(text)).toThrow(UsageError);
    expect(() => parseBandwidth(text)).toThrow(why);
  });

  it.each([
    [sunday('08:00'), 512 * K, 11 * 60],
    [sunday('18:59'), 512 * K, 1],
    [sunday('19:00'), null, 13 * 60],
    [monday('00:00'), null, 8 * 60],
    [sunday('07:59'), null, 1],
  ])('of every day holds from its time to the next one: %s', (date, down, minutesLeft) => {
    const found = limitAt(parseBandwidth('19:00,off 08:00,512K:128K'), date);
    expect([found.limit.down, found.minutesLeft]).toEqual([down, minutesLeft]);
  });

  it.each([
    [sunday('23:00'), null],
    [monday('07:00'), null],
    [monday('08:00'), M],
    [monday('12:30'), 2 * M],
  ])('of a day wins over that of every day: %s', (date, down) => {
    expect(limitAt(parseBandwidth('Mon-08:00,1M mon-12:30,2M 08:00,off'), date).limit.down).toBe(down);
  });

  it('goes from one week into the next', () => {
    const found = limitAt(parseBandwidth('Tue-10:00,1M Fri-10:00,3M'), monday('10:00'));
    expect([found.limit.down, found.minutesLeft]).toEqual([3 * M, 24 * 60]);
  });

  it('is told in words', () => {
    expect(describeLimit({ down: 5 * M, up: null })).toBe('5.0 MiB/s down, up without limit');
  });
});
