/**
 * Reads `GET /changes` to its end. Its answer has a `cursor`, but the document names no parameter that takes it. So the
 * server may do one of three things with a `cursor` parameter:
 *
 * - accept it  each page follows the one before
 * - ignore it  the same page comes again: advance `since` instead
 * - refuse it  with 400: advance `since` too
 */

import { timeIn } from '../http/answers/times.js';
import type { CallOptions } from '../http/client/call.js';
import { type FiveSyncApi, isStatus } from './api.js';
import type { ChangeEvent } from './entities.js';

/** Events of one poll. For more changes, a crawl is faster. */
const maxEvents = 10_000;

/** `lost`: the feed cannot bring all changes; only a crawl can. */
export type Feed = { readonly kind: 'events'; readonly events: readonly ChangeEvent[] } | { readonly kind: 'lost' };

const lost: Feed = { kind: 'lost' };

export class ChangeFeed {
  readonly #api: FiveSyncApi;
  #cursor: 'unknown' | 'accepted' | 'useless' = 'unknown';
  /** Requests of the last `read`. */
  requests = 0;

  constructor(api: FiveSyncApi) {
    this.#api = api;
  }

  /**
   * All events since `since` (ms since the epoch, by the server's clock). Events that a later page repeats are dropped;
   * equal events within the first page are kept. The feed counts as lost when it has more than `maxPages`.
   */
  async read(since: number, maxPages: number, options: CallOptions): Promise<Feed> {
    const events: ChangeEvent[] = [];
    const known = new Set<string>();
    let from = since;
    let cursor: string | undefined;
    this.requests = 0;
    for (let page = 0; page < maxPages; page++) {
      this.requests++;
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
        // `since` is before the oldest event that the server keeps.
        if (isStatus(error, 400) || isStatus(error, 404) || isStatus(error, 410)) return lost;
        throw error;
      }
      const received = answer.events;
      if (events.length + received.length > maxEvents) return lost;
      const fresh = received.filter((event) => !known.has(keyOf(event)));
      if (page === 0) events.push(...received);
      else events.push(...fresh);
      for (const event of received) known.add(keyOf(event));
      if (answer.has_more !== true) return { kind: 'events', events };
      if (fresh.length === 0) {
        // The same page came again: this server ignores the cursor.
        if (cursor === undefined || this.#cursor === 'accepted') return lost;
        this.#cursor = 'useless';
      } else if (cursor !== undefined) this.#cursor = 'accepted';
      const next = typeof answer.cursor === 'string' && answer.cursor !== '' ? answer.cursor : undefined;
      if (this.#cursor !== 'useless' && next !== undefined) {
        cursor = next;
        continue;
      }
      // Advancing `since` works only if events come in ascending order.
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
  const times = events.map((event) => timeIn(event.timestamp)).filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.max(...times);
}

function isAscending(events: readonly ChangeEvent[]): boolean {
  const times = events.map((event) => timeIn(event.timestamp) ?? Number.NEGATIVE_INFINITY);
  return times.every((time, i) => i === 0 || time >= (times[i - 1] ?? time));
}

/** Computes from the events of one poll which files to remove from the index and which to request anew. Pure. */
export function digest(
  events: readonly ChangeEvent[],
  known: (id: string) => { readonly modified: number; readonly created: number } | undefined,
  /** How often earlier polls brought each event. */
  seen: ReadonlyMap<string, number>,
): { readonly remove: string[]; readonly look: string[] } {
  const counts = new Map<string, number>();
  /** Number of events of one file at one time. */
  const moments = new Map<string, number>();
  for (const event of events) {
    counts.set(keyOf(event), (counts.get(keyOf(event)) ?? 0) + 1);
    const moment = `${event.id}|${event.timestamp}`;
    moments.set(moment, (moments.get(moment) ?? 0) + 1);
  }
  const last = new Map<string, { action: string; time: number }>();
  const look = new Set<string>();
  for (const event of events) {
    const time = timeIn(event.timestamp) ?? Number.NaN;
    const before = last.get(event.id);
    // At equal times, the deletion counts as the later event, because a deleted file no longer changes.
    if (before === undefined || time > before.time || (time === before.time && before.action !== 'deleted'))
      last.set(event.id, { action: event.action, time });
    const isNew = (counts.get(keyOf(event)) ?? 0) > (seen.get(keyOf(event)) ?? 0);
    const record = known(event.id);
    // Our own change, or a change that is in the index already.
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
