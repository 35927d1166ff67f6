import type { RateLimit, RequestMetrics } from '../../provider.js';

/** Counts requests as they are sent, repeats and redirects included: each costs a round trip. */
export class RequestCounter {
  #total = 0;
  readonly #byRoute = new Map<string, number>();
  readonly #outcomes = new Map<string, Record<string, number>>();
  rateLimit: RateLimit | null = null;

  /** `route` is a template such as `GET /files/{id}`, never a real path. */
  count(route: string): void {
    this.#total += 1;
    this.#byRoute.set(route, (this.#byRoute.get(route) ?? 0) + 1);
  }

  /** `status`: of the answer; null where there was none. */
  ended(route: string, status: number | null): void {
    const outcome = status === null ? 'none' : `${Math.floor(status / 100)}xx`;
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
    };
  }
}
