/** API keys and their rate: "Limits are applied per API key on a rolling one-hour window." */
import { randomBytes } from 'node:crypto';
import type { Clock } from './clock.js';
import { rateLimited, unauthorized } from './errors.js';
import { type FiveSyncReadings, type FiveSyncSettings, fiveSyncPlans } from './options.js';

/** "API keys start with the prefix sk_5s_." */
export function randomKey(): string {
  return `sk_5s_${randomBytes(20).toString('hex')}`;
}

export class ApiKeys {
  readonly keys: Set<string>;

  /** `changed` is called after each change, to store it. */
  constructor(
    keys: Iterable<string>,
    readonly changed: (key: string, value: string | null) => void,
  ) {
    this.keys = new Set(keys);
  }

  /** Issues another key for the same account. */
  issue(key = randomKey()): string {
    this.keys.add(key);
    this.changed(key, '');
    return key;
  }

  /** Makes a key, or all of them, answer 401. */
  revoke(key?: string): void {
    for (const known of [...this.keys]) {
      if (key !== undefined && key !== known) continue;
      this.keys.delete(known);
      this.changed(known, null);
    }
  }

  /** Expires a key, or all of them. Like a revoked key, it never becomes valid again: "Invalid or expired API key." */
  expire(key?: string): void {
    this.revoke(key);
  }

  authenticate(authorization: string | undefined): string {
    const key = keyOf(authorization);
    if (key === undefined || !this.keys.has(key)) throw unauthorized();
    return key;
  }
}

export function keyOf(authorization: string | undefined): string | undefined {
  return authorization?.match(/^Bearer +(sk_5s_\S+)$/)?.[1];
}

/** Refused requests do not count. */
export class RollingLimit {
  #taken = new Map<string, number[]>();

  constructor(
    readonly settings: FiveSyncSettings,
    readonly readings: FiveSyncReadings,
    readonly clock: Clock,
  ) {}

  take(key: string): void {
    const { requestsPerHour: most, windowSeconds } = this.settings;
    const taken = this.#recent(key);
    const [oldest] = taken;
    if (most > 0 && taken.length >= most && oldest !== undefined) {
      const seconds = Math.max(1, Math.ceil((oldest + windowSeconds * 1000 - this.clock.time()) / 1000));
      throw rateLimited(seconds, this.readings.retryAfter ? { 'retry-after': String(seconds) } : {});
    }
    taken.push(this.clock.time());
  }

  /** "Rate limit status is returned in every response via headers". */
  headers(key: string | undefined): Record<string, string> {
    const most = this.settings.requestsPerHour || fiveSyncPlans.business;
    const taken = key === undefined ? [] : this.#recent(key);
    const decisive = this.readings.rateReset === 'next' ? taken[0] : taken.at(-1);
    const reset = decisive === undefined ? this.clock.time() : decisive + this.settings.windowSeconds * 1000;
    const remaining = this.settings.requestsPerHour > 0 ? Math.max(0, most - taken.length) : most;
    return {
      'x-ratelimit-limit': String(most),
      'x-ratelimit-remaining': String(remaining),
      'x-ratelimit-reset': String(Math.ceil(reset / 1000)),
    };
  }

  /** Resets the counters, as if there had been no request. */
  reset(): void {
    this.#taken.clear();
  }

  #recent(key: string): number[] {
    const begin = this.clock.time() - this.settings.windowSeconds * 1000;
    const taken = this.#taken.get(key) ?? [];
    let gone = 0;
    while (gone < taken.length && (taken[gone] ?? 0) <= begin) gone += 1;
    if (gone > 0) taken.splice(0, gone);
    this.#taken.set(key, taken);
    return taken;
  }
}
