/** The messages between exchange-thread.ts and exchange-worker.ts. `id` is that of an exchange. */

import type { ExchangerOptions } from '../providers/http/transport/exchanger.js';
import type { FailureKind, FilePieces, HttpMethod, WireResponse } from '../providers/http/transport/wire.js';

export interface ThreadRequest {
  readonly method: HttpMethod;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: string | ThreadContent;
  readonly chunked?: boolean;
  readonly isDownload?: boolean;
  readonly pieces?: ThreadPieces;
}

/** `head`, then `length` bytes of a file from `offset`, then `tail`. */
export interface ThreadContent {
  readonly fd: number;
  readonly head: Uint8Array;
  readonly offset: number;
  readonly length: number;
  readonly tail: Uint8Array;
}

/** `fd`: of the target; null if there is none. */
export type ThreadPieces = Omit<FilePieces, 'target'> & { readonly fd: number | null };

export type ExchangeOrder =
  /** The requests of one client go through a transport of its own. */
  | {
      readonly kind: 'open';
      readonly client: number;
      readonly options: ExchangerOptions;
      /** The memory of `Bandwidth`. */
      readonly bandwidth: SharedArrayBuffer;
    }
  | { readonly kind: 'close'; readonly client: number; readonly id: number }
  | {
      readonly kind: 'send';
      readonly id: number;
      readonly client: number;
      readonly request: ThreadRequest;
      readonly stallMs: number;
    }
  /** The caller's signal has aborted. */
  | { readonly kind: 'abort'; readonly id: number }
  /** The reader has taken this many bytes of the body. */
  | { readonly kind: 'taken'; readonly id: number; readonly bytes: number }
  /** The body is no longer wanted. */
  | { readonly kind: 'destroy'; readonly id: number };

export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  /** The message of its cause. */
  readonly cause: string;
  readonly transferMs: number;
}

export type ExchangeReport =
  | { readonly kind: 'head'; readonly id: number; readonly status: number; readonly headers: WireResponse['headers'] }
  | { readonly kind: 'piece'; readonly id: number; readonly data: Uint8Array; readonly crcs: readonly number[] | null }
  /** The thread has written a piece to the target. */
  | {
      readonly kind: 'stored';
      readonly id: number;
      readonly offset: number;
      readonly byteLength: number;
      readonly crcs: readonly number[];
    }
  /** This many bytes of the request's body have been handed to the socket so far. */
  | { readonly kind: 'sent'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'ended'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: Failure }
  | { readonly kind: 'closed'; readonly id: number };

/** Bytes of a body that may wait for its reader: two pieces. */
export const MAX_WAITING_BYTES = 2 * 1024 * 1024;
