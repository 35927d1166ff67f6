/**
 * Transfers large bodies in a thread of its own, which starts with the first of them: connections, TLS, parsing and CRCs are its work.
 * The event loop gets whole pieces, as many as it takes.
 */
import type { Exchanger, ExchangerOptions } from '../providers/http/transport/exchanger.js';
import {
  type ExchangeWatch,
  TransportFailure,
  type WireBody,
  type WireRequest,
  type WireResponse,
} from '../providers/http/transport/wire.js';
import { type BodyBytes, type BodyChunk, isStored, type PieceTarget } from '../providers/provider.js';
import type { ExchangeOrder, ExchangeReport, Failure } from './exchange-messages.js';
import { LazyThread } from './lazy-thread.js';

export class ExchangeThread {
  readonly #thread: LazyThread<ExchangeOrder, ExchangeReport>;
  readonly #exchanges = new Map<number, ThreadExchange>();
  readonly #closing = new Map<number, () => void>();
  /** The clients that the present thread knows. */
  readonly #opened = new Set<number>();
  #lastId = 0;
  #lastClient = 0;

  constructor() {
    this.#thread = new LazyThread('exchange-worker.js', {
      reported: (report) => this.#reported(report),
      ended: (why) => this.#ended(why),
    });
  }

  /** For one HTTP client. */
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

  /** Ends the thread; exchanges under way fail. */
  close(): Promise<void> {
    return this.#thread.close();
  }

  async #send(
    client: number,
    options: ExchangerOptions,
    { method, url, headers, body, pieces }: WireRequest,
    stallMs: number,
    signal: AbortSignal | undefined,
  ): Promise<WireResponse> {
    if (typeof body === 'object' || pieces === undefined) throw new Error('a request that the thread does not send');
    if (signal?.aborted) throw new TransportFailure('aborted', 'cancelled', signal.reason);
    const tell = (order: ExchangeOrder): void => this.#thread.tell(order);
    if (!this.#opened.has(client)) {
      this.#opened.add(client);
      tell({ kind: 'open', client, options });
    }
    const id = ++this.#lastId;
    const { target, ...cut } = pieces;
    const exchange = new ThreadExchange(id, stallMs, signal, tell, target);
    this.#exchanges.set(id, exchange);
    const threadPieces = { ...cut, fd: target?.fd ?? null };
    const request = { method, url: url.href, headers, ...(body !== undefined && { body }), pieces: threadPieces };
    tell({ kind: 'send', id, client, request, stallMs });
    this.#thread.hold(true);
    return await exchange.head;
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

/** One exchange as its caller sees it. */
class ThreadExchange implements WireBody, ExchangeWatch {
  readonly head: Promise<WireResponse>;
  readonly stallMs: number;
  readonly #id: number;
  readonly #signal: AbortSignal | undefined;
  readonly #tell: (order: ExchangeOrder) => void;
  readonly #target: PieceTarget | undefined;
  readonly #pieces: BodyChunk[] = [];
  #resolveHead!: (response: WireResponse) => void;
  #rejectHead!: (error: unknown) => void;
  #wake: () => void = () => {};
  #failure: TransportFailure | null = null;
  #isOver = false;

  /** The thread writes to `target` until the exchange is over. */
  constructor(
    id: number,
    stallMs: number,
    signal: AbortSignal | undefined,
    tell: (order: ExchangeOrder) => void,
    target: PieceTarget | undefined,
  ) {
    this.#id = id;
    this.stallMs = stallMs;
    this.#signal = signal;
    this.#tell = tell;
    this.#target = target;
    target?.hold();
    this.head = new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
    });
    signal?.addEventListener('abort', this.#onAbort, { once: true });
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
    } else if (message.kind === 'stored') {
      const { offset, byteLength, crcs } = message;
      this.#pieces.push({ isStored: true, offset, byteLength, crcs });
    } else {
      this.#isOver = true;
      this.#target?.release();
      if (message.kind === 'failed') this.#failure = this.#failureOf(message.failure);
      this.#rejectHead(this.#failure);
      this.end();
    }
    this.#wake();
  }

  #failureOf({ kind, message, cause, transferMs }: Failure): TransportFailure {
    const reason: unknown = this.#signal?.aborted === true ? this.#signal.reason : new Error(cause);
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

  /** Errors come from the iteration alone. */
  on(): this {
    return this;
  }

  destroy(): void {
    if (!this.#isOver) this.#tell({ kind: 'destroy', id: this.#id });
  }

  /** The thread watches over the server itself. */
  moved(): void {}
  pause(): void {}

  end(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  failure(error: unknown): TransportFailure {
    return error instanceof TransportFailure ? error : new TransportFailure('broken', String(error), error);
  }
}
