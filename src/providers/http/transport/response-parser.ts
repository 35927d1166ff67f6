/**
 * Parses the answers of one connection. http-parser-js passes on the bytes of a body as it gets them, without a copy. But it accepts
 * invalid lengths and endless lines; here both end the connection.
 */
import { HTTPParser } from 'http-parser-js';
import type { WireResponse } from './wire.js';

/** A longer line of a head, a chunk's size or a trailer ends the connection, bytes. The parser limits only whole heads (80 KiB). */
const MAX_LINE_BYTES = 64 * 1024;

export interface ResponseEvents {
  head(status: number, headers: WireResponse['headers']): void;
  /** The memory of `bytes` is reused after the call. */
  body(bytes: Uint8Array): void;
  /** `isReusable`: the connection can take another request. */
  end(isReusable: boolean): void;
}

/** Private members of the parser: its states, whose methods it finds by name, and the line that is not complete. */
interface Insides {
  line: string;
  BODY_CHUNKHEAD(): void;
  consumeLine(): string | undefined;
  state: string;
  body_bytes: number;
}

export class ResponseParser {
  readonly #parser = new HTTPParser('RESPONSE');
  readonly #insides = this.#parser as unknown as Insides;

  constructor(events: ResponseEvents) {
    const parser = this.#parser;
    let isReusable = false;
    let isInterim = false;
    parser[HTTPParser.kOnHeadersComplete] = ({ statusCode, headers: lines, shouldKeepAlive }) => {
      const headers = byName(lines);
      checkLength(headers);
      isInterim = statusCode < 200;
      isReusable = shouldKeepAlive;
      // We never ask for 101. After the other interim answers (100, 103) the answer itself follows.
      if (statusCode === 101) throw new Error('the server changes the protocol');
      if (!isInterim) events.head(statusCode, headers);
    };
    parser[HTTPParser.kOnBody] = (bytes) => events.body(bytes);
    parser[HTTPParser.kOnMessageComplete] = () => {
      if (!isInterim) events.end(isReusable);
    };
    this.#insides.BODY_CHUNKHEAD = chunkHead;
  }

  /** Throws if the bytes are not HTTP. */
  add(bytes: Buffer): void {
    const parsed = this.#parser.execute(bytes);
    if (parsed instanceof Error) throw parsed;
    if (this.#insides.line.length > MAX_LINE_BYTES) throw new Error('a line of the answer has no end');
  }

  /** True if no answer is incomplete. */
  get isBetween(): boolean {
    return this.#insides.state === 'RESPONSE_LINE' && this.#insides.line === '';
  }

  /** The connection has ended. An answer without a length ends with it. */
  finish(): void {
    if (this.#insides.state === 'BODY_RAW') this.#parser.finish();
  }
}

/** Replaces the parser's own method, which reads `zz` as 0 and `-5` as a step back. */
function chunkHead(this: Insides): void {
  const line = this.consumeLine();
  if (line === undefined) return;
  const size = /^([0-9a-f]{1,13})[ \t]*(;|$)/i.exec(line)?.[1];
  if (size === undefined) throw new Error('the answer has a chunk of no size');
  this.body_bytes = Number.parseInt(size, 16);
  this.state = this.body_bytes === 0 ? 'BODY_CHUNKTRAILERS' : 'BODY_CHUNK';
}

function checkLength(headers: WireResponse['headers']): void {
  const length = headers['content-length'];
  for (const text of Array.isArray(length) ? length : [length ?? '0'])
    if (!/^\d{1,15}$/.test(text)) throw new Error('the answer has a length that is none');
}

/** Names in lower case. A header that comes more than once is an array, as with undici. */
function byName(lines: readonly string[]): WireResponse['headers'] {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = (lines[at] ?? '').toLowerCase();
    const value = lines[at + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
