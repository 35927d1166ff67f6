/**
 * The HTTP client of all providers. It signs requests, limits them per host and by the account's rate limit, counts them,
 * and repeats them until a deadline (`RetriedRequest`). A request resolves with a validated value or rejects with a `ProviderError`.
 */
import { setMaxListeners } from 'node:events';
import { type Clock, steadyTimeOf, systemClock } from '../../../base/clock.js';
import { type Log, silentLog } from '../../../base/log.js';
import { ProviderError } from '../../errors.js';
import type { Priority } from '../../provider.js';
import type { RequestMetrics } from '../../request-metrics.js';
import { type Answer, header } from '../answers/answer.js';
import { cleanMessage, type ErrorReader, protocolFailure, TryFailure, toTryFailure } from '../answers/http-error.js';
import { readAnswer } from '../answers/read-answer.js';
import { encodeForm } from '../auth/oauth1.js';
import type { Signer } from '../auth/signer.js';
import type { Exchanger, MakeExchanger } from '../transport/exchanger.js';
import type { Bandwidth } from '../transport/token-bucket.js';
import { Transport } from '../transport/transport.js';
import type { Content, WireRequest, WireResponse } from '../transport/wire.js';
import type { Call, CallOptions, Outcome } from './call.js';
import { RequestCounter } from './metrics.js';
import { PriorityGate } from './priority-gate.js';
import type { RateLimiter } from './rate-limit.js';
import { type Begin, type Lookup, type RepeatContext, RetriedRequest, sleep } from './retried-request.js';
import { defaultRetryPolicy, parseRetryAfter, type RetryPolicy } from './retry-delay.js';

export interface HttpClientOptions {
  readonly signer?: Signer;
  readonly readError: ErrorReader;
  /** Longest time for a request with all its repeats, ms. Time in which bytes of a body move is not counted. */
  readonly deadlineMs?: number;
  /** Stall timeout: a try fails when no byte has moved for this long, ms. */
  readonly stallMs?: number;
  /** Requests at once per host. */
  readonly maxConnections?: number;
  readonly retry?: RetryPolicy;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly log?: Log;
  /** Strings that no message may contain. A function if they change. */
  readonly secrets?: readonly string[] | (() => readonly string[]);
  /** The account's rate limit. It applies to the requests that carry the account's credentials. */
  readonly limiter?: RateLimiter;
  /** If given, it transfers large bodies. */
  readonly bulk?: MakeExchanger;
  /** The bandwidth limits of transfers on the event loop; default: none. */
  readonly bandwidth?: Bandwidth;
}

/** Cap on a provider's error code in messages, characters: longer than any code in the documents. */
const maxCodeLength = 40;

export class HttpClient {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** Stall timeout of a try, ms: at most half of the deadline, so that there is time for a second try. */
  readonly stallMs: number;
  readonly #transport: Exchanger;
  readonly #bulk: Exchanger | undefined;
  readonly #signer: Signer | undefined;
  readonly #readError: ErrorReader;
  readonly #repeating: RepeatContext;
  readonly #secrets: () => readonly string[];
  readonly #limiter: RateLimiter | undefined;
  readonly #maxConnections: number;
  readonly #gates = new Map<string, PriorityGate>();
  readonly #counter: RequestCounter;
  #closed = false;

  constructor(options: HttpClientOptions) {
    this.clock = options.clock ?? systemClock;
    this.deadlineMs = options.deadlineMs ?? 60_000;
    this.stallMs = Math.min(options.stallMs ?? 30_000, this.deadlineMs / 2);
    this.#counter = new RequestCounter(this.clock);
    this.#maxConnections = options.maxConnections ?? 32;
    const connections = {
      // The gate limits requests. The other half is for requests that are made while a download is open (`placed`).
      maxConnections: this.#maxConnections * 2,
      connectTimeoutMs: Math.min(10_000, this.stallMs * 0.8),
    };
    this.#transport = new Transport(connections, options.bandwidth);
    this.#bulk = options.bulk?.(connections);
    this.#signer = options.signer;
    this.#readError = options.readError;
    const { secrets = [] } = options;
    this.#secrets = typeof secrets === 'function' ? secrets : () => secrets;
    this.#limiter = options.limiter;
    this.#repeating = {
      clock: this.clock,
      deadlineMs: this.deadlineMs,
      stallMs: this.stallMs,
      retry: options.retry ?? defaultRetryPolicy,
      random: options.random ?? Math.random,
      log: options.log ?? silentLog,
      signer: options.signer,
      limiter: options.limiter,
      isClosed: () => this.#closed,
    };
  }

  metrics(): RequestMetrics {
    return { ...this.#counter.snapshot(), ...(this.#limiter && { rateLimit: this.#limiter.snapshot() }) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#transport.close(), this.#bulk?.close()]);
  }

  /** Sends one request, and repeats it as needed. Rejects with `ProviderError`. */
  async request<T>(call: Call, outcome: Outcome<T>, options: CallOptions = {}): Promise<T> {
    return await this.repeat(
      call,
      (begin) => this.exchange(call, begin, options).then((answer) => outcome.decode(answer)),
      options,
      outcome.lookup?.bind(outcome),
    );
  }

  /** Runs `attempt` until it succeeds, fails for good, or the deadline has passed: see `RetriedRequest`. */
  async repeat<T>(
    call: Pick<Call, 'method' | 'route' | 'idempotent' | 'content'>,
    attempt: (begin: Begin) => Promise<T>,
    options: CallOptions,
    lookup?: Lookup<T>,
  ): Promise<T> {
    return await new RetriedRequest(this.#repeating, call, options, lookup).run(attempt);
  }

  /** Sleeps for `ms`. Rejects with a `ProviderError` (`aborted`) when the signal aborts. */
  async sleep(ms: number, route: string, options: CallOptions): Promise<void> {
    await sleep(this.clock, ms, route, options.signal);
  }

  /** One try of a request with a small answer: sends it, checks the status, reads the body. Rejects with `TryFailure`. */
  async exchange(call: Call, begin: Begin, options: CallOptions): Promise<Answer> {
    const signed = call.unsigned !== true;
    const release = await this.acquire(new URL(call.url).origin, call.route, options, signed, begin.turn);
    try {
      const response = await this.send(call, new URL(urlOf(call)), signed, begin(), options.signal);
      const answer = await readAnswer(response, call.route);
      const good = (answer.status >= 200 && answer.status < 300) || call.accept?.includes(answer.status) === true;
      if (!good) throw this.failureOf(answer, call.route);
      return answer;
    } finally {
      release();
    }
  }

  /**
   * Takes a slot at one host and, if `signed`, one request of the account's rate limit. `send` must follow. Resolves with
   * the function that releases the slot.
   */
  async acquire(
    origin: string,
    route: string,
    options: CallOptions,
    signed = true,
    turn?: number,
  ): Promise<() => void> {
    // Many requests listen to one signal: the chunks of an upload, the pages of a list. More than ten are no leak.
    if (options.signal !== undefined) setMaxListeners(0, options.signal);
    if (signed) await this.#limiter?.acquire(route, this.#maxWaitOf(options), options, turn);
    try {
      return await this.#acquireSlot(origin, route, options);
    } catch (error) {
      if (signed) this.#limiter?.release();
      throw error;
    }
  }

  /** How long a request may wait for the rate limit to be lifted, ms. */
  #maxWaitOf(options: CallOptions): number {
    return options.deadline === undefined
      ? this.deadlineMs
      : Math.max(0, options.deadline - steadyTimeOf(this.clock).now());
  }

  async #acquireSlot(origin: string, route: string, options: CallOptions): Promise<() => void> {
    if (options.holdsSlot === true) return () => {};
    let gate = this.#gates.get(origin);
    if (gate === undefined) {
      gate = new PriorityGate(this.#maxConnections);
      this.#gates.set(origin, gate);
    }
    try {
      return await gate.acquire(options.priority ?? ('foreground' satisfies Priority), options.signal);
    } catch (cause) {
      throw new ProviderError('aborted', `${route}: cancelled`, { cause, data: { route } });
    }
  }

  /** Sends one try, with a new signature if `signed`. The caller holds a slot, and must call `watch.end()`. */
  async send(
    call: Call,
    url: URL,
    signed: boolean,
    stallMs: number,
    signal: AbortSignal | undefined,
  ): Promise<WireResponse> {
    // Without `accept-encoding` a server may compress (RFC 9110, 12.5.3).
    const headers: Record<string, string> = { accept: 'application/json', 'accept-encoding': 'identity' };
    if (call.form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded';
    else if (call.json !== undefined) headers['content-type'] = 'application/json';
    else if (call.content !== undefined) headers['content-type'] = 'application/octet-stream';
    Object.assign(headers, call.headers);
    const limiter = signed ? this.#limiter : undefined;
    try {
      if (signed && this.#signer !== undefined) {
        await this.#signer.prepare?.(signal).catch((error: unknown) => {
          throw unsent(toTryFailure(error, call.route));
        });
        headers.authorization = this.#signer.authorization({ method: call.method, url: url.href, form: call.form });
      }
      this.#counter.count(call.route);
      const { method, chunked, pieces, isDownload } = call;
      const request = { method, url, headers, body: bodyOf(call), chunked, pieces, isDownload };
      const transport = isBulk(request) ? (this.#bulk ?? this.#transport) : this.#transport;
      const sending = transport.send(request, stallMs, signal);
      const response = await this.#counter.follow(call.route, call.content === undefined, sending);
      limiter?.observe(response.status, response.headers);
      return headers.authorization === undefined ? response : { ...response, authorization: headers.authorization };
    } finally {
      limiter?.release();
    }
  }

  /** Turns an error answer into a failed try. */
  failureOf(answer: Answer, route: string): TryFailure {
    const { status } = answer;
    const meaning = this.#readError(status, answer.text);
    const limited = meaning.code === 'rate-limited';
    const date = Date.parse(header(answer.headers, 'date') ?? '');
    const now = Number.isNaN(date) ? this.clock.now() : date;
    const requestedMs = parseRetryAfter(header(answer.headers, 'retry-after'), now) ?? meaning.retryAfterMs;
    if (limited && requestedMs !== undefined) this.#limiter?.pause(requestedMs);
    const retryAfterMs = requestedMs ?? (limited ? this.#limiter?.retryAfterMs() : undefined);
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

/**
 * A shorter body is not worth passing to another thread and back, bytes. Starting the thread costs a tenth of a second of CPU, once.
 */
const BULK_BYTES = 1024 * 1024;

/** True if the request moves much data, and `bulk` can do that beside the event loop. */
function isBulk({ body, pieces }: WireRequest): boolean {
  if (pieces !== undefined) return true;
  return typeof body === 'object' && body.inFile !== undefined && body.size > BULK_BYTES;
}

/** What it takes to send the request has failed: a token could not be renewed. */
function unsent({ error, repeat }: TryFailure): TryFailure {
  return new TryFailure(error, repeat, { mayHaveArrived: false });
}

function bodyOf(call: Call): string | Content | undefined {
  if (call.form !== undefined) return encodeForm(call.form);
  return call.json !== undefined ? JSON.stringify(call.json) : call.content;
}

export function urlOf(call: Pick<Call, 'url' | 'query'>): string {
  return call.query === undefined ? call.url : `${call.url}?${encodeForm(call.query)}`;
}

/**
 * Accepts an answer whose body does not matter. An HTML page is refused: it comes from a proxy or a sign-in page, not from
 * the service, which then did nothing.
 */
export function decodeNothing(answer: Answer, route: string): Answer {
  const isPage = /\bhtml\b/i.test(header(answer.headers, 'content-type') ?? '') || /^\s*</.test(answer.text);
  if (isPage) throw protocolFailure(route, 'a page instead of an answer', { status: answer.status });
  return answer;
}
