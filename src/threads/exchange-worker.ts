/** The thread of exchange-thread.ts: sends requests by a `Transport` of its own, and passes the bodies on in pieces. */
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../base/errors.js';
import { bytesOf } from '../providers/content.js';
import { type Download, Downloads } from '../providers/http/transport/downloads.js';
import { Bandwidth } from '../providers/http/transport/token-bucket.js';
import { Transport } from '../providers/http/transport/transport.js';
import { TransportFailure, type WireRequest, type WireResponse } from '../providers/http/transport/wire.js';
import {
  type ExchangeOrder,
  type ExchangeReport,
  MAX_WAITING_BYTES,
  type ThreadPieces,
  type ThreadRequest,
} from './exchange-messages.js';
import { contentFrom, sizeOf } from './file-content.js';
import { type Piece, PieceCutter, PieceMemory } from './piece-cutter.js';
import { PieceStore } from './piece-store.js';
import { lowerPriority } from './thread-priority.js';

/** After this time, a waiting reader gets what has come, ms: about a round trip. A shorter time would make most pieces a block or two. */
const EARLY_MS = 50;

/** Progress is reported at this interval, ms, and at the end, because each message takes the event loop some ten microseconds. */
const PROGRESS_MS = 200;

type Send = Extract<ExchangeOrder, { kind: 'send' }>;

/** The connections of one client: those for large answers are separate. */
interface Client {
  readonly transport: Transport;
  readonly downloads: Downloads;
}

const clients = new Map<number, Client>();
const memory = new PieceMemory();
const exchanges = new Map<number, Exchange>();

function report(message: ExchangeReport, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

class Exchange {
  readonly #id: number;
  readonly #abort = new AbortController();
  #response: { destroy(): void } | undefined;
  /** Bytes of the body that the reader has not taken. */
  #waiting = 0;
  #wake: () => void = () => {};
  #isDestroyed = false;

  constructor(id: number) {
    this.#id = id;
  }

  abort(): void {
    this.#abort.abort();
    this.#wake();
  }

  taken(bytes: number): void {
    this.#waiting -= bytes;
    if (this.#waiting < MAX_WAITING_BYTES) this.#wake();
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#wake();
    if (this.#response === undefined) this.#abort.abort();
    else this.#response.destroy();
  }

  async run({ client, request, stallMs }: Send): Promise<void> {
    const id = this.#id;
    try {
      const used = clients.get(client);
      if (used === undefined) throw new TransportFailure('aborted', 'closed', undefined);
      const { signal } = this.#abort;
      const wire = this.#wireRequest(request);
      const { pieces } = request;
      if (pieces === undefined) await this.#send(await used.transport.send(wire, stallMs, signal));
      else await this.#receive(await used.downloads.get(wire, stallMs, signal), pieces);
      report({ kind: 'ended', id });
    } catch (error) {
      const { kind, transferMs } = error as { kind?: never; transferMs?: number };
      const cause = messageOf((error as Error).cause ?? '');
      const failure = {
        kind: kind ?? 'broken',
        message: messageOf(error),
        cause,
        transferMs: transferMs ?? 0,
      } as const;
      report({ kind: 'failed', id, failure });
    }
  }

  #wireRequest({ body, url, method, headers, chunked, isDownload }: ThreadRequest): WireRequest {
    let toldAt = 0;
    const progress = (bytes: number): void => {
      const now = performance.now();
      if (typeof body !== 'object' || (now < toldAt + PROGRESS_MS && bytes < sizeOf(body))) return;
      toldAt = now;
      report({ kind: 'sent', id: this.#id, bytes });
    };
    const content = typeof body === 'object' ? contentFrom(body, progress) : body;
    return {
      method,
      url: new URL(url),
      headers,
      ...(content !== undefined && { body: content }),
      ...(chunked !== undefined && { chunked }),
      ...(isDownload !== undefined && { isDownload }),
    };
  }

  /** The answer to an upload is short. */
  async #send({ status, headers, body, watch }: WireResponse): Promise<void> {
    this.#response = { destroy: () => body.on('error', () => {}).destroy() };
    try {
      report({ kind: 'head', id: this.#id, status, headers });
      if (this.#isDestroyed) this.destroy();
      for await (const chunk of body) {
        watch.moved();
        if (!this.#isDestroyed)
          report({ kind: 'piece', id: this.#id, data: Uint8Array.from(bytesOf(chunk)), crcs: null });
      }
    } catch (error) {
      throw watch.failure(error);
    } finally {
      watch.end();
    }
  }

  async #receive(download: Download, pieces: ThreadPieces): Promise<void> {
    const { status, headers, watch } = download;
    this.#response = download;
    try {
      report({ kind: 'head', id: this.#id, status, headers });
      if (this.#isDestroyed) this.destroy();
      const cutter = new PieceCutter(pieces, lengthOf(headers), memory);
      await this.#pass(download, cutter, PieceStore.for(pieces, status, headers));
    } catch (error) {
      throw watch.failure(error);
    } finally {
      watch.end();
    }
  }

  async #pass(download: Download, cutter: PieceCutter, store: PieceStore | null): Promise<void> {
    const post = (piece: Piece | null): void => {
      if (piece === null || this.#isDestroyed) return;
      const { offset, data, crcs } = piece;
      if (crcs !== null && store?.write(piece) === true) {
        report({ kind: 'stored', id: this.#id, offset, byteLength: data.length, crcs });
        memory.give(piece);
      } else this.#post(piece);
    };
    let early: NodeJS.Timeout | undefined;
    try {
      await download.each((bytes) => {
        for (const piece of cutter.add(bytes)) post(piece);
        early ??= setTimeout(() => {
          early = undefined;
          if (this.#waiting === 0) post(cutter.early());
        }, EARLY_MS);
        return this.#waiting < MAX_WAITING_BYTES ? undefined : this.#taker(download.watch);
      });
      post(cutter.rest());
    } finally {
      clearTimeout(early);
    }
  }

  /** Waits until the reader has taken enough. Only waiting for the server counts towards the timeout. */
  async #taker(watch: Download['watch']): Promise<void> {
    watch.pause();
    while (this.#waiting >= MAX_WAITING_BYTES && !this.#isDestroyed && !this.#abort.signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    watch.moved();
  }

  #post({ data, crcs }: Piece): void {
    this.#waiting += data.length;
    report({ kind: 'piece', id: this.#id, data, crcs }, [data.buffer]);
  }
}

function lengthOf(headers: WireResponse['headers']): number {
  const length = headers['content-length'];
  return typeof length === 'string' && /^\d+$/.test(length) ? Number(length) : Number.POSITIVE_INFINITY;
}

function handle(order: ExchangeOrder): void {
  switch (order.kind) {
    case 'open': {
      const bandwidth = new Bandwidth(order.bandwidth);
      const transport = new Transport(order.options, bandwidth);
      clients.set(order.client, { transport, downloads: new Downloads(order.options, bandwidth) });
      break;
    }
    case 'close': {
      const client = clients.get(order.client);
      client?.downloads.close();
      const closing = client?.transport.close() ?? Promise.resolve();
      clients.delete(order.client);
      const closed = (): void => report({ kind: 'closed', id: order.id });
      closing.then(closed, closed);
      break;
    }
    case 'send': {
      const exchange = new Exchange(order.id);
      exchanges.set(order.id, exchange);
      void exchange.run(order).finally(() => exchanges.delete(order.id));
      break;
    }
    case 'abort':
      exchanges.get(order.id)?.abort();
      break;
    case 'taken':
      exchanges.get(order.id)?.taken(order.bytes);
      break;
    case 'destroy':
      exchanges.get(order.id)?.destroy();
  }
}

lowerPriority();
parentPort?.on('message', handle);
