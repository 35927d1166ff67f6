/** A request as a provider describes it, and the meaning of its answer. */
import type { MaybePromise } from '../../../base/maybe-promise.js';
import type { RequestOptions } from '../../provider.js';
import type { Answer } from '../answers/answer.js';
import type { Content, FilePieces, HttpMethod } from '../transport/wire.js';

/** The caller's options. A request on behalf of another one inherits its `deadline`. */
export interface CallOptions extends RequestOptions {
  /** The caller already holds a slot (an open download). The request takes no second one, which could deadlock. */
  readonly holdsSlot?: boolean;
}

export interface Call {
  readonly method: HttpMethod;
  /** Template for counting and for messages: `GET /files/{id}`. */
  readonly route: string;
  /** Absolute, without query. */
  readonly url: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as `application/x-www-form-urlencoded`, and signed. */
  readonly form?: Readonly<Record<string, string>>;
  /** Sent as `application/json`. */
  readonly json?: unknown;
  /** Sent as `application/octet-stream`, unless `headers` says otherwise. */
  readonly content?: Content;
  /** Send `content` in chunked transfer encoding, whatever its size. */
  readonly chunked?: boolean;
  /** Send no credentials, because the URL leads to another host than the account's own. */
  readonly unsigned?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sending it twice has the same effect as sending it once. Default: true for GET only. */
  readonly idempotent?: boolean;
  /** The answer is large: see `WireRequest.pieces`. */
  readonly pieces?: FilePieces;
  /** See `WireRequest.isDownload`. */
  readonly isDownload?: boolean;
  /** Statuses besides 2xx that are not errors. */
  readonly accept?: readonly number[];
}

export interface Outcome<T> {
  /** Throws or rejects with `TryFailure`, see `decodeJson`. */
  decode(answer: Answer): MaybePromise<T>;
  /**
   * Finds out, after an answer was lost, whether the server carried out the request. Called before the request is repeated,
   * and when a repeat fails because the name exists or the object is gone. Undefined: it was not carried out.
   */
  lookup?(options: CallOptions): Promise<T | undefined>;
}
