/**
 * A kept-alive connection to one server for large answers. Its bytes land in one buffer that all connections of the thread share, and go
 * to their reader from there. An allocation, a stream and a copy for each piece of 64 KiB would cost more than the bytes themselves.
 */
import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net';
import { proxyFor, tunnelThrough } from './proxy.js';
import { ResponseParser } from './response-parser.js';
import { tlsHost } from './tls-host.js';
import type { WireResponse } from './wire.js';

/** Bytes in one read of a socket: a fast line brings them in a few hundred microseconds, and they fit into a core's cache. */
const READ_BYTES = 256 * 1024;

/** How long to keep an unused connection, ms: longer than a user's pauses, shorter than common servers keep theirs (60 to 75 s). */
const KEEP_MS = 20_000;
/** If a server tells how long it keeps a connection, we keep it for that time less this margin for the network's delay, ms. */
const KEEP_MARGIN_MS = 1000;

/** Takes bytes of a body. It must use them at once, because their memory is reused. A promise holds the stream until it settles. */
export type TakeBytes = (bytes: Uint8Array) => Promise<void> | undefined;

export interface Received {
  readonly status: number;
  readonly headers: WireResponse['headers'];
  /** Passes on the body, once; resolves at its end. */
  each(take: TakeBytes): Promise<void>;
  /** Closes the connection, because the rest of the body is not wanted. */
  destroy(): void;
}

/** `session`: of an earlier TLS connection, to resume it. */
export interface ConnectOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
  /** The connection takes no more requests. */
  readonly onClosed: (connection: Connection) => void;
  /** The connection can take the next request. */
  readonly onIdle: (connection: Connection) => void;
}

/** An error with a code, like those of node:net. */
function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function unasked(): Error {
  return new Error('the server answers what nobody asked');
}

let shared: Buffer | undefined;

/** All connections of the thread read into one buffer. */
function intoShared(read: (bytes: Buffer) => boolean): OnReadOpts {
  shared ??= Buffer.allocUnsafeSlow(READ_BYTES);
  const buffer = shared;
  return { buffer, callback: (count) => read(buffer.subarray(0, count)) };
}

export class Connection {
  readonly #socket: Socket;
  readonly #events: Pick<ConnectOptions, 'onClosed' | 'onIdle'>;
  readonly #parser: ResponseParser;
  #current: Answer | null = null;
  #keepMs = KEEP_MS;
  #unused: NodeJS.Timeout | undefined;
  #problem: Error | undefined;
  #isClosed = false;

  /** `open` makes the socket, which passes its bytes to `read`. If that answers false, the socket stops reading. */
  private constructor(options: ConnectOptions, open: (read: (bytes: Buffer) => boolean) => Socket) {
    this.#events = options;
    this.#parser = new ResponseParser({
      head: (status, headers) => {
        if (this.#current === null) throw unasked();
        this.#keepMs = keepTime(headers['keep-alive']);
        this.#current.head(status, headers);
      },
      body: (bytes) => this.#current?.body(bytes),
      end: (isReusable) => this.#ended(isReusable),
    });
    this.#socket = open((bytes) => this.#read(bytes));
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error) => {
      this.#problem ??= error;
    });
    this.#socket.on('close', () => this.#closed());
  }

  /** Rejects with the error of the socket, with one of code `CONNECT_TIMEOUT`, or with the signal's reason. */
  static async connect(url: URL, options: ConnectOptions): Promise<Connection> {
    const { signal, timeoutMs } = options;
    const names = tlsHost(url);
    const isSecure = url.protocol === 'https:';
    const place = { host: names.host, port: Number(url.port || (isSecure ? 443 : 80)) };
    // Loaded when it is needed: OpenSSL's part takes 10 ms.
    const tls = isSecure ? await import('node:tls') : undefined;
    const proxy = proxyFor(url);
    const tunnel = proxy === null ? undefined : await tunnelThrough(proxy, url, { timeoutMs, signal });
    if (signal.aborted) tunnel?.destroy();
    signal.throwIfAborted();
    const { promise, resolve, reject } = promised<Connection>();
    const connection = new Connection(options, (read) => {
      const onread = intoShared(read);
      if (tls === undefined) return connectTcp({ ...place, onread }, () => resolve(connection));
      const { session } = options;
      const secure = {
        ...(tunnel === undefined ? { ...place, onread } : { socket: tunnel }),
        ...names,
        ALPNProtocols: ['http/1.1'],
        ...(session !== undefined && { session }),
      };
      const socket = tls.connect(secure, () => resolve(connection)).on('session', options.onSession);
      // Node.js reads into our buffer only from a socket that it opened itself, not from a tunnel.
      if (tunnel !== undefined) socket.on('data', (bytes) => read(bytes) || socket.pause());
      return socket;
    });
    const socket = connection.#socket;
    const late = setTimeout(
      () => socket.destroy(coded('CONNECT_TIMEOUT', `no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const onAbort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => reject(connection.#problem ?? coded('ECONNRESET', 'the connection was closed')));
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
    }
  }

  get isUsable(): boolean {
    return !this.#isClosed && this.#current === null && !this.#socket.destroyed;
  }

  /** Sends a GET; resolves with the head of its answer. */
  get(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Received> {
    clearTimeout(this.#unused);
    this.#socket.ref();
    const answer = new Answer(signal, {
      resume: () => void this.#socket.resume(),
      destroy: (why) => void this.#socket.destroy(why),
    });
    this.#current = answer;
    try {
      this.#socket.write(requestText(url, headers), 'latin1');
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
    return answer.received;
  }

  /** `why`: the error with which its request fails. */
  destroy(why?: Error): void {
    this.#socket.destroy(why);
  }

  /** False stops the reading. */
  #read(bytes: Buffer): boolean {
    const answer = this.#current;
    try {
      if (answer === null) throw unasked();
      this.#parser.add(bytes);
      // Otherwise the bytes after this answer would begin the next one.
      if (this.#current === null && !this.#parser.isBetween) throw unasked();
    } catch (error) {
      this.#socket.destroy(error as Error);
      return false;
    }
    return !answer.isHeld;
  }

  #ended(isReusable: boolean): void {
    const answer = this.#current;
    this.#current = null;
    answer?.ended();
    if (!isReusable || this.#keepMs <= 0) this.#socket.destroy();
    this.#socket.unref();
    this.#unused = setTimeout(() => this.#socket.destroy(), Math.max(0, this.#keepMs)).unref();
    if (answer?.isHeld !== true) this.#idle();
    else void answer.released().then(() => this.#idle());
  }

  #idle(): void {
    if (!this.isUsable) return;
    // An idle connection keeps reading, to notice that the server closes it.
    this.#socket.resume();
    this.#events.onIdle(this);
  }

  #closed(): void {
    this.#isClosed = true;
    clearTimeout(this.#unused);
    const answer = this.#current;
    if (answer !== null) {
      // An answer without a length ends with its connection.
      if (this.#problem === undefined) this.#parser.finish();
      answer.failed(this.#problem ?? coded('ECONNRESET', 'the server closed the connection'));
      this.#current = null;
    }
    this.#events.onClosed(this);
  }
}

/** One answer on its way from the connection to its reader. */
class Answer {
  readonly received: Promise<Received>;
  /** The reader is not done with the earlier bytes: the connection must not read more. */
  isHeld = false;
  readonly #signal: AbortSignal;
  readonly #connection: { resume(): void; destroy(why?: Error): void };
  readonly #head = promised<Received>();
  readonly #over = promised<void>();
  #take: TakeBytes | null = null;
  /** Bytes of the body that came in one read with the head, before there was a reader. */
  readonly #early: Uint8Array[] = [];
  #holding: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(signal: AbortSignal, connection: { resume(): void; destroy(why?: Error): void }) {
    this.#signal = signal;
    this.#connection = connection;
    this.received = this.#head.promise;
    // Nobody may wait for the end: a caller may want only the head, or have left.
    this.#over.promise.catch(() => undefined);
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  readonly #onAbort = (): void => this.#connection.destroy(this.#signal.reason as Error);

  head(status: number, headers: WireResponse['headers']): void {
    // Held until somebody reads the body.
    this.isHeld = true;
    const each = (take: TakeBytes): Promise<void> => this.#each(take);
    this.#head.resolve({ status, headers, each, destroy: () => this.#connection.destroy() });
  }

  body(bytes: Uint8Array): void {
    if (this.#take === null) {
      this.#early.push(Uint8Array.from(bytes));
      return;
    }
    this.#pass(bytes, this.#take);
  }

  #pass(bytes: Uint8Array, take: TakeBytes): void {
    const wait = take(bytes);
    if (wait === undefined) return;
    this.isHeld = true;
    // Two chunks may come in one read, and each may have to wait.
    this.#holding = Promise.all([this.#holding, wait]).then(() => undefined);
    this.#letGoAfter(this.#holding);
  }

  #letGoAfter(holding: Promise<void>): void {
    holding.then(
      () => {
        if (this.#holding !== holding) return;
        this.isHeld = false;
        if (!this.#isOver) this.#connection.resume();
      },
      (error: Error) => this.#connection.destroy(error),
    );
  }

  async #each(take: TakeBytes): Promise<void> {
    try {
      for (const bytes of this.#early.splice(0)) {
        const wait = take(bytes);
        if (wait !== undefined) await wait;
      }
    } catch (error) {
      this.#connection.destroy(error as Error);
      throw error;
    }
    this.#take = take;
    this.isHeld = false;
    if (!this.#isOver) this.#connection.resume();
    await this.#over.promise;
    await this.#holding;
  }

  /** Resolves when the reader is done with the bytes of the whole answer. */
  async released(): Promise<void> {
    await this.#over.promise;
    await this.#holding.catch(() => undefined);
  }

  ended(): void {
    this.#finish();
    this.#over.resolve();
  }

  failed(error: unknown): void {
    if (this.#isOver) return;
    this.#finish();
    this.#head.reject(error);
    this.#over.reject(error);
  }

  #finish(): void {
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

function promised<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((one, other) => {
    resolve = one;
    reject = other;
  });
  return { promise, resolve, reject };
}

/** Throws if a header would end its line. */
function requestText(url: URL, headers: Readonly<Record<string, string>>): string {
  const lines = [`GET ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`, 'connection: keep-alive'];
  for (const [name, value] of Object.entries(headers)) {
    // RFC 9110, 5.5: visible characters, spaces and tabs; those above ASCII as they are.
    if (!/^[!-9;-~]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw new Error(`the header ${name} cannot be sent`);
    lines.push(`${name}: ${value}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** How long to keep the unused connection, ms: what the server tells (`timeout=5`, in seconds), but at most our own limit. */
function keepTime(header: string | string[] | undefined): number {
  const seconds = typeof header === 'string' ? /(?:^|[,\s])timeout=(\d{1,6})/i.exec(header)?.[1] : undefined;
  return seconds === undefined ? KEEP_MS : Math.min(KEEP_MS, Number(seconds) * 1000 - KEEP_MARGIN_MS);
}
