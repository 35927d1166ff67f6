/**
 * What a server says in lists and numbers is input like any other: one bad entry costs that entry and a line in the log, and
 * no number is believed beyond what it can be.
 */
import { z } from 'zod';
import type { Log } from '../../base/log.js';

/** More entries than that are no folder but a server that makes them up: each costs some hundred bytes of memory here. */
export const mostEntries = 2_000_000;

/** No service names its objects so; one that does could not be asked for in a URL that servers take. */
const longestId = 1024;

const idText = z
  .string()
  .min(1)
  .max(longestId)
  // In a path these two mean other folders, however they are written.
  .refine((id) => id !== '.' && id !== '..', 'an id that climbs');

/** An object's id, which becomes part of a path. */
export const idSchema = z.union([idText, z.number().transform(String)]);

const digits = z.string().regex(/^\d+$/).transform(Number);

/** A count or a size, at most 2^53 - 1. */
export const wholeSchema = z.union([z.number(), digits]).pipe(z.number().int().nonnegative());

/** Room in an account: as much as can be counted, where a service says more. Null where it says nonsense. */
export const roomSchema = z
  .union([z.number(), digits])
  .nullish()
  .catch(null)
  .transform((bytes) =>
    typeof bytes === 'number' && bytes >= 0 ? Math.min(Math.floor(bytes), Number.MAX_SAFE_INTEGER) : null,
  );

/** Ms since the epoch of a date or a number of ms; 0 for what is neither, or beyond what a date can be. */
export function timeIn(value: string | number | null | undefined): number {
  const time = typeof value === 'string' ? Date.parse(value) : (value ?? 0);
  return Math.abs(time) <= lastDate ? Math.trunc(time) : 0;
}

/** The last moment that a `Date` can hold, ms. */
const lastDate = 8.64e15;

/** An entry of a list that is not as the documents have it. */
export class BadEntry {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/** A list whose bad entries stay in their places: its length says how full a page is. */
export function entriesOf<T>(schema: z.ZodType<T>): z.ZodType<(T | BadEntry)[]> {
  return z.array(z.unknown()).transform((list) =>
    list.map((entry) => {
      const parsed = schema.safeParse(entry);
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      const name = (entry as { name?: unknown } | null)?.name;
      const who = typeof name === 'string' ? ` of ${JSON.stringify(name.slice(0, 100))}` : '';
      return new BadEntry(`"${issue?.path.join('.') ?? ''}"${who}: ${issue?.message ?? ''}`);
    }),
  );
}

/** Lines of the log about bad entries that are remembered, lest each listing tells of the same ones again. */
const rememberedLines = 1000;

export class BadEntries {
  readonly #log: Log;
  readonly #told = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** The good ones; the log tells of the others. */
  good<T>(list: readonly (T | BadEntry)[], route: string): T[] {
    const good: T[] = [];
    for (const entry of list) {
      if (entry instanceof BadEntry) this.#tell(`${route}: an entry is left out, ${entry.why}`);
      else good.push(entry);
    }
    return good;
  }

  #tell(line: string): void {
    if (this.#told.has(line)) return;
    if (this.#told.size >= rememberedLines) this.#told.clear();
    this.#told.add(line);
    this.#log.warn({}, line);
  }
}
