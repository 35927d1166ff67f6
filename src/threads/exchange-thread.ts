/**
 * Transfers large bodies in a thread of its own, which starts with the first of them. The thread does connections, TLS, parsing and CRCs.
 * The event loop gets whole pieces, no faster than it takes them.
 */

import { messageOf } from '../base/errors.js';
import { type BodyBytes, type BodyChunk, isStored, type PieceTarget } from '../providers/content.js';
import type { Exchanger, ExchangerOptions } from '../providers/http/transport/exchanger.js';
import { Bandwidth } from '../providers/http/transport/token-bucket.js';
import {
  type ExchangeWatch,
  type FilePieces,
  TransportFailure,
  type WireBody,
  type WireRequest,
  type WireResponse,
} from '../providers/http/transport/wire.js';
import type { ExchangeOrder, ExchangeReport, Failure, ThreadRequest } from './exchange-messages.js';
import { LazyThread } from './lazy-thread.js';

export class ExchangeThread {
  readonly #bandwidth: Bandwidth;
  readonly #thread: LazyThread<ExchangeOrder, ExchangeReport>;
  readonly #exchanges = new Map<number, ThreadExchange>();
  readonly #closing = new Map<number, () => void>();
  /** The clients that the present thread knows. */
  readonly #opened = new Set<number>();
  #lastId = 0;
  #lastClient = 0;

  constructor(bandwidth = new Bandwidth()) {
    this.#bandwidth = bandwidth;
    this.#thread = new LazyThread('exchange-worker.cjs', {
      reported: (report) => this.#reported(report),
      ended: (why) => this.#ended(why),
    });
  }

  /** An exchanger for one HTTP client. */
  exchanger(options: ExchangerOptions): Exchanger {
    const client = ++this.#lastClient;
    let isClosed = false;
    return {
      send: async (request, stallMs, signal) => {
        if (isClosed) throw new TransportFailure('aborted', 'closed', undefined);
        return await this.#send(client, options, request, stallMs, signal);
      },
      close: () => {
        isClosed = true;
        return this.#closeClient(client);
      },
    };
  }

  /** Ends the thread. Exchanges in flight fail. */
  close(): Promise<void> {
    return this.#thread.close();
  }

  async #send(
    client: number,
    options: ExchangerOptions,
    wire: WireRequest,
    stallMs: number,
    signal: AbortSignal | undefined,
  ): Promise<WireResponse> {
    const { method, url, headers, body, chunked, pieces, isDownload } = wire;
    if (signal?.aborted) throw new TransportFailure('aborted', 'cancelled', signal.reason);
    const { target, ...cut } = pieces ?? {};
    const request: ThreadRequest = {
      method,
      url: url.href,
      headers,
      ...(chunked !== undefined && { chunked }),
      ...(isDownload !== undefined && { isDownload }),
      ...(pieces !== undefined && { pieces: { ...(cut as FilePieces), fd: target?.fd ?? null } }),
    };
    const start = (threadBody?: ThreadRequest['body']): ThreadExchange => {
      const order = threadBody === undefined ? request : { ...request, body: threadBody };
      return this.#start(client, options, order, stallMs, { signal, target, onSent: progressOf(body) });
    };
    if (typeof body !== 'object') return await start(body).head;
    if (body.inFile === undefined) throw new Error('a body that the thread does not have');
    const { whileOpen, ...place } = body.inFile;
    return await new Promise((resolve, reject) => {
      whileOpen(async (fd) => {
        const exchange = start({ fd, ...place });
        exchange.head.then(resolve, reject);
        await exchange.over;
      }).catch((error: unknown) => reject(new TransportFailure('source', messageOf(error), error)));
    });
  }

  #start(
    client: number,
    options: ExchangerOptions,
    request: ThreadRequest,
    stallMs: number,
    ends: ExchangeEnds,
  ): ThreadExchange {
    const tell = (order: ExchangeOrder): void => this.#thread.tell(order);
    if (!this.#opened.has(client)) {
      this.#opened.add(client);
      tell({ kind: 'open', client, options, bandwidth: this.#bandwidth.memory });
    }
    const id = ++this.#lastId;
    const exchange = new ThreadExchange(id, stallMs, tell, ends);
    this.#exchanges.set(id, exchange);
    tell({ kind: 'send', id, client, request, stallMs });
    this.#thread.hold(true);
    return exchange;
  }

  async #closeClient(client: number): Promise<void> {
    if (!this.#opened.delete(client)) return;
    const id = ++this.#lastId;
    await new Promise<void>((resolve) => {
      this.#closing.set(id, resolve);
      this.#thread.tell({ kind: 'close', client, id });
      this.#thread.hold(true);
    });
    this.#hold();
  }

  #reported(report: ExchangeReport): void {
    const { id } = report;
    if (report.kind === 'closed') {
      this.#closing.get(id)?.();
      this.#closing.delete(id);
      return;
    }
    this.#exchanges.get(id)?.reported(report);
    if (report.kind !== 'ended' && report.kind !== 'failed') return;
    this.#exchanges.delete(id);
    this.#hold();
  }

  #hold(): void {
    this.#thread.hold(this.#exchanges.size + this.#closing.size > 0);
  }

  #ended(why: Error): void {
    this.#opened.clear();
    const failure: Failure = { kind: 'aborted', message: 'closed', cause: why.message, transferMs: 0 };
    for (const [id, exchange] of this.#exchanges) exchange.reported({ kind: 'failed', id, failure });
    this.#exchanges.clear();
    for (const resolve of this.#closing.values()) resolve();
    this.#closing.clear();
  }
}

/** The other ends of an exchange, besides its caller. */
interface ExchangeEnds {
  readonly signal: AbortSignal | undefined;
  /** The thread writes to it until the exchange is over. */
  readonly target: PieceTarget | undefined;
  readonly onSent: (bytes: number) => void;
}

function progressOf(body: WireRequest['body']): (bytes: number) => void {
  return (bytes) => {
    if (typeof body === 'object') body.onProgress?.(bytes);
  };
}

/** One exchange as its caller sees it. */
class ThreadExchange implements WireBody, ExchangeWatch {
  readonly head: Promise<WireResponse>;
  /** Resolves when the thread has finished with it. */
  readonly over: Promise<void>;
  readonly stallMs: number;
  readonly #id: number;
  readonly #tell: (order: ExchangeOrder) => void;
  readonly #ends: ExchangeEnds;
  readonly #pieces: BodyChunk[] = [];
  #resolveHead!: (response: WireResponse) => void;
  #rejectHead!: (error: unknown) => void;
  #resolveOver!: () => void;
  #wake: () => void = () => {};
  #failure: TransportFailure | null = null;
  #isOver = false;

  constructor(id: number, stallMs: number, tell: (order: ExchangeOrder) => void, ends: ExchangeEnds) {
    this.#id = id;
    this.stallMs = stallMs;
    this.#tell = tell;
    this.#ends = ends;
    ends.target?.hold();
    this.head = new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
    });
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    ends.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => this.#tell({ kind: 'abort', id: this.#id });

  reported(message: Exclude<ExchangeReport, { kind: 'closed' }>): void {
    if (message.kind === 'head') {
      const { status, headers } = message;
      this.#resolveHead({ status, headers, body: this, watch: this });
      return;
    }
    if (message.kind === 'piece') {
      const data: BodyBytes = message.data;
      if (message.crcs !== null) data.crcs = message.crcs;
      this.#pieces.push(data);
    } else if (message.kind === 'sent') {
      this.#ends.onSent(message.bytes);
      return;
    } else if (message.kind === 'stored') {
      const { offset, byteLength, crcs } = message;
      this.#pieces.push({ isStored: true, offset, byteLength, crcs });
    } else {
      this.#isOver = true;
      this.#ends.target?.release();
      this.#resolveOver();
      if (message.kind === 'failed') this.#failure = this.#failureOf(message.failure);
      this.#rejectHead(this.#failure);
      this.end();
    }
    this.#wake();
  }

  #failureOf({ kind, message, cause, transferMs }: Failure): TransportFailure {
    const { signal } = this.#ends;
    const reason: unknown = signal?.aborted === true ? signal.reason : new Error(cause);
    return new TransportFailure(kind, message, reason, transferMs);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BodyChunk> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        yield piece;
        if (!this.#isOver && !isStored(piece)) this.#tell({ kind: 'taken', id: this.#id, bytes: piece.byteLength });
      } else if (this.#isOver) {
        if (this.#failure !== null) throw this.#failure;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** Errors come only from the iteration. */
  on(): this {
    return this;
  }

  destroy(): void {
    if (!this.#isOver) this.#tell({ kind: 'destroy', id: this.#id });
  }

  /** The thread itself has the stall timer. */
  moved(): void {}
  pause(): void {}

  end(): void {
    this.#ends.signal?.removeEventListener('abort', this.#onAbort);
  }

  failure(error: unknown): TransportFailure {
    return error instanceof TransportFailure ? error : new TransportFailure('broken', String(error), error);
  }
}
