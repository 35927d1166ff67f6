/** 429.0107: limits the number of calls in each time window. */
import { rateLimited } from './errors.js';
import type { Settings } from './options.js';

export class RateLimiter {
  #window = 0;
  #used = 0;

  constructor(
    readonly settings: Settings,
    readonly now: () => number,
  ) {}

  take(): void {
    const { rateLimit } = this.settings;
    if (!rateLimit) return;
    const length = rateLimit.seconds * 1000;
    const window = Math.floor(this.now() / length);
    if (window !== this.#window) {
      this.#window = window;
      this.#used = 0;
    }
    this.#used += 1;
    if (this.#used <= rateLimit.requests) return;
    const wait = Math.ceil(((window + 1) * length - this.now()) / 1000);
    throw rateLimited(rateLimit.requests, rateLimit.seconds, rateLimit.retryAfter === false ? null : wait);
  }
}
