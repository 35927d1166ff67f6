import { type Clock, type SteadyTime, steadyTimeOf } from '../../../base/clock.js';
import type { Outage, RateLimit, RequestMetrics } from '../../request-metrics.js';
import { TransportFailure, type WireResponse } from '../transport/wire.js';

/** Without any answer for so long, ms, a service with requests under way counts as out. */
const SILENCE_MS = 5_000;

/** Counts requests as they are sent, repeats and redirects included: each costs a round trip. */
export class RequestCounter {
  #total = 0;
  readonly #byRoute = new Map<string, number>();
  readonly #outcomes = new Map<string, Record<string, number>>();
  rateLimit: RateLimit | null = null;
  readonly #clock: Clock;
  readonly #time: SteadyTime;
  #outage: Outage | null = null;
  /** Requests that wait for an answer, and when they were sent (by `#time`), oldest first. */
  readonly #waiting = new Map<object, number>();
  /** By `#time`. */
  #answeredAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#time = steadyTimeOf(clock);
  }

  /** `route` is a template such as `GET /files/{id}`, never a real path. */
  count(route: string): void {
    this.#total += 1;
    this.#byRoute.set(route, (this.#byRoute.get(route) ?? 0) + 1);
  }

  /** Follows a request to the head of its answer. `isShort`: it has no content, so that a long wait is the service's silence. */
  async follow(route: string, isShort: boolean, sending: Promise<WireResponse>): Promise<WireResponse> {
    const key = {};
    if (isShort) this.#waiting.set(key, this.#time.now());
    try {
      const response = await sending;
      this.#answered(route, response.status);
      return response;
    } catch (error) {
      this.#unanswered(route, error);
      throw error;
    } finally {
      this.#waiting.delete(key);
    }
  }

  #answered(route: string, status: number): void {
    this.#answeredAt = this.#time.now();
    if (status >= 500) this.#failed(`it answers with ${status}`);
    else this.#outage = null;
    this.#ended(route, `${Math.floor(status / 100)}xx`);
  }

  /** There was no answer. The service or the network is at fault, unless the request failed on this machine. */
  #unanswered(route: string, error: unknown): void {
    const isTheirs = error instanceof TransportFailure && !['source', 'aborted', 'unsent'].includes(error.kind);
    if (isTheirs) this.#failed(error.message);
    this.#ended(route, 'none');
  }

  #failed(error: string): void {
    this.#outage = { since: this.#outage?.since ?? this.#clock.now() - this.#silentMs(), error };
  }

  /** For how long requests have waited without an answer to any of them, ms. */
  #silentMs(): number {
    const [oldest] = this.#waiting.values();
    return oldest === undefined ? 0 : this.#time.now() - Math.max(oldest, this.#answeredAt);
  }

  /** A request that is not answered fails after half a minute or so. Others need not wait as long to know that the service is silent. */
  #currentOutage(): Outage | null {
    if (this.#outage !== null) return this.#outage;
    const silentMs = this.#silentMs();
    return silentMs < SILENCE_MS ? null : { since: this.#clock.now() - silentMs, error: 'no answer' };
  }

  #ended(route: string, outcome: string): void {
    let counts = this.#outcomes.get(route);
    if (counts === undefined) {
      counts = {};
      this.#outcomes.set(route, counts);
    }
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }

  snapshot(): RequestMetrics {
    return {
      total: this.#total,
      byRoute: Object.fromEntries(this.#byRoute),
      outcomes: Object.fromEntries(this.#outcomes),
      rateLimit: this.rateLimit,
      outage: this.#currentOutage(),
    };
  }
}
