import type { Outage, RateLimit, RequestMetrics } from '../../request-metrics.js';
import { TransportFailure } from '../transport/wire.js';

/** Counts requests as they are sent, repeats and redirects included: each costs a round trip. */
export class RequestCounter {
  #total = 0;
  readonly #byRoute = new Map<string, number>();
  readonly #outcomes = new Map<string, Record<string, number>>();
  rateLimit: RateLimit | null = null;
  readonly #now: () => number;
  #outage: Outage | null = null;

  /** `now`: ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** `route` is a template such as `GET /files/{id}`, never a real path. */
  count(route: string): void {
    this.#total += 1;
    this.#byRoute.set(route, (this.#byRoute.get(route) ?? 0) + 1);
  }

  /** The request was answered. */
  answered(route: string, status: number): void {
    if (status >= 500) this.#failed(`it answers with ${status}`);
    else this.#outage = null;
    this.#ended(route, `${Math.floor(status / 100)}xx`);
  }

  /** There was no answer. The service or the network is at fault, unless the request failed on this machine. */
  unanswered(route: string, error: unknown): void {
    const isTheirs = error instanceof TransportFailure && error.kind !== 'source' && error.kind !== 'aborted';
    if (isTheirs) this.#failed(error.message);
    this.#ended(route, 'none');
  }

  #failed(error: string): void {
    this.#outage = { since: this.#outage?.since ?? this.#now(), error };
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
      outage: this.#outage,
    };
  }
}
