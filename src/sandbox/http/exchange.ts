/** One request and what its handler needs of it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as refuse from '../errors.js';
import type { FaultAction } from '../faults.js';
import type { LogEntry } from '../log.js';
import type { AuthKind } from '../oauth/guard.js';
import type { HostName } from '../options.js';
import type { BlobReader } from '../state/blobs.js';
import type { Pacer } from './pacer.js';

export type Answer = { status: number; headers?: Record<string, string> } & (
  | { body?: Buffer | string }
  | { content: BlobReader; start: number; end: number }
);

/** What a method takes as its body; anything else is 415.0210. */
export type BodyKind = 'none' | 'form' | 'optional-form' | 'form-or-json' | 'octets' | 'any';

export interface Method {
  auth: AuthKind;
  body: BodyKind;
  /** Whether the answer is JSON, so that an Accept without it is 406.0209. */
  json: boolean;
  handle(exchange: Exchange): Answer | Promise<Answer>;
}

/** A path of the documents, with its methods. */
export interface Resource {
  /** As fastify routes it: `/files/:id/copy`. */
  path: string;
  /** As the documents write it for each method: `/files/{id}/copy`. */
  label: string | ((method: string) => string);
  methods: Partial<Record<string, Method>>;
}

const largestForm = 1024 * 1024;
export const formType = 'application/x-www-form-urlencoded';
export const jsonType = 'application/json';
export const octetType = 'application/octet-stream';

export class Exchange {
  /** Parameters of a form body, empty when there is none. */
  form = new URLSearchParams();
  /** Whether the form came as a form, so that its parameters are signed. */
  formSigned = false;
  oauth = new Map<string, string>();
  json: Record<string, unknown> | undefined;

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

  /** A parameter of the query or of the form. */
  optional(name: string): string | undefined {
    const value = this.form.get(name) ?? this.query.get(name);
    if (value !== null) return value;
    const fromJson = this.json?.[name];
    if (fromJson === undefined || fromJson === null) return undefined;
    if (typeof fromJson === 'object') throw refuse.malformed(name, 'must be a plain value');
    return String(fromJson);
  }

  /** 400.0212 when it is missing, 400.0215 when it is empty. */
  required(name: string): string {
    const value = this.optional(name);
    if (value === undefined) throw refuse.missing(name);
    if (value === '') throw refuse.empty(name);
    return value;
  }

  /** The request's body as it arrives: counted, paced, and spoilt where the fault plan says so. */
  async *body(): AsyncGenerator<Buffer> {
    const { fault, entry, request } = this;
    const cutAt = this.#requestCut();
    const flip = fault?.kind === 'corrupt' && fault.where === 'request' ? (fault.at ?? 0) : -1;
    // The stream must outlive a refusal in the middle of the body, or the answer could not be sent.
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

  /** Where a `reset` in the middle cuts the request's body. */
  #requestCut(): number {
    const { fault } = this;
    if (fault?.kind !== 'reset' || fault.when !== 'middle' || !this.hasBody) return Number.POSITIVE_INFINITY;
    return fault.at ?? Math.max(1, Math.floor((this.contentLength ?? 2) / 2));
  }

  /** Reads the body as this kind; octets are left to the handler. */
  async readBody(kind: BodyKind): Promise<void> {
    const type = this.mediaType;
    if (kind === 'octets') {
      if (type !== octetType) throw refuse.badMediaType([octetType]);
      return;
    }
    if (kind === 'none' || kind === 'any') return;
    const takesJson = kind === 'form-or-json' && type === jsonType;
    if (type !== formType && !takesJson) {
      // No type and no body: the parameters are in the query.
      if (kind === 'optional-form' && !this.hasBody) return;
      throw refuse.badMediaType(kind === 'form-or-json' ? [jsonType, formType] : [formType]);
    }
    const pieces: Buffer[] = [];
    for await (const piece of this.body()) {
      pieces.push(piece);
      if (this.entry.bytesIn > largestForm) throw refuse.malformed(null, 'the body is too long');
    }
    const text = Buffer.concat(pieces).toString('utf8');
    if (takesJson) this.json = parseObject(text);
    else {
      this.form = new URLSearchParams(text);
      this.formSigned = true;
    }
  }
}

/** The connection is gone, by the client's doing or by the fault plan's: nobody is left to answer. */
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

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse.malformed(null, String(error));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse.malformed(null, 'the body must be an object');
  return value as Record<string, unknown>;
}
