/**
 * One account's rate limit, learned from the service's answers: X-RateLimit-Limit, -Remaining, -Reset (document of 5sync,
 * "Rate Limits"), Retry-After, 429. `admit` decides whether a request is sent now, waits, or is refused without being
 * sent: a request beyond the limit costs a round trip, achieves nothing, and may prolong the ban.
 */
import { type Clock, SteadyTime, systemClock } from '../../../base/clock.js';
import { localTime } from '../../../base/local-time.js';
import { type Log, silentLog } from '../../../base/log.js';
import { ProviderError } from '../../errors.js';
import type { Priority, RequestOptions } from '../../provider.js';
import type { RateLimit } from '../../request-metrics.js';
import { header } from '../answers/answer.js';
import { longestPause, parseRetryAfter } from './retry-delay.js';

/** The state of the limit when a request wants to be sent. */
export interface LimitState {
  /** From the last answer; null if the service sends no such headers. */
  readonly known: RateLimit | null;
  /** Requests that are sent but not answered. They count against the limit, although `known` does not include them yet. */
  readonly inFlight: number;
  /** No request is sent before this time, ms by the same clock as `now`, because the server answered 429. */
  readonly pausedUntil: number;
  /** `pausedUntil` comes from the server; otherwise it is a guess. */
  readonly isPauseFromServer: boolean;
  /** Foreground requests that wait to be sent. */
  readonly foregroundWaiting: number;
  /**
   * Requests that may be in flight at once. After a pause whose length was a guess, or was cut to `longestPause`, the limit may still
   * hold: one request finds out, and each good answer allows one more. Otherwise infinite.
   */
  readonly maxInFlight: number;
  /** An older request of the same priority waits. */
  readonly isBehind: boolean;
}

export type Admission =
  | { readonly act: 'go' }
  /** Decide again after `ms`, or when an answer arrives. */
  | { readonly act: 'wait'; readonly ms: number }
  /** `isFromServer`: the time comes from the server, so an earlier request would be refused too. */
  | { readonly act: 'refuse'; readonly retryAfterMs: number; readonly isFromServer: boolean };

/** Background work leaves this share of a window's requests to foreground work… */
const reservedShare = 0.2;
/** …but not more than this many requests. */
const maxReserved = 100;
/** How long to wait for an answer that may change the decision, ms. */
const inFlightWaitMs = 1000;

/** The number of requests in a window that background work leaves to foreground work. */
export function reserveOf(limit: number): number {
  return Math.min(maxReserved, Math.ceil(limit * reservedShare));
}

/** Decides about one request. Pure. `maxWaitMs` is the longest time that the request may wait. */
export function admit(state: LimitState, priority: Priority, maxWaitMs: number, now: number): Admission {
  const waitOrRefuse = (ms: number, isFromServer: boolean): Admission =>
    ms <= maxWaitMs ? { act: 'wait', ms: Math.max(1, ms) } : { act: 'refuse', retryAfterMs: ms, isFromServer };
  if (state.pausedUntil > now) return waitOrRefuse(state.pausedUntil - now, state.isPauseFromServer);
  const waitForAnswer: Admission =
    maxWaitMs > 0
      ? { act: 'wait', ms: Math.min(inFlightWaitMs, maxWaitMs) }
      : { act: 'refuse', retryAfterMs: inFlightWaitMs, isFromServer: false };
  if (priority === 'background' && state.foregroundWaiting > 0) return waitForAnswer;
  const { known, inFlight } = state;
  if (inFlight >= state.maxInFlight) return waitForAnswer;
  const go: Admission = state.isBehind ? waitForAnswer : { act: 'go' };
  if (known === null) return go;
  const floor = priority === 'background' ? reserveOf(known.limit) : 0;
  if (known.remaining - inFlight > floor) return go;
  // The window has ended: send one request, whose answer says how many are left in the new window.
  if (known.resetAt <= now) return inFlight === 0 ? go : waitForAnswer;
  // More may be left than computed: the server may have counted a request in `known` that `inFlight` counts too.
  if (known.remaining > floor && inFlight > 0) return waitForAnswer;
  return waitOrRefuse(known.resetAt - now, true);
}

/**
 * X-RateLimit-Reset as ms since the epoch, by our clock. Documented as Unix seconds; ms, and seconds from now, are
 * recognized by their size. Undefined if it is not a number.
 */
export function parseReset(value: string | undefined, now: number, serverNow: number | undefined): number | undefined {
  const given = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  if (!Number.isFinite(given) || given < 0) return undefined;
  if (given < 1e8) return now + Math.min(given * 1000, longestPause);
  const at = given > 1e11 ? given : given * 1000;
  // Compute the wait by the server's clock if the result is plausible: ours may be wrong.
  const byServer = serverNow === undefined ? Number.NaN : at - serverNow;
  const wait = byServer >= -1000 && byServer <= longestPause ? byServer : at - now;
  return now + Math.min(Math.max(0, wait), longestPause);
}

/** Pause after a 429 that does not say for how long, ms; doubles with each further such 429. */
const guessedPauseMs = 1000;
const maxGuessedPauseMs = 60_000;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Delays or refuses one account's requests according to its rate limit. */
export class RateLimiter {
  readonly #clock: Clock;
  /** All times in this class are from this monotonic clock. */
  readonly #time: SteadyTime;
  readonly #log: Log;
  #known: RateLimit | null = null;
  #inFlight = 0;
  #pausedUntil = 0;
  #isPauseFromServer = false;
  #maxInFlight = Number.POSITIVE_INFINITY;
  /** The log already says that the limit is used up until then. */
  #announcedUntil = 0;
  #turns = 0;
  readonly #waiting = new Set<Waiter>();
  #guessedPauses = 0;
  #refused: { readonly what: string; readonly until: number } | null = null;
  #change = signalOnce();

  constructor(clock: Clock = systemClock, log: Log = silentLog) {
    this.#clock = clock;
    this.#time = new SteadyTime(clock);
    this.#log = log;
  }

  /** The limit as last known. `limit` is 0 (unknown) for a service that sends only 429 and Retry-After. */
  snapshot(): RateLimit | null {
    const limit = this.#limit();
    if (limit === null) return null;
    const dated = { ...limit, resetAt: this.#time.dateOf(limit.resetAt) };
    const isRefusing = this.#refused !== null && this.#refused.until > this.#time.now();
    return isRefusing ? { ...dated, refused: this.#refused?.what } : dated;
  }

  #limit(): RateLimit | null {
    if (this.#known !== null || !this.#isPauseFromServer || this.retryAfterMs() === undefined) return this.#known;
    return { limit: 0, remaining: 0, resetAt: this.#pausedUntil };
  }

  /**
   * Resolves when the request may be sent; `release` must follow. Rejects with `rate-limited` if that will not be within
   * `maxWaitMs` (with `data.resetAt` if the server said when), or with `aborted`. Of those that wait, the oldest goes first (`turn`).
   */
  async acquire(route: string, maxWaitMs: number, options: RequestOptions = {}, turn = this.takeTurn()): Promise<void> {
    const until = this.#time.now() + maxWaitMs;
    const priority = options.priority ?? 'foreground';
    const waiter: Waiter = { priority, turn };
    try {
      for (;;) {
        const now = this.#time.now();
        const admission = admit(this.#stateFor(waiter), priority, Math.max(0, until - now), now);
        if (admission.act === 'go') break;
        if (admission.act === 'refuse') {
          const { retryAfterMs, isFromServer } = admission;
          if (isFromServer && priority === 'foreground') this.announce(this.#time.dateOf(now + retryAfterMs));
          throw refused(route, retryAfterMs, isFromServer ? this.#time.dateOf(now + retryAfterMs) : undefined);
        }
        this.#waiting.add(waiter);
        await this.#wait(admission.ms, route, options.signal);
      }
      this.#inFlight += 1;
    } finally {
      // Others may have waited only because of this one.
      if (this.#waiting.delete(waiter)) this.#notifyWaiters();
    }
  }

  /** The place of a new request among those that wait. It keeps it through all of its tries. */
  takeTurn(): number {
    return this.#turns++;
  }

  /**
   * Throws if the work takes more `requests` than are left: `rate-limited` if the next window has enough of them, `limit`
   * if no window has. Resumable work that no window holds may begin, because it continues in the next one.
   */
  assertBudget(requests: number, what: string, isResumable: boolean): void {
    const known = this.#known;
    const now = this.#time.now();
    if (known === null || known.resetAt <= now) return;
    const isNever = requests > known.limit;
    if (requests <= known.remaining - this.#inFlight || (isNever && isResumable)) return;
    const resetAt = this.#time.dateOf(known.resetAt);
    const until = localTime(resetAt);
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

  /** The request was answered, or failed. */
  release(): void {
    this.#inFlight -= 1;
    this.#notifyWaiters();
  }

  /** Updates the limit from the headers of an answer. */
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
      this.#guessedPauses = 0;
      this.#maxInFlight += 1;
      return;
    }
    // If requests are left, the 429 has another reason, and X-RateLimit-Reset says nothing about its end.
    const isUsedUp = remaining === undefined || remaining === 0;
    if (isUsedUp && this.#known !== null) this.#known = { ...this.#known, remaining: 0 };
    const retryAfterMs = parseRetryAfter(header(headers, 'retry-after'), Number.isNaN(date) ? this.#clock.now() : date);
    if (retryAfterMs !== undefined) this.pause(retryAfterMs);
    else if (isUsedUp && resetAt !== undefined && resetAt > now) this.pause(resetAt - now);
    // Requests that were sent together are refused together: they cause one pause.
    else if (now >= this.#pausedUntil)
      this.pause(Math.min(maxGuessedPauseMs, guessedPauseMs * 2 ** Math.min(this.#guessedPauses++, 10)), true);
  }

  /** Sends no request for `ms`. A time from the server (`guess` false) replaces a guess. */
  pause(ms: number, guess = false): void {
    const until = this.#time.now() + Math.min(ms, longestPause);
    if (guess || ms >= longestPause) this.#maxInFlight = 1;
    if (!guess || until > this.#pausedUntil) this.#isPauseFromServer = !guess;
    this.#pausedUntil = guess ? Math.max(this.#pausedUntil, until) : until;
    // It may be shorter than they thought.
    this.#notifyWaiters();
    if (this.#known !== null && this.#known.remaining === 0 && !guess) this.#known = { ...this.#known, resetAt: until };
  }

  /** Rest of the pause, ms; undefined if there is none. */
  retryAfterMs(): number | undefined {
    const left = this.#pausedUntil - this.#time.now();
    return left > 0 ? left : undefined;
  }

  /** End of the pause, ms since the epoch. Undefined if there is no pause, or if its end is a guess. */
  resetAt(): number | undefined {
    const isFromServer = this.#isPauseFromServer && this.retryAfterMs() !== undefined;
    return isFromServer ? this.#time.dateOf(this.#pausedUntil) : undefined;
  }

  /** Logs that the limit is used up: once for each pause, not for each request that fails. */
  announce(resetAt: number): void {
    const now = this.#time.now();
    if (now < this.#announcedUntil) return;
    this.#announcedUntil = now + Math.max(0, resetAt - this.#clock.now());
    this.#log.warn({ resetAt }, `the request limit of the account is used up until ${localTime(resetAt)}`);
  }

  #stateFor({ priority, turn }: Waiter): LimitState {
    let foregroundWaiting = 0;
    let isBehind = false;
    for (const other of this.#waiting) {
      if (other.turn === turn) continue;
      if (other.priority === 'foreground') foregroundWaiting += 1;
      isBehind ||= other.priority === priority && other.turn < turn;
    }
    return {
      known: this.#known,
      inFlight: this.#inFlight,
      pausedUntil: this.#pausedUntil,
      isPauseFromServer: this.#isPauseFromServer,
      foregroundWaiting,
      isBehind,
      maxInFlight: this.#maxInFlight,
    };
  }

  #notifyWaiters(): void {
    this.#change.resolve();
    this.#change = signalOnce();
  }

  async #wait(ms: number, route: string, signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const either = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    try {
      await Promise.race([this.#clock.sleep(ms, either), this.#change.promise]);
    } catch (cause) {
      throw new ProviderError('aborted', `${route}: cancelled`, { cause, data: { route } });
    } finally {
      over.abort();
    }
    if (signal?.aborted) throw new ProviderError('aborted', `${route}: cancelled`, { data: { route } });
  }
}

interface Waiter {
  readonly priority: Priority;
  readonly turn: number;
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
  const until = resetAt === undefined ? '' : ` until ${localTime(resetAt)}`;
  return new ProviderError('rate-limited', `${route}: the request limit of the account is used up${until}`, {
    data: { route, retryAfterMs, ...(resetAt === undefined ? {} : { resetAt }) },
  });
}
