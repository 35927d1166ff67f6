/** `--bwlimit`: the allowed transfer rates by time of the week. Pure functions, tested as a table. */
import { UsageError } from '../base/errors.js';
import { formatSize, parseSize } from './units.js';

/** Bytes a second; null: no limit. */
export interface BandwidthLimit {
  readonly down: number | null;
  readonly up: number | null;
}

/** The limit holds from this minute of the week on (0: Sunday 0:00, local time), until the minute of the next entry. */
export interface TimetableEntry {
  readonly minute: number;
  readonly limit: BandwidthLimit;
}

/** Sorted by `minute`, with at least one entry. With exactly one, its limit always holds. */
export type Timetable = readonly TimetableEntry[];

export const noLimit: BandwidthLimit = { down: null, up: null };

const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;

/**
 * `5M:1M` (down:up), `2M` (both), `off`, or a timetable such as `08:00,512K 19:00,off` or `Mon-08:00,512K:128K Sat-00:00,off`. Entries
 * without a day are for every day. Throws `UsageError`.
 */
export function parseBandwidth(text: string): Timetable {
  const words = text.trim().split(/\s+/);
  const isTimetable = words.length > 1 || /,|^([a-z]{3}-)?\d{1,2}:\d{2}$/i.test(text.trim());
  if (!isTimetable) return [{ minute: 0, limit: parseLimit(words[0] ?? '') }];
  const byMinute = new Map<number, BandwidthLimit>();
  const entries = words.map(parseEntry);
  // An entry with a day wins over one for every day.
  for (const isForOneDay of [false, true])
    for (const { minutes, limit } of entries)
      if ((minutes.length === 1) === isForOneDay) for (const minute of minutes) byMinute.set(minute, limit);
  return [...byMinute].map(([minute, limit]) => ({ minute, limit })).sort((a, b) => a.minute - b.minute);
}

function parseEntry(word: string): { readonly minutes: readonly number[]; readonly limit: BandwidthLimit } {
  const match = /^(?:([a-z]{3})-)?(\d{1,2}):(\d{2}),(.+)$/i.exec(word);
  const [, dayName, hours, minutes, limit] = match ?? [];
  const day = days.indexOf(dayName?.toLowerCase() ?? '');
  const isTime = Number(hours) < 24 && Number(minutes) < 60;
  if (match === null || !isTime || (dayName !== undefined && day < 0))
    throw new UsageError(`'${word}' is not TIME,LIMIT (such as 08:00,512K or Mon-19:30,off)`);
  const minute = Number(hours) * 60 + Number(minutes);
  const on = day < 0 ? days.map((_, at) => at) : [day];
  return { minutes: on.map((at) => at * DAY_MINUTES + minute), limit: parseLimit(limit ?? '') };
}

function parseLimit(text: string): BandwidthLimit {
  const rates = text.split(':');
  if (rates.length > 2) throw new UsageError(`'${text}' is not DOWN:UP (such as 5M:1M)`);
  const [down = null, up = down] = rates.map(parseRate);
  return { down, up };
}

function parseRate(text: string): number | null {
  if (text === 'off' || text === '') return null;
  // Other programs read a bare number as KiB, our other options as bytes. A limit that is a thousand times wrong would be noticed late.
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0)
    throw new UsageError(`'${text}' has no unit: ${text}K are so many KiB a second, ${text}B bytes`);
  const rate = parseBytes(text);
  return rate === 0 ? null : rate;
}

function parseBytes(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new UsageError(`'${text}' is not a bandwidth (such as 5M, 5M:1M or off)`, { cause: error });
  }
}

/** The current limit, and the minutes until the next entry (null if there is only one). */
export function limitAt(
  timetable: Timetable,
  at: Date,
): { readonly limit: BandwidthLimit; readonly minutesLeft: number | null } {
  const now = at.getDay() * DAY_MINUTES + at.getHours() * 60 + at.getMinutes();
  // Before the first entry of the week, the last one of the week before holds.
  const current = timetable.findLast(({ minute }) => minute <= now) ?? timetable.at(-1);
  const [first] = timetable;
  if (timetable.length <= 1 || first === undefined) return { limit: current?.limit ?? noLimit, minutesLeft: null };
  const next = timetable.find(({ minute }) => minute > now)?.minute ?? first.minute + WEEK_MINUTES;
  return { limit: current?.limit ?? noLimit, minutesLeft: next - now };
}

/** For people: `5.0 MiB/s down, up without limit`. */
export function describeLimit({ down, up }: BandwidthLimit): string {
  const part = (rate: number | null, way: string): string =>
    rate === null ? `${way} without limit` : `${formatSize(rate)}/s ${way}`;
  return `${part(down, 'down')}, ${part(up, 'up')}`;
}
