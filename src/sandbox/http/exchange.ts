/** One request, with everything that its handler needs. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BlobReader } from '../content/blobs.js';
import type { FaultAction } from '../faults.js';
import type { HostName } from '../hosts.js';
import type { LogEntry } from '../log.js';
import type { Pacer } from './pacer.js';

export type Answer = { status: number; headers?: Record<string, string> } & (
  | { body?: Buffer | string }
  | { content: BlobReader; start: number; end: number }
);

/** A path of the documents and its methods. */
export interface Resource<M> {
  /** The path in fastify's spelling: `/files/:id/copy`. */
  path: string;
  /** The path in the documents' spelling for each method: `/files/{id}/copy`. */
  label: string | ((method: string, query: URLSearchParams) => string);
  methods: Partial<Record<string, M>>;
}

export const formType = 'application/x-www-form-urlencoded';
export const jsonType = 'application/json';
export const multipartType = 'multipart/form-data';
export const octetType = 'application/octet-stream';

export class Exchange {
  #taken: readonly Buffer[] | null = null;

  constructor(
    readonly host: HostName,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly params: Readonly<Record<string, string>>,
    readonly path: string,
    readonly query: URLSearchParams,
    readonly entry: LogEntry,
    readonly fault: FaultAction | undefined,
    readonly pacer: Pacer,
  ) {}

  get method(): string {
    return this.request.method ?? 'GET';
  }

  get mediaType(): string {
    return (this.request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  }

  get contentLength(): number | undefined {
    const text = this.request.headers['content-length'];
    return text === undefined ? undefined : Number(text);
  }

  get hasBody(): boolean {
    return (this.contentLength ?? 0) > 0 || this.request.headers['transfer-encoding'] !== undefined;
  }

  id(): string {
    return this.params.id ?? '';
  }

  /** The request's body as it arrives: counted, paced, and damaged if the fault plan says so. */
  async *body(): AsyncGenerator<Buffer> {
    if (this.#taken !== null) return yield* this.#taken;
    const { fault, entry, request } = this;
    const cutAt = this.#requestCut();
    const flip = fault?.kind === 'corrupt' && fault.where === 'request' ? (fault.at ?? 0) : -1;
    // The stream must survive a refusal in the middle of the body. Otherwise the answer could not be sent.
    for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      const start = entry.bytesIn;
      entry.bytesIn += piece.length;
      await this.pacer.wait(request.socket, 'in', piece.length);
      if (entry.bytesIn >= cutAt) {
        if (cutAt > start) yield piece.subarray(0, cutAt - start);
        request.socket.resetAndDestroy();
        throw new ConnectionCut();
      }
      yield flip >= start && flip < entry.bytesIn ? flipped(piece, flip - start) : piece;
    }
    if (!request.complete) throw new ConnectionCut();
  }

  /** Reads the whole body now, so that the handler has it even if the client goes away. */
  async take(): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of this.body()) pieces.push(piece);
    this.#taken = pieces;
  }

  /** The offset at which a `reset` in the middle cuts the request's body. */
  #requestCut(): number {
    const { fault } = this;
    if (fault?.kind !== 'reset' || fault.when !== 'middle' || !this.hasBody) return Number.POSITIVE_INFINITY;
    return fault.at ?? Math.max(1, Math.floor((this.contentLength ?? 2) / 2));
  }

  /** The whole body as a short text. Throws `tooLong` if it is longer. */
  async text(most: number, tooLong: () => Error): Promise<string> {
    const pieces: Buffer[] = [];
    for await (const piece of this.body()) {
      pieces.push(piece);
      if (this.entry.bytesIn > most) throw tooLong();
    }
    return Buffer.concat(pieces).toString('utf8');
  }
}

/** The client or the fault plan has cut the connection, so no answer can be sent. */
export class ConnectionCut extends Error {
  constructor() {
    super('the connection was cut');
    this.name = 'ConnectionCut';
  }
}

/** A copy with one byte changed. */
export function flipped(piece: Buffer, at: number): Buffer {
  const copy = Buffer.from(piece);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

export function jsonAnswer(body: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json;charset=UTF-8', ...headers },
    body: JSON.stringify(body),
  };
}

export const noContent = (status = 204, headers: Record<string, string> = {}): Answer => ({ status, headers });
