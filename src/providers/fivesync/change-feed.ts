/**
 * `GET /changes` read to its end, whatever the server makes of `cursor`: the document answers one and names no parameter
 * that takes it.
 *
 * - accepted  each page follows the one before
 * - ignored   it brings the same page again: `since` is moved on instead
 * - refused   400: the same
 */
import type { CallOptions } from '../http/client/client.js';
import { type FiveSyncApi, isStatus } from './api.js';
import { type ChangeEvent, timeOf } from './entities.js';

/** Pages of one poll; more changes than that are read faster as a whole. */
const mostPages = 20;
/** The same of events, whatever the server puts into a page. */
const mostEvents = 10_000;

/** `lost`: the feed cannot tell what happened since; only a crawl can. */
export type Feed = { readonly kind: 'events'; readonly events: readonly ChangeEvent[] } | { readonly kind: 'lost' };

const lost: Feed = { kind: 'lost' };

export class ChangeFeed {
  readonly #api: FiveSyncApi;
  #cursor: 'unknown' | 'accepted' | 'useless' = 'unknown';

  constructor(api: FiveSyncApi) {
    this.#api = api;
  }

  /** Everything since `since` (server's time, ms). Events come once for each time they are told in one sequence of pages. */
  async read(since: number, options: CallOptions): Promise<Feed> {
    const events: ChangeEvent[] = [];
    const known = new Set<string>();
    let from = since;
    let cursor: string | undefined;
    for (let page = 0; page < mostPages; page++) {
      let answer: Awaited<ReturnType<FiveSyncApi['changes']>>;
      try {
        answer = await this.#api.changes(from, cursor, options);
      } catch (error) {
        if (cursor !== undefined && this.#cursor === 'unknown' && isStatus(error, 400)) {
          this.#cursor = 'useless';
          cursor = undefined;
          const moved = latest(events);
          if (moved === undefined) return lost;
          from = moved;
          continue;
        }
        // Too long ago for what the server keeps.
        if (isStatus(error, 400) || isStatus(error, 404) || isStatus(error, 410)) return lost;
        throw error;
      }
      const told = answer.events;
      if (events.length + told.length > mostEvents) return lost;
      const fresh = told.filter((event) => !known.has(keyOf(event)));
      if (page === 0) events.push(...told);
      else events.push(...fresh);
      for (const event of told) known.add(keyOf(event));
      if (answer.has_more !== true) return { kind: 'events', events };
      if (fresh.length === 0) {
        // The same page again: the cursor does nothing here.
        if (cursor === undefined || this.#cursor === 'accepted') return lost;
        this.#cursor = 'useless';
      } else if (cursor !== undefined) this.#cursor = 'accepted';
      const next = typeof answer.cursor === 'string' && answer.cursor !== '' ? answer.cursor : undefined;
      if (this.#cursor !== 'useless' && next !== undefined) {
        cursor = next;
        continue;
      }
      // Only an ascending feed can be walked by time.
      const moved = latest(events);
      if (moved === undefined || !isAscending(events)) return lost;
      cursor = undefined;
      from = moved;
    }
    return lost;
  }
}

export function keyOf({ id, action, timestamp }: ChangeEvent): string {
  return `${id}|${action}|${timestamp}`;
}

function latest(events: readonly ChangeEvent[]): number | undefined {
  const times = events.map((event) => timeOf(event.timestamp)).filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.max(...times);
}

function isAscending(events: readonly ChangeEvent[]): boolean {
  const times = events.map((event) => timeOf(event.timestamp) ?? Number.NEGATIVE_INFINITY);
  return times.every((time, i) => i === 0 || time >= (times[i - 1] ?? time));
}

/** What the events of one poll ask for. Pure. */
export function digest(
  events: readonly ChangeEvent[],
  known: (id: string) => { readonly modified: number; readonly created: number } | undefined,
  /** How often each event was told in the polls before. */
  seen: ReadonlyMap<string, number>,
): { readonly remove: string[]; readonly look: string[] } {
  const counts = new Map<string, number>();
  /** Events of one file at one moment, whatever they are. */
  const moments = new Map<string, number>();
  for (const event of events) {
    counts.set(keyOf(event), (counts.get(keyOf(event)) ?? 0) + 1);
    const moment = `${event.id}|${event.timestamp}`;
    moments.set(moment, (moments.get(moment) ?? 0) + 1);
  }
  const last = new Map<string, { action: string; time: number }>();
  const look = new Set<string>();
  for (const event of events) {
    const time = timeOf(event.timestamp) ?? Number.NaN;
    const before = last.get(event.id);
    // Of equal moments a deletion is the later: what is deleted does not change any more.
    if (before === undefined || time > before.time || (time === before.time && before.action !== 'deleted'))
      last.set(event.id, { action: event.action, time });
    const isNew = (counts.get(keyOf(event)) ?? 0) > (seen.get(keyOf(event)) ?? 0);
    const record = known(event.id);
    // Our own change, or one that was looked at already.
    const isKnown =
      record !== undefined &&
      moments.get(`${event.id}|${event.timestamp}`) === 1 &&
      (event.action === 'created' ? record.created === time || record.modified === time : record.modified === time);
    if (isNew && !isKnown) look.add(event.id);
  }
  const remove: string[] = [];
  for (const [id, { action }] of last) {
    if (action !== 'deleted') continue;
    look.delete(id);
    if (known(id) !== undefined) remove.push(id);
  }
  return { remove, look: [...look] };
}
