/**
 * One account's request limit, as the services tell it: X-RateLimit-Limit, -Remaining, -Reset (document of 5sync, "Rate
 * Limits"), Retry-After, 429. What is known decides whether a request goes now, waits, or is refused without being sent:
 * a request beyond the limit costs a round trip, brings nothing, and may prolong the ban.
 */
import { type Clock, SteadyTime, systemClock } from '../../../base/clock.js';
import { type Log, silentLog } from '../../../base/log.js';
import { ProviderError } from '../../errors.js';
import type { Priority, RateLimit, RequestOptions } from '../../provider.js';
import { header } from '../answers/answer.js';
import { longestPause, parseRetryAfter } from './retry-delay.js';

/** What is known when a request asks to go. */
export interface LimitState {
  /** As last told; null where the service tells nothing. */
  readonly known: RateLimit | null;
  /** Requests on their way: they count, though no answer has told so yet. */
  readonly underway: number;
  /** Everybody waits until then, ms since the epoch: the server answered 429. */
  readonly pausedUntil: number;
  /** The server told that moment; otherwise it is a guess. */
  readonly isPauseTold: boolean;
  /** Foreground requests that wait for their turn. */
  readonly foregroundWaiting: number;
  /** The pause was shorter than the server had asked for: one request finds out. */
  readonly isCareful: boolean;
}

export type Admission =
  | { readonly act: 'go' }
  /** Ask again after `ms`, or when something changes. */
  | { readonly act: 'wait'; readonly ms: number }
  /** `isTold`: the server said when, so that coming earlier is useless. */
  | { readonly act: 'refuse'; readonly retryAfterMs: number; readonly isTold: boolean };

/** Background work leaves this part of the requests of a window to people… */
const reservedShare = 0.2;
/** …and not more than this many of them. */
const reservedAtMost = 100;
/** Where only an answer on its way can bring news, ms. */
const patienceForNews = 1000;

/** Requests that background work does not touch. */
export function reserveOf(limit: number): number {
  return Math.min(reservedAtMost, Math.ceil(limit * reservedShare));
}

/** Pure. `patienceMs` is how long the request may wait at most. */
export function admit(state: LimitState, priority: Priority, patienceMs: number, now: number): Admission {
  const waitOrRefuse = (ms: number, isTold: boolean): Admission =>
    ms <= patienceMs ? { act: 'wait', ms: Math.max(1, ms) } : { act: 'refuse', retryAfterMs: ms, isTold };
  if (state.pausedUntil > now) return waitOrRefuse(state.pausedUntil - now, state.isPauseTold);
  const waitForNews: Admission =
    patienceMs > 0
      ? { act: 'wait', ms: Math.min(patienceForNews, patienceMs) }
      : { act: 'refuse', retryAfterMs: patienceForNews, isTold: false };
  if (priority === 'background' && state.foregroundWaiting > 0) return waitForNews;
  if (state.isCareful && state.underway > 0) return waitForNews;
  const { known, underway } = state;
  if (known === null) return { act: 'go' };
  const floor = priority === 'background' ? reserveOf(known.limit) : 0;
  if (known.remaining - underway > floor) return { act: 'go' };
  // The window is over, or there was one left when its last request went: one request asks how many there are now.
  if (known.resetAt <= now) return underway === 0 ? { act: 'go' } : waitForNews;
  // Answers on their way may tell that there is more than it seems: counted twice, once by us and once by the server.
  if (known.remaining > floor && underway > 0) return waitForNews;
  return waitOrRefuse(known.resetAt - now, true);
}

/** Unix seconds as documented; ms, or seconds from now, are told apart by their size. Undefined when it is no number. */
export function parseReset(value: string | undefined, now: number, serverNow: number | undefined): number | undefined {
  const given = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  if (!Number.isFinite(given) || given < 0) return undefined;
  if (given < 1e8) return now + Math.min(given * 1000, longestPause);
  const at = given > 1e11 ? given : given * 1000;
  // By the server's own clock where that makes sense: ours may be wrong.
  const byServer = serverNow === undefined ? Number.NaN : at - serverNow;
  const wait = byServer >= -1000 && byServer <= longestPause ? byServer : at - now;
  return now + Math.min(Math.max(0, wait), longestPause);
}

/** Pause after a 429 that does not say for how long, ms; doubles with each further one. */
const blindPauseMs = 1000;
const blindPauseAtMost = 60_000;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

export class RateLimiter {
  readonly #clock: Clock;
  /** All times here are of this one. */
  readonly #time: SteadyTime;
  readonly #log: Log;
  #known: RateLimit | null = null;
  #underway = 0;
  #pausedUntil = 0;
  #isPauseTold = false;
  #isCareful = false;
  /** The log has said that it is closed until then. */
  #announcedUntil = 0;
  #foregroundWaiting = 0;
  #blindPauses = 0;
  #refused: { readonly what: string; readonly until: number } | null = null;
  #news = signalOnce();

  constructor(clock: Clock = systemClock, log: Log = silentLog) {
    this.#clock = clock;
    this.#time = new SteadyTime(clock);
    this.#log = log;
  }

  /** Of a service that tells nothing but 429 and when to come back, `limit` is 0: not known. */
  snapshot(): RateLimit | null {
    const limit = this.#limit();
    if (limit === null) return null;
    const dated = { ...limit, resetAt: this.#time.dateOf(limit.resetAt) };
    const isRefusing = this.#refused !== null && this.#refused.until > this.#time.now();
    return isRefusing ? { ...dated, refused: this.#refused?.what } : dated;
  }

  #limit(): RateLimit | null {
    if (this.#known !== null || !this.#isPauseTold || this.retryAfterMs() === undefined) return this.#known;
    return { limit: 0, remaining: 0, resetAt: this.#pausedUntil };
  }

  /**
   * Resolves when the request may be sent; `leave` must follow. Rejects with `rate-limited` (`data.resetAt` where the
   * server said when) when that is not to be within `patienceMs`, or with `aborted`.
   */
  async enter(route: string, patienceMs: number, options: RequestOptions = {}): Promise<void> {
    const until = this.#time.now() + patienceMs;
    const priority = options.priority ?? 'foreground';
    let waiting = false;
    try {
      for (;;) {
        const now = this.#time.now();
        const admission = admit(this.#state(waiting), priority, Math.max(0, until - now), now);
        if (admission.act === 'go') break;
        if (admission.act === 'refuse') {
          const { retryAfterMs, isTold } = admission;
          if (isTold && priority === 'foreground') this.announce(this.#time.dateOf(now + retryAfterMs));
          throw refused(route, retryAfterMs, isTold ? this.#time.dateOf(now + retryAfterMs) : undefined);
        }
        if (priority === 'foreground' && !waiting) {
          waiting = true;
          this.#foregroundWaiting += 1;
        }
        await this.#wait(admission.ms, route, options.signal);
      }
      this.#underway += 1;
    } finally {
      if (waiting) this.#foregroundWaiting -= 1;
    }
  }

  /**
   * Throws where `requests` are more than are left: `rate-limited` where the next window has enough, `limit` where none has,
   * unless it `isResumable`.
   */
  afford(requests: number, what: string, isResumable: boolean): void {
    const known = this.#known;
    const now = this.#time.now();
    if (known === null || known.resetAt <= now) return;
    const isNever = requests > known.limit;
    if (requests <= known.remaining - this.#underway || (isNever && isResumable)) return;
    const resetAt = this.#time.dateOf(known.resetAt);
    const until = dateTime(resetAt);
    const why = isNever
      ? `the account has ${known.limit} an hour`
      : `${known.remaining} of ${known.limit} are left until ${until}`;
    const message = `${what} takes about ${requests} requests, and ${why}`;
    this.#log.warn({ requests, ...known }, message);
    this.#refused = { what: message, until: known.resetAt };
    throw isNever
      ? new ProviderError('limit', message, { data: { requests } })
      : new ProviderError('rate-limited', message, {
          data: { resetAt, retryAfterMs: known.resetAt - now },
        });
  }

  /** The request has its answer, or will have none. */
  leave(): void {
    this.#underway -= 1;
    this.#tell();
  }

  /** What an answer tells about the limit. */
  observe(status: number, headers: Headers): void {
    const now = this.#time.now();
    const date = Date.parse(header(headers, 'date') ?? '');
    const limit = count(header(headers, 'x-ratelimit-limit'));
    const remaining = count(header(headers, 'x-ratelimit-remaining'));
    const resetAt = parseReset(header(headers, 'x-ratelimit-reset'), now, Number.isNaN(date) ? undefined : date);
    if (remaining !== undefined)
      this.#known = {
        limit: limit ?? Math.max(this.#known?.limit ?? 0, remaining),
        remaining,
        resetAt: resetAt ?? this.#known?.resetAt ?? now,
      };
    if (status !== 429) {
      this.#blindPauses = 0;
      this.#isCareful = false;
      return;
    }
    // Where requests are left, it was refused for something else, of which the end of the window says nothing.
    const isUsedUp = remaining === undefined || remaining === 0;
    if (isUsedUp && this.#known !== null) this.#known = { ...this.#known, remaining: 0 };
    const told = parseRetryAfter(header(headers, 'retry-after'), Number.isNaN(date) ? this.#clock.now() : date);
    if (told !== undefined) this.pause(told);
    else if (isUsedUp && resetAt !== undefined && resetAt > now) this.pause(resetAt - now);
    // Those that were sent together are refused together: one pause for all of them.
    else if (now >= this.#pausedUntil)
      this.pause(Math.min(blindPauseAtMost, blindPauseMs * 2 ** Math.min(this.#blindPauses++, 10)), true);
  }

  /** Nobody goes for so long. What the server says in words (`guess` false) takes the place of what was guessed. */
  pause(ms: number, guess = false): void {
    const until = this.#time.now() + Math.min(ms, longestPause);
    if (ms >= longestPause) this.#isCareful = true;
    if (!guess || until > this.#pausedUntil) this.#isPauseTold = !guess;
    this.#pausedUntil = guess ? Math.max(this.#pausedUntil, until) : until;
    if (this.#known !== null && this.#known.remaining === 0 && !guess) this.#known = { ...this.#known, resetAt: until };
  }

  /** Until when it is closed, ms from now; undefined when it is not. */
  retryAfterMs(): number | undefined {
    const left = this.#pausedUntil - this.#time.now();
    return left > 0 ? left : undefined;
  }

  /** When the server will take requests again, ms since the epoch, where it said so and that is to come. */
  resetAt(): number | undefined {
    const isTold = this.#isPauseTold && this.retryAfterMs() !== undefined;
    return isTold ? this.#time.dateOf(this.#pausedUntil) : undefined;
  }

  /** One line for each time that people's requests fail for it, not one for each request. */
  announce(resetAt: number): void {
    const now = this.#time.now();
    if (now < this.#announcedUntil) return;
    this.#announcedUntil = now + Math.max(0, resetAt - this.#clock.now());
    this.#log.warn({ resetAt }, `the request limit of the account is used up until ${dateTime(resetAt)}`);
  }

  #state(waiting: boolean): LimitState {
    return {
      known: this.#known,
      underway: this.#underway,
      pausedUntil: this.#pausedUntil,
      isPauseTold: this.#isPauseTold,
      foregroundWaiting: this.#foregroundWaiting - (waiting ? 1 : 0),
      isCareful: this.#isCareful,
    };
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = signalOnce();
  }

  async #wait(ms: number, route: string, signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const either = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    try {
      await Promise.race([this.#clock.sleep(ms, either), this.#news.promise]);
    } catch (cause) {
      throw new ProviderError('aborted', `${route}: cancelled`, { cause, data: { route } });
    } finally {
      over.abort();
    }
    if (signal?.aborted) throw new ProviderError('aborted', `${route}: cancelled`, { data: { route } });
  }
}

function signalOnce(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}

function count(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*\d+\s*$/.test(value) ? Number(value) : undefined;
}

function refused(route: string, retryAfterMs: number, resetAt: number | undefined): ProviderError {
  const until = resetAt === undefined ? '' : ` until ${dateTime(resetAt)}`;
  return new ProviderError('rate-limited', `${route}: the request limit of the account is used up${until}`, {
    data: { route, retryAfterMs, ...(resetAt === undefined ? {} : { resetAt }) },
  });
}

function dateTime(ms: number): string {
  return new Date(ms).toLocaleString('sv-SE');
}
