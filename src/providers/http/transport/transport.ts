/**
 * One HTTP exchange over kept-alive connections: nothing here repeats, signs or knows a provider.
 *
 * Timeouts are one timer per try, moved on by every byte, instead of undici's own: its headers timeout also runs while
 * a large upload waits for a slow line, and would kill a transfer that moves.
 */
import { setMaxListeners } from 'node:events';
import type { Dispatcher } from 'undici';
import { codeOf, messageOf } from '../../../base/errors.js';
import { Agent } from './agent.js';
import { requestEmptyChunked } from './empty-chunked.js';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A request body that can be read anew for every try. */
export interface Content {
  /** Bytes. */
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
  /** Bytes of this try that went to the socket so far. */
  onProgress?(sent: number): void;
}

export interface WireRequest {
  readonly method: HttpMethod;
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly body?: string | Content;
  /** Send the content with `Transfer-Encoding: chunked` instead of a length. */
  readonly chunked?: boolean;
}

export interface WireBody extends AsyncIterable<Uint8Array> {
  on(event: 'error', listener: (error: unknown) => void): WireBody;
  destroy(): unknown;
}

export interface WireResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: WireBody;
  readonly watch: Watch;
  /** The Authorization header that was sent. */
  readonly authorization?: string;
}

/**
 * - `refused`  never reached the server: no connection
 * - `insecure` the same, and repeating is useless (certificate)
 * - `broken`   the connection ended; what the server did is unknown
 * - `stalled`  no byte moved for too long; what the server did is unknown
 * - `source`   the content to upload could not be read
 * - `aborted`  the caller's signal fired
 */
export type FailureKind = 'refused' | 'insecure' | 'broken' | 'stalled' | 'source' | 'aborted';

export class TransportFailure extends Error {
  readonly kind: FailureKind;
  /** How long the try had been moving body bytes when it failed, ms. */
  readonly movedForMs: number;

  constructor(kind: FailureKind, message: string, cause: unknown, movedForMs = 0) {
    super(message, { cause });
    this.kind = kind;
    this.movedForMs = movedForMs;
  }
}

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
]);

const badCertificate = /^(ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY)_|ERR_SSL_|HOSTNAME_MISMATCH)/;

/** Bodies up to this many bytes go out as one buffer with the head: one system call instead of several. */
const singleWriteBytes = 256 * 1024;

/**
 * The server carries out a change that it has been sent in full, wanted or not. Who breaks it off then does not know what was
 * done, nor the id of what was made, and his next request may overtake it: a cancelled upload would put back a file that was
 * removed since. So the answer is awaited for this long after the caller's signal, ms: many round trips, and short for who
 * pressed Ctrl-C.
 */
const outcomeWithinMs = 1000;

/** Aborts one exchange when nothing moves for `patienceMs`, or when the caller's signal fires. */
export class Watch {
  readonly #controller = new AbortController();
  readonly patienceMs: number;
  #timer: NodeJS.Timeout | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #startedAt = performance.now();
  #movedAt = this.#startedAt;
  #why: 'stalled' | 'aborted' | undefined;
  readonly #isChange: boolean;
  #isSent = false;
  #outcome: NodeJS.Timeout | undefined;
  sourceError: unknown;

  constructor(method: HttpMethod, patienceMs: number, signal: AbortSignal | undefined) {
    this.#isChange = method !== 'GET';
    this.patienceMs = Math.max(1, patienceMs);
    this.#signal = signal;
    this.#arm();
    // As many requests as there are places may listen to one signal: the chunks of an upload, the pages of a list.
    if (signal !== undefined) setMaxListeners(0, signal);
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #onAbort = (): void => {
    if (!this.#isChange || !this.#isSent) this.#abort('aborted');
    else this.#outcome = setTimeout(() => this.#abort('aborted'), outcomeWithinMs);
  };

  /** Nothing of the request is left to be handed to the connection. */
  sent(): void {
    this.#isSent = true;
  }

  #abort(why: 'stalled' | 'aborted'): void {
    this.#why ??= why;
    this.#controller.abort();
  }

  #arm(): void {
    this.#timer = setTimeout(() => this.#abort('stalled'), this.patienceMs);
  }

  /** A byte moved: the timer begins anew. */
  moved(): void {
    this.#movedAt = performance.now();
    if (this.#timer === undefined) this.#arm();
    else this.#timer.refresh();
  }

  /** The delay is ours and not the server's: the timer rests until the next `moved`. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The exchange is over: forget the timer and the caller's signal. */
  end(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#outcome);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  /** What an error thrown during the exchange means. */
  failure(error: unknown): TransportFailure {
    if (error instanceof TransportFailure) return error;
    const movedForMs = this.#movedAt - this.#startedAt;
    if (this.#why === 'aborted') return new TransportFailure('aborted', 'cancelled', this.#signal?.reason);
    if (this.#why === 'stalled') return new TransportFailure('stalled', 'no answer', error, movedForMs);
    if (this.sourceError !== undefined)
      return new TransportFailure('source', messageOf(this.sourceError), this.sourceError);
    const code = codeOf(error) ?? '';
    if (connectionRefused.has(code)) return new TransportFailure('refused', `no connection (${code})`, error);
    if (badCertificate.test(code)) return new TransportFailure('insecure', `no secure connection (${code})`, error);
    if (code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH')
      return new TransportFailure('source', 'the content to upload is not as long as it said', error);
    if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED' || code === 'UND_ERR_ABORTED')
      return new TransportFailure('aborted', 'closed', error);
    return new TransportFailure(
      'broken',
      `connection lost (${code === '' ? messageOf(error) : code})`,
      error,
      movedForMs,
    );
  }
}

async function* metered(content: Content, watch: Watch): AsyncGenerator<Uint8Array> {
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
      watch.moved();
      sent += next.value.byteLength;
      if (sent === content.size) watch.sent();
      yield next.value;
      content.onProgress?.(sent);
    }
  } finally {
    await iterator.return?.();
  }
}

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

async function sendEmptyChunked(request: WireRequest, watch: Watch): Promise<WireResponse> {
  watch.sent();
  const answer = await requestEmptyChunked(request.method, request.url, request.headers, watch.signal);
  watch.moved();
  return { ...answer, watch };
}

export class Transport {
  readonly #agent: Agent;

  constructor(options: { readonly maxConnections: number; readonly connectTimeoutMs: number }) {
    this.#agent = new Agent({
      connections: options.maxConnections,
      // Long enough to span a person's pauses, shorter than the idle timeout of common servers (60 to 75 s), which
      // announce shorter ones in the Keep-Alive header.
      keepAliveTimeout: 20_000,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: options.connectTimeoutMs },
    });
  }

  /**
   * Sends one request and resolves with the head of the answer. The caller must read or destroy the body, then call
   * `watch.end()`. Rejects with `TransportFailure`.
   */
  async send(request: WireRequest, patienceMs: number, signal?: AbortSignal): Promise<WireResponse> {
    const watch = new Watch(request.method, patienceMs, signal);
    try {
      if (request.chunked === true && typeof request.body === 'object' && request.body.size === 0)
        return await sendEmptyChunked(request, watch);
      const { body, headers } = await this.#bodyOf(request, watch);
      const response = await this.#agent.request({
        origin: request.url.origin,
        path: request.url.pathname + request.url.search,
        method: request.method,
        headers,
        body,
        signal: watch.signal,
        // Every answer is read to its end before the next on its connection: no pipelining to protect.
        blocking: false,
      });
      watch.moved();
      return { status: response.statusCode, headers: response.headers, body: response.body, watch };
    } catch (error) {
      const failure = watch.failure(error);
      watch.end();
      throw failure;
    }
  }

  async #bodyOf(
    request: WireRequest,
    watch: Watch,
  ): Promise<Pick<Dispatcher.RequestOptions, 'body'> & { headers: Record<string, string> }> {
    const { body, headers } = request;
    if (body === undefined || typeof body === 'string') {
      watch.sent();
      return { body: body ?? null, headers };
    }
    if (request.chunked === true) {
      const chunks = metered(body, watch) as unknown as Dispatcher.RequestOptions['body'];
      return { body: chunks, headers };
    }
    if (body.size <= singleWriteBytes) {
      const whole = await gather(body, watch);
      watch.sent();
      return { body: whole, headers };
    }
    // undici takes any async iterable, which its types do not say.
    const stream = metered(body, watch) as unknown as Dispatcher.RequestOptions['body'];
    return { body: stream, headers: { ...headers, 'content-length': String(body.size) } };
  }

  /** Aborts what is under way and closes every connection. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}
