/**
 * Requests as providers make them: signed, limited per host, repeated under a deadline, counted, and answered with
 * validated values or a `ProviderError`.
 */
import { type Clock, systemClock } from '../../../base/clock.js';
import { type Log, silentLog } from '../../../base/log.js';
import type { MaybePromise } from '../../../base/maybe-promise.js';
import { ProviderError } from '../../errors.js';
import type { Priority, RequestMetrics, RequestOptions } from '../../provider.js';
import { type Answer, header } from '../answers/answer.js';
import { cleanMessage, type ErrorReader, protocolFailure, TryFailure, toTryFailure } from '../answers/http-error.js';
import { readAnswer } from '../answers/read-answer.js';
import { encodeForm } from '../auth/oauth1.js';
import type { Signer } from '../auth/signer.js';
import { type Content, type HttpMethod, Transport, type WireResponse } from '../transport/transport.js';
import { RequestCounter } from './metrics.js';
import { PriorityGate } from './priority-gate.js';
import type { RateLimiter } from './rate-limit.js';
import { defaultRetryPolicy, parseRetryAfter, type RetryPolicy, retryDelay } from './retry-delay.js';

export interface HttpClientOptions {
  readonly signer?: Signer;
  readonly readError: ErrorReader;
  /** Longest a request may take with all its repeats, not counting the time in which body bytes move, ms. */
  readonly deadlineMs?: number;
  /** A try in which no byte moves for so long is given up, ms. */
  readonly stallMs?: number;
  /** At once per host. */
  readonly maxConnections?: number;
  readonly retry?: RetryPolicy;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly log?: Log;
  /** Strings that no message may contain; asked anew where they change. */
  readonly secrets?: readonly string[] | (() => readonly string[]);
  /** The account's request limit. Counts the requests that carry its credentials. */
  readonly limiter?: RateLimiter;
}

/** The caller's options; `deadline` may be that of the request on whose behalf this one is made. */
export interface CallOptions extends RequestOptions {
  /** Made while the caller holds a place (an open download): waiting for another one could wait for ever. */
  readonly placed?: boolean;
}

export interface Call {
  readonly method: HttpMethod;
  /** Template for counting and for messages: `GET /files/{id}`. */
  readonly route: string;
  /** Absolute, without query. */
  readonly url: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as `application/x-www-form-urlencoded`, and signed. */
  readonly form?: Readonly<Record<string, string>>;
  /** Sent as `application/json`. */
  readonly json?: unknown;
  /** Sent as `application/octet-stream`, unless `headers` says otherwise. */
  readonly content?: Content;
  /** `content` goes out in chunked transfer encoding, of whatever size it is. */
  readonly chunked?: boolean;
  /** Without credentials: the URL leads to another host than the account's own. */
  readonly unsigned?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sending it twice does what sending it once does. Default: true for GET only. */
  readonly idempotent?: boolean;
  /** Statuses besides 2xx that are answers and not errors. */
  readonly accept?: readonly number[];
}

export interface Outcome<T> {
  /** Throws or rejects with `TryFailure`, see `decodeJson`. */
  decode(answer: Answer): MaybePromise<T>;
  /**
   * Called when it is unknown whether the server did what was asked: before the request is repeated, and when the
   * repeat is told that the name exists or the object is gone. Undefined: not done.
   */
  lookup?(options: CallOptions): Promise<T | undefined>;
}

/** Called when a try has its place; see `HttpClient.repeat`. */
export type Begin = () => number;

/** Nonsense instead of JSON is worth a second and a third try, but not a minute of them. */
const protocolTries = 3;
/** A credential that is refused is renewed; a second refusal can be of one that another request has just renewed. */
const maxRenewals = 2;
/** Of the deadline, what is kept for the question what has become of a change. */
const lookupShare = 1 / 4;
/** The same, where the deadline is nearly over. */
const leastShare = 1 / 10;
/** Tries whose transfer time is not charged to the deadline. */
const freeTransfers = 4;
/** Longer than any code in the documents, characters. */
const maxCodeLength = 40;
export class HttpClient {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** How long one try may stand still, ms: half of the deadline at most, so that there is always time for a second. */
  readonly stallMs: number;
  readonly #transport: Transport;
  readonly #signer: Signer | undefined;
  readonly #readError: ErrorReader;
  readonly #retry: RetryPolicy;
  readonly #random: () => number;
  readonly #log: Log;
  readonly #secrets: () => readonly string[];
  readonly #limiter: RateLimiter | undefined;
  readonly #maxConnections: number;
  readonly #gates = new Map<string, PriorityGate>();
  readonly #counter = new RequestCounter();
  #closed = false;

  constructor(options: HttpClientOptions) {
    this.clock = options.clock ?? systemClock;
    this.deadlineMs = options.deadlineMs ?? 60_000;
    this.stallMs = Math.min(options.stallMs ?? 30_000, this.deadlineMs / 2);
    this.#maxConnections = options.maxConnections ?? 32;
    this.#transport = new Transport({
      // The gate is the limit; the rest is for requests made while a download is open (`placed`).
      maxConnections: this.#maxConnections * 2,
      connectTimeoutMs: Math.min(10_000, this.stallMs * 0.8),
    });
    this.#signer = options.signer;
    this.#readError = options.readError;
    this.#retry = options.retry ?? defaultRetryPolicy;
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? silentLog;
    const { secrets = [] } = options;
    this.#secrets = typeof secrets === 'function' ? secrets : () => secrets;
    this.#limiter = options.limiter;
  }

  metrics(): RequestMetrics {
    const counted = this.#counter.snapshot();
    return this.#limiter === undefined ? counted : { ...counted, rateLimit: this.#limiter.snapshot() };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#transport.close();
  }

  /** One request, repeated as needed. Rejects with `ProviderError`. */
  async request<T>(call: Call, outcome: Outcome<T>, options: CallOptions = {}): Promise<T> {
    return await this.repeat(
      call,
      (begin) => this.exchange(call, begin, options).then((answer) => outcome.decode(answer)),
      options,
      outcome.lookup?.bind(outcome),
    );
  }

  /**
   * Runs `attempt` until it succeeds, fails for good, or the deadline has passed. The attempt calls `begin` when it has
   * its place among the requests of the host: that starts the deadline (waiting for a place behind our own requests is
   * no fault of the server's) and tells how long the attempt may stand still, ms.
   */
  async repeat<T>(
    call: Pick<Call, 'method' | 'route' | 'idempotent' | 'content'>,
    attempt: (begin: Begin) => Promise<T>,
    options: CallOptions,
    lookup?: (options: CallOptions) => Promise<T | undefined>,
  ): Promise<T> {
    const idempotent = call.idempotent ?? call.method === 'GET';
    let deadline = options.deadline ?? Number.NaN;
    const allowedMs = this.deadlineMs - (options.patience?.spentMs ?? 0);
    const leftAtFirst = Math.min(allowedMs, Number.isNaN(deadline) ? allowedMs : deadline - this.clock.now());
    // A change whose outcome nobody could ask for any more is not begun.
    if (!idempotent && leftAtFirst < this.deadlineMs * leastShare)
      throw new ProviderError('timeout', `${call.route}: no time is left`, { data: { route: call.route } });
    // So that a try whose answer is lost can be asked about within the deadline.
    const reserveMs = idempotent || lookup === undefined ? 0 : this.deadlineMs * lookupShare;
    let begunAt: number | undefined;
    let movedForMs = 0;
    const spend = (): void => {
      if (begunAt !== undefined) options.patience?.spend(begunAt + movedForMs, this.clock.now());
    };
    const begin: Begin = () => {
      begunAt ??= this.clock.now();
      // Repeated questions (what has been stored?) end a change that is done: they have a little in any case.
      const leastMs = this.deadlineMs * leastShare;
      if (Number.isNaN(deadline)) deadline = this.clock.now() + Math.max(allowedMs, leastMs);
      return Math.max(50, Math.min(this.stallMs, deadline - reserveMs - this.clock.now()));
    };
    let uncertain = false;
    let renewals = 0;
    for (let tries = 1; ; tries++) {
      let failure: TryFailure;
      try {
        const answer = await attempt(begin);
        // How long its bytes moved is not known.
        if (call.content === undefined) spend();
        return answer;
      } catch (thrown) {
        failure = toTryFailure(thrown, call.route);
      }
      movedForMs += failure.movedForMs;
      if (failure.repeat === 'never') spend();
      const { error } = failure;
      if (failure.repeat === 'uncertain') uncertain = true;
      // Refused before anything was done: with another credential it may pass.
      if (failure.refused !== undefined && renewals < maxRenewals) {
        renewals += 1;
        if ((await this.#signer?.renew?.(failure.refused, options.signal)) === true) continue;
      }
      if (failure.repeat === 'never') {
        // A try whose answer was lost may have done what this one finds done: the name taken, or the object gone.
        const misled = uncertain && ['exists', 'not-found', 'permission'].includes(error.code);
        const found = misled ? await this.#lookUp(lookup, options, deadline) : undefined;
        if (found !== undefined) return found;
        throw error;
      }
      if (failure.serverNow !== undefined) this.#signer?.adjustTime?.(failure.serverNow);
      if (tries <= freeTransfers) deadline += failure.movedForMs;
      const leftMs = deadline - reserveMs - this.clock.now();
      const delay = retryDelay(
        { tries, leftMs, retryAfterMs: failure.retryAfterMs, random: this.#random() },
        this.#retry,
      );
      const isHopeless =
        this.#closed ||
        (uncertain && !idempotent && lookup === undefined) ||
        (error.code === 'protocol' && tries >= protocolTries);
      if (isHopeless || delay === null) {
        spend();
        if (typeof error.data.resetAt === 'number') this.#limiter?.announce(error.data.resetAt);
        // One of the tries may have done it, with nothing but its answer lost.
        const found = uncertain && !this.#closed ? await this.#lookUp(lookup, options, deadline, error) : undefined;
        if (found !== undefined) return found;
        throw error;
      }
      this.#log.debug({ route: call.route, code: error.code, tries, delay }, 'request failed, trying again');
      await this.sleep(delay, call.route, options);
      if (uncertain && !idempotent) {
        const found = await this.#lookUp(lookup, options, deadline, error);
        if (found !== undefined) return found;
      }
    }
  }

  /** Waits; an abort becomes the `ProviderError` that it is everywhere else. */
  async sleep(ms: number, route: string, options: CallOptions): Promise<void> {
    try {
      await this.clock.sleep(ms, options.signal);
    } catch (cause) {
      throw new ProviderError('aborted', `${route}: cancelled`, { cause, data: { route } });
    }
  }

  /** A lookup that fails leaves the outcome unknown: then the error of the request itself is the one to report. */
  async #lookUp<T>(
    lookup: ((options: CallOptions) => Promise<T | undefined>) | undefined,
    options: CallOptions,
    deadline: number,
    instead?: ProviderError,
  ): Promise<T | undefined> {
    if (lookup === undefined) return undefined;
    try {
      return await lookup({
        ...options,
        deadline: Math.max(deadline, this.clock.now() + this.deadlineMs * leastShare),
      });
    } catch (error) {
      if (instead === undefined || (error instanceof ProviderError && error.code === 'aborted')) throw error;
      throw instead;
    }
  }

  /** One try of a request whose answer is small: sent, checked, read to its end. Rejects with `TryFailure`. */
  async exchange(call: Call, begin: Begin, options: CallOptions): Promise<Answer> {
    const signed = call.unsigned !== true;
    const leave = await this.enter(new URL(call.url).origin, call.route, options, signed);
    try {
      const response = await this.send(call, new URL(urlOf(call)), signed, begin(), options.signal);
      const answer = await readAnswer(response, call.route);
      const good = (answer.status >= 200 && answer.status < 300) || call.accept?.includes(answer.status) === true;
      if (!good) throw this.failureOf(answer, call.route);
      return answer;
    } finally {
      leave();
    }
  }

  /** A place among the requests of one host and, where `signed`, one of the account's requests. `send` must follow. */
  async enter(origin: string, route: string, options: CallOptions, signed = true): Promise<() => void> {
    if (signed) await this.#limiter?.enter(route, this.#patienceOf(options), options);
    try {
      return await this.#enterGate(origin, route, options);
    } catch (error) {
      if (signed) this.#limiter?.leave();
      throw error;
    }
  }

  /** How long a request may wait for the limit to be lifted, ms. */
  #patienceOf(options: CallOptions): number {
    return options.deadline === undefined ? this.deadlineMs : Math.max(0, options.deadline - this.clock.now());
  }

  async #enterGate(origin: string, route: string, options: CallOptions): Promise<() => void> {
    if (options.placed === true) return () => {};
    let gate = this.#gates.get(origin);
    if (gate === undefined) {
      gate = new PriorityGate(this.#maxConnections);
      this.#gates.set(origin, gate);
    }
    try {
      return await gate.enter(options.priority ?? ('foreground' satisfies Priority), options.signal);
    } catch (cause) {
      throw new ProviderError('aborted', `${route}: cancelled`, { cause, data: { route } });
    }
  }

  /** Sends one try, signed anew unless `signed` is false. The caller holds a place and ends `watch`. */
  async send(
    call: Call,
    url: URL,
    signed: boolean,
    patienceMs: number,
    signal: AbortSignal | undefined,
  ): Promise<WireResponse> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (call.form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded';
    else if (call.json !== undefined) headers['content-type'] = 'application/json';
    else if (call.content !== undefined) headers['content-type'] = 'application/octet-stream';
    Object.assign(headers, call.headers);
    const limiter = signed ? this.#limiter : undefined;
    try {
      if (signed && this.#signer !== undefined) {
        await this.#signer.prepare?.(signal);
        headers.authorization = this.#signer.authorization({ method: call.method, url: url.href, form: call.form });
      }
      this.#counter.count(call.route);
      const request = { method: call.method, url, headers, body: bodyOf(call), chunked: call.chunked };
      const response = await this.#transport.send(request, patienceMs, signal);
      limiter?.observe(response.status, response.headers);
      return headers.authorization === undefined ? response : { ...response, authorization: headers.authorization };
    } finally {
      limiter?.leave();
    }
  }

  /** An error answer as a failed try. */
  failureOf(answer: Answer, route: string): TryFailure {
    const { status } = answer;
    const meaning = this.#readError(status, answer.text);
    const limited = meaning.code === 'rate-limited';
    const date = Date.parse(header(answer.headers, 'date') ?? '');
    const now = Number.isNaN(date) ? this.clock.now() : date;
    const told = parseRetryAfter(header(answer.headers, 'retry-after'), now) ?? meaning.retryAfterMs;
    if (limited && told !== undefined) this.#limiter?.pause(told);
    const retryAfterMs = told ?? (limited ? this.#limiter?.retryAfterMs() : undefined);
    const resetAt = limited ? this.#limiter?.resetAt() : undefined;
    const secrets = this.#secrets();
    const said = cleanMessage(meaning.message ?? '', secrets);
    const providerCode = meaning.providerCode && cleanMessage(meaning.providerCode, secrets, maxCodeLength);
    const error = new ProviderError(
      meaning.code,
      `${route}: ${said === '' ? `the server answered ${status}` : `${said} (${providerCode ?? status})`}`,
      {
        data: {
          status,
          providerCode,
          route,
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
          ...(resetAt === undefined ? {} : { resetAt }),
        },
      },
    );
    const serverNow = meaning.clockRefused === true && !Number.isNaN(date) ? date : undefined;
    const refused = status === 401 && meaning.code === 'auth' ? answer.authorization : undefined;
    return new TryFailure(error, meaning.repeat, { retryAfterMs, serverNow, refused });
  }
}

function bodyOf(call: Call): string | Content | undefined {
  if (call.form !== undefined) return encodeForm(call.form);
  return call.json !== undefined ? JSON.stringify(call.json) : call.content;
}

export function urlOf(call: Pick<Call, 'url' | 'query'>): string {
  return call.query === undefined ? call.url : `${call.url}?${encodeForm(call.query)}`;
}

/** An answer whose body does not matter. A page for people is somebody else's answer: then nothing was done. */
export function decodeNothing(answer: Answer, route: string): Answer {
  const isPage = /\bhtml\b/i.test(header(answer.headers, 'content-type') ?? '') || /^\s*</.test(answer.text);
  if (isPage) throw protocolFailure(route, 'a page instead of an answer', { status: answer.status });
  return answer;
}
