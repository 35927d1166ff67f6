/**
 * One HTTP exchange over kept-alive connections. This module does not repeat or sign requests, and knows no provider.
 *
 * Each try has one stall timer, which every byte restarts, instead of undici's timeouts: its headers timeout also runs
 * while a large upload waits for a slow line, and would abort a transfer that moves.
 */
import { EventEmitter } from 'node:events';
import type { Dispatcher } from 'undici';
import { codeOf, messageOf } from '../../../base/errors.js';
import { Agent, type AgentRequest } from './agent.js';
import { certificateProblem } from './certificate-problem.js';
import { connectorOf } from './connector.js';
import { CountedBody, throttled } from './counted-body.js';
import { requestEmptyChunked } from './empty-chunked.js';
import type { Exchanger, ExchangerOptions } from './exchanger.js';
import { ProxyError } from './proxy.js';
import { Bandwidth } from './token-bucket.js';
import {
  type Content,
  type ExchangeWatch,
  type HttpMethod,
  TransportFailure,
  type WireRequest,
  type WireResponse,
} from './wire.js';

const connectionRefused = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'CONNECT_TIMEOUT',
]);

/** Bodies up to this size are sent in one buffer, bytes: one system call instead of several. */
const singleWriteBytes = 256 * 1024;

/**
 * After the caller's signal aborts, a change that has been sent in full gets this long to be answered, ms. The server
 * carries it out in any case. Without the answer the caller would know neither the outcome nor the new object's id, and
 * its next request could overtake the change: a cancelled upload would restore a file that was removed since. One second
 * is many round trips, and short for a person who pressed Ctrl-C.
 */
const answerGraceMs = 1000;

/** The abort signal for undici. An AbortSignal would do too, but takes ten times as long to make. */
class AbortEmitter extends EventEmitter {
  aborted = false;
}

/** Aborts one exchange when no byte has moved for `stallMs`, or when the caller's signal aborts. */
export class Watch implements ExchangeWatch {
  /** Aborts together with `signal`. */
  readonly emitter = new AbortEmitter();
  /** Made by the first call of `signal`. */
  #controller: AbortController | undefined;
  readonly stallMs: number;
  #timer: NodeJS.Timeout | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #startedAt = performance.now();
  #movedAt = this.#startedAt;
  #why: 'stalled' | 'aborted' | undefined;
  readonly #isChange: boolean;
  #isSent = false;
  #isOnWire = false;
  #outcome: NodeJS.Timeout | undefined;
  sourceError: unknown;

  constructor(method: HttpMethod, stallMs: number, signal: AbortSignal | undefined) {
    this.#isChange = method !== 'GET';
    this.stallMs = Math.max(1, stallMs);
    this.#signal = signal;
    this.#arm();
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.emitter.aborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  readonly #onAbort = (): void => {
    if (!this.#isChange || !this.#isSent || !this.#isOnWire) this.#abort('aborted');
    else this.#outcome = setTimeout(() => this.#abort('aborted'), answerGraceMs);
  };

  /** The whole request is ready for the connection, or handed to it. */
  sent(): void {
    this.#isSent = true;
  }

  /** A connection takes the request now: from here on the server may get it. */
  readonly wire = (): void => {
    this.#isOnWire = true;
  };

  get isOnWire(): boolean {
    return this.#isOnWire;
  }

  #abort(why: 'stalled' | 'aborted'): void {
    this.#why ??= why;
    if (this.emitter.aborted) return;
    this.emitter.aborted = true;
    this.emitter.emit('abort');
    this.#controller?.abort();
  }

  #arm(): void {
    this.#timer = setTimeout(() => this.#abort('stalled'), this.stallMs);
  }

  /** A byte moved: restarts the timer. */
  moved(): void {
    this.#movedAt = performance.now();
    if (this.#timer === undefined) this.#arm();
    else this.#timer.refresh();
  }

  /** Stops the timer until the next `moved`, because the delay is ours and not the server's. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Ends the watch when the exchange is over: stops the timers and leaves the caller's signal. */
  end(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#outcome);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  /** Turns an error that was thrown during the exchange into a `TransportFailure`. */
  failure(error: unknown): TransportFailure {
    if (error instanceof TransportFailure) return error;
    const transferMs = this.#movedAt - this.#startedAt;
    if (this.#why === 'aborted')
      return new TransportFailure(this.#isOnWire ? 'aborted' : 'unsent', 'cancelled', this.#signal?.reason);
    if (this.#why === 'stalled' && !this.#isOnWire)
      return new TransportFailure('refused', 'no connection in time', error);
    if (this.#why === 'stalled') return new TransportFailure('stalled', 'no answer', error, transferMs);
    if (this.sourceError !== undefined)
      return new TransportFailure('source', messageOf(this.sourceError), this.sourceError);
    if (error instanceof ProxyError)
      return new TransportFailure(error.isFinal ? 'insecure' : 'refused', error.message, error);
    const code = codeOf(error) ?? '';
    if (connectionRefused.has(code)) return new TransportFailure('refused', `no connection (${code})`, error);
    const insecure = certificateProblem(code);
    if (insecure !== undefined) return new TransportFailure('insecure', insecure, error);
    if (code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH')
      return new TransportFailure('source', 'the content to upload is not as long as it said', error);
    if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED' || code === 'UND_ERR_ABORTED')
      return new TransportFailure('aborted', 'closed', error);
    return new TransportFailure(
      'broken',
      `connection lost (${code === '' ? messageOf(error) : code})`,
      error,
      transferMs,
    );
  }
}

/** Reads the content for a streamed body, keeps to the limit, and reports its progress. */
async function* metered(content: Content, watch: Watch, bandwidth: Bandwidth): AsyncGenerator<Uint8Array> {
  let sent = 0;
  const iterator = content.open()[Symbol.asyncIterator]();
  try {
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await iterator.next();
      } catch (error) {
        watch.sourceError = error;
        throw error;
      }
      if (next.done === true) return;
      const { value } = next;
      for (let at = 0; at < value.byteLength; ) {
        let piece = value.subarray(at, at + bandwidth.pieceBytes());
        // undici asks for the next piece before the socket has taken a short one: copy it.
        if (content.reusesMemory === true && piece.byteLength < value.byteLength) piece = Uint8Array.from(piece);
        at += piece.byteLength;
        await throttled(bandwidth, 'up', piece.byteLength, watch);
        watch.moved();
        sent += piece.byteLength;
        if (sent === content.size) watch.sent();
        yield piece;
        content.onProgress?.(sent);
      }
    }
  } finally {
    await iterator.return?.();
  }
}

/** Reads the whole content into one buffer. Throws if it is not as long as its size says. */
async function gather(content: Content, watch: Watch): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of content.open()) {
      parts.push(part);
      bytes += part.byteLength;
    }
  } catch (error) {
    watch.sourceError = error;
    throw error;
  }
  if (bytes !== content.size) {
    const error = new Error(`the content to upload has ${bytes} bytes instead of ${content.size}`);
    watch.sourceError = error;
    throw error;
  }
  return Buffer.concat(parts, bytes);
}

async function sendEmptyChunked(request: WireRequest, watch: Watch, connectTimeoutMs: number): Promise<WireResponse> {
  watch.sent();
  watch.wire();
  const { method, url, headers } = request;
  const answer = await requestEmptyChunked(method, url, headers, watch.signal, connectTimeoutMs);
  watch.moved();
  return { ...answer, watch };
}

export class Transport implements Exchanger {
  readonly #agent: Agent;
  readonly #bandwidth: Bandwidth;
  readonly #connectTimeoutMs: number;

  constructor(options: ExchangerOptions, bandwidth = new Bandwidth()) {
    this.#bandwidth = bandwidth;
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#agent = new Agent({
      connections: options.maxConnections,
      // Longer than a person's pauses, and shorter than the idle timeout of common servers (60 to 75 s). Servers with a
      // shorter one announce it in the Keep-Alive header, which undici obeys.
      keepAliveTimeout: 20_000,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: connectorOf(options.connectTimeoutMs),
    });
  }

  async send(request: WireRequest, stallMs: number, signal?: AbortSignal): Promise<WireResponse> {
    const watch = new Watch(request.method, stallMs, signal);
    try {
      if (request.chunked === true && typeof request.body === 'object' && request.body.size === 0)
        return await sendEmptyChunked(request, watch, this.#connectTimeoutMs);
      const { body: sending, headers } = await this.#bodyOf(request, watch);
      const response = await this.#respond(watch, {
        origin: request.url.origin,
        path: request.url.pathname + request.url.search,
        method: request.method,
        headers,
        body: sending,
        signal: watch.emitter,
        onWire: watch.wire,
        // We do not pipeline: each answer is read to its end before the next request on its connection.
        blocking: false,
      });
      watch.moved();
      const body = new CountedBody(response.body, watch, this.#bandwidth, request.isDownload === true);
      return { status: response.statusCode, headers: response.headers, body, watch };
    } catch (error) {
      const failure = watch.failure(error);
      watch.end();
      throw failure;
    }
  }

  /** undici looks at its signal once there is a connection, which may take 10 s: until then, whoever gives up does not wait for it. */
  #respond(watch: Watch, request: AgentRequest): Promise<Dispatcher.ResponseData> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        if (!watch.isOnWire) reject(new Error('given up without a connection'));
      };
      if (watch.emitter.aborted) return leave();
      watch.emitter.once('abort', leave);
      this.#agent.request(request).then(resolve, reject);
    });
  }

  async #bodyOf(
    request: WireRequest,
    watch: Watch,
  ): Promise<Pick<Dispatcher.RequestOptions, 'body'> & { headers: Record<string, string> }> {
    const { body, headers } = request;
    if (body === undefined || typeof body === 'string') {
      this.#bandwidth.count('up', Buffer.byteLength(body ?? ''));
      watch.sent();
      return { body: body ?? null, headers };
    }
    if (request.chunked === true) {
      const chunks = metered(body, watch, this.#bandwidth) as unknown as Dispatcher.RequestOptions['body'];
      return { body: chunks, headers };
    }
    if (body.size <= singleWriteBytes) {
      const whole = await gather(body, watch);
      await throttled(this.#bandwidth, 'up', whole.length, watch);
      watch.sent();
      return { body: whole, headers };
    }
    // undici accepts any async iterable, but its types do not say so.
    const stream = metered(body, watch, this.#bandwidth) as unknown as Dispatcher.RequestOptions['body'];
    return { body: stream, headers: { ...headers, 'content-length': String(body.size) } };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}
