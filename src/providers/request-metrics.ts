/** A provider's request counters. */

export interface RateLimit {
  readonly limit: number;
  readonly remaining: number;
  /** ms since the epoch. */
  readonly resetAt: number;
  /** For people: the last work that was refused because too few requests are left for it. */
  readonly refused?: string;
}

export interface RequestMetrics {
  /** Requests sent since the start, repeats included. */
  readonly total: number;
  /** The same number by route, such as `GET /folder/{id}/files`. */
  readonly byRoute: Readonly<Record<string, number>>;
  /** How they ended, by route: the class of the status (`2xx`), or `none` without an answer. */
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly rateLimit: RateLimit | null;
  /** Null: the last request was answered, or there was none. */
  readonly outage: Outage | null;
}

/** The service gives no usable answer. */
export interface Outage {
  /** When the first request got no usable answer, ms since 1970. */
  readonly since: number;
  /** The error of the last such request, for people. */
  readonly error: string;
}
