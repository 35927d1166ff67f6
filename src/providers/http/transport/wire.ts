/** One HTTP exchange as the client sees it: the request, the answer, the failures. */
import type { BodyChunk, Pieces, WhileOpen } from '../../content.js';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A request body that each try reads from the start. */
export interface Content {
  /** Bytes. */
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
  /**
   * `open` reuses the memory of a part for the next one. Its reader must not ask for the next part before the socket has taken all of
   * this one. undici waits so with parts that are longer than a socket's buffer (16 KiB).
   */
  readonly reusesMemory?: boolean;
  /** The file with the same bytes, to send them beside the event loop. Missing if only `open` has them. */
  readonly inFile?: FileContent;
  /** Called with the number of bytes that this try has handed to the socket so far. */
  onProgress?(sent: number): void;
  /** See `UploadSource`. */
  onOutcome?(mayHaveArrived: boolean): void;
}

/** `head`, then `length` bytes of a file from `offset`, then `tail`. */
export interface FileContent {
  readonly whileOpen: WhileOpen;
  readonly head: Uint8Array;
  readonly offset: number;
  readonly length: number;
  readonly tail: Uint8Array;
}

export interface WireRequest {
  readonly method: HttpMethod;
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly body?: string | Content;
  /** Send the content with `Transfer-Encoding: chunked` instead of a length. */
  readonly chunked?: boolean;
  /** The answer is large: it may be received beside the event loop, in pieces like these. */
  readonly pieces?: FilePieces;
  /** The answer is the content of a file: its bytes wait for their share of the bandwidth. */
  readonly isDownload?: boolean;
}

/** Watches one exchange: the part of `Watch` that its users need. */
export interface ExchangeWatch {
  readonly stallMs: number;
  /** A byte moved: restarts the timer. */
  moved(): void;
  /** Stops the timer until the next `moved`, because the delay is ours and not the server's. */
  pause(): void;
  /** Ends the watch when the exchange is over. */
  end(): void;
  /** Turns an error that was thrown during the exchange into a `TransportFailure`. */
  failure(error: unknown): TransportFailure;
}

/** The body of the answer is part of a file, and is wanted in pieces. */
export interface FilePieces extends Pieces {
  /** The requested range of the file, bytes. */
  readonly offset: number;
  readonly end: number;
}

export interface WireBody extends AsyncIterable<BodyChunk> {
  on(event: 'error', listener: (error: unknown) => void): WireBody;
  destroy(): unknown;
}

export interface WireResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: WireBody;
  readonly watch: ExchangeWatch;
  /** The Authorization header that was sent. */
  readonly authorization?: string;
}

/**
 * - `refused`  the request did not reach the server: no connection, or none in time
 * - `insecure` the same, and a repeat is useless (certificate, or a proxy that lets nobody through)
 * - `broken`   the connection ended; it is unknown what the server did
 * - `stalled`  no byte moved for too long; it is unknown what the server did
 * - `source`   the content to upload could not be read
 * - `aborted`  the caller's signal fired
 * - `unsent`   the same, before a connection took the request
 */
export type FailureKind = 'refused' | 'insecure' | 'broken' | 'stalled' | 'source' | 'aborted' | 'unsent';

export class TransportFailure extends Error {
  readonly kind: FailureKind;
  /** How long body bytes had been moving when the try failed, ms. */
  readonly transferMs: number;

  constructor(kind: FailureKind, message: string, cause: unknown, transferMs = 0) {
    super(message, { cause });
    this.kind = kind;
    this.transferMs = transferMs;
  }
}
