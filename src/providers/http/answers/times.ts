/**
 * Times in answers. The documents' examples are ISO 8601 in UTC; a server may write another offset, none, or a number. A time that is
 * not understood would make two revisions of one size look alike.
 */
import { z } from 'zod';

/** A time before it is parsed. Null where the answer has something else. */
export const timeSchema = z.union([z.string(), z.number()]).nullish().catch(null);

export type WrittenTime = z.infer<typeof timeSchema>;

/** The last moment that a `Date` can hold, ms. */
const lastDate = 8.64e15;
/** A smaller number counts seconds (up to the year 5138), a larger one ms (from 1973 on). */
const firstMs = 1e11;

/** Ms since the epoch. Undefined if it is no time, or one that a `Date` cannot hold. */
export function timeIn(written: WrittenTime): number | undefined {
  const time = typeof written === 'string' ? timeOfText(written.trim()) : numbered(written ?? Number.NaN);
  return Math.abs(time) <= lastDate ? Math.trunc(time) : undefined;
}

function timeOfText(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return numbered(Number(text));
  // By itself, `Date` takes a time without an offset for one of this machine's zone.
  const isLocal = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text);
  return Date.parse(isLocal ? `${text.replace(' ', 'T')}Z` : text);
}

function numbered(number: number): number {
  // Times with fractions of a second are not exact in binary.
  return Math.abs(number) < firstMs ? Math.round(number * 1000) : number;
}
