/**
 * What a server says in lists and numbers is input like any other: one bad entry costs that entry and a line in the log, and
 * no number is believed beyond what it can be.
 */
import { z } from 'zod';
import type { Log } from '../../../base/log.js';
import { forEachInTurns, mapInTurns } from '../../../base/turns.js';

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

/** A list as it came: that it is one is known, and nothing of its entries. */
export class UncheckedEntries<T> {
  readonly #schema: z.ZodType<T>;
  readonly #list: readonly unknown[];

  constructor(schema: z.ZodType<T>, list: readonly unknown[]) {
    this.#schema = schema;
    this.#list = list;
  }

  get length(): number {
    return this.#list.length;
  }

  /** Bad entries stay in their places: the length says how full a page is. */
  async checked(): Promise<(T | BadEntry)[]> {
    return await mapInTurns(this.#list, (entry) => {
      const parsed = this.#schema.safeParse(entry);
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      const name = (entry as { name?: unknown } | null)?.name;
      const who = typeof name === 'string' ? ` of ${JSON.stringify(name.slice(0, 100))}` : '';
      return new BadEntry(`"${issue?.path.join('.') ?? ''}"${who}: ${issue?.message ?? ''}`);
    });
  }
}

const list = z.custom<readonly unknown[]>((value) => Array.isArray(value), 'not a list');

/** A list of what `schema` describes, to be checked entry by entry: `z.array` would check them all before anybody else has a turn. */
export function entriesOf<T>(schema: z.ZodType<T>): z.ZodType<UncheckedEntries<T>> {
  return list.transform((entries) => new UncheckedEntries(schema, entries));
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
  async good<T>(list: readonly (T | BadEntry)[], route: string): Promise<T[]> {
    const good: T[] = [];
    await forEachInTurns(list, (entry) => {
      if (entry instanceof BadEntry) this.#tell(`${route}: an entry is left out, ${entry.why}`);
      else good.push(entry);
    });
    return good;
  }

  #tell(line: string): void {
    if (this.#told.has(line)) return;
    if (this.#told.size >= rememberedLines) this.#told.clear();
    this.#told.add(line);
    this.#log.warn({}, line);
  }
}
