/**
 * Validates lists and numbers from a server, which are untrusted input. A bad entry is left out and logged; the rest of
 * the list is used. Numbers outside of their possible range are refused or capped.
 */
import { z } from 'zod';
import { forEachInTurns, mapInTurns } from '../../../base/event-loop-turns.js';
import type { Log } from '../../../base/log.js';

/** A listing with more entries is refused: no real folder is so large, and each entry costs some hundred bytes of memory. */
export const maxEntries = 2_000_000;

/** Characters. No service has longer ids, and servers do not accept URLs with much longer ones. */
const maxIdLength = 1024;

const idText = z
  .string()
  .min(1)
  .max(maxIdLength)
  // In a URL's path these two name other folders, even percent-encoded.
  .refine((id) => id !== '.' && id !== '..', 'an id that climbs');

/** An object's id. It becomes part of a URL's path. */
export const idSchema = z.union([
  idText,
  z.number().refine(Number.isSafeInteger, 'a number that is not exact').transform(String),
]);

const digits = z.string().regex(/^\d+$/).transform(Number);

/** A count or a size, at most 2^53 - 1. */
export const integerSchema = z.union([z.number(), digits]).pipe(z.number().int().nonnegative());

/** Bytes of storage in an account, capped at 2^53 - 1. Null if the service sends no valid number. */
export const storageSchema = z
  .union([z.number(), digits])
  .nullish()
  .catch(null)
  .transform((bytes) =>
    typeof bytes === 'number' && bytes >= 0 ? Math.min(Math.floor(bytes), Number.MAX_SAFE_INTEGER) : null,
  );

/** Stands in a list for an entry that does not match the documents. */
export class BadEntry {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/** A list from a server whose entries are not validated yet. */
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

  /** Validates each entry. Bad entries stay in their places, because callers tell from the length whether a page is full. */
  async validate(): Promise<(T | BadEntry)[]> {
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

/** A list whose entries are validated later, in pieces: `z.array` would validate all of them in one turn of the event loop. */
export function entriesOf<T>(schema: z.ZodType<T>): z.ZodType<UncheckedEntries<T>> {
  return list.transform((entries) => new UncheckedEntries(schema, entries));
}

/** How many logged lines are remembered, so that the next listing does not log the same entries again. */
const maxRememberedLines = 1000;

/** Drops bad entries from lists, and logs each of them once. */
export class BadEntries {
  readonly #log: Log;
  readonly #logged = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** The valid entries. Logs the others. */
  async filter<T>(list: readonly (T | BadEntry)[], route: string): Promise<T[]> {
    const good: T[] = [];
    await forEachInTurns(list, (entry) => {
      if (entry instanceof BadEntry) this.#warnOnce(`${route}: an entry is left out, ${entry.why}`);
      else good.push(entry);
    });
    return good;
  }

  #warnOnce(line: string): void {
    if (this.#logged.has(line)) return;
    if (this.#logged.size >= maxRememberedLines) this.#logged.clear();
    this.#logged.add(line);
    this.#log.warn({}, line);
  }
}
