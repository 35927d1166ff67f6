/** The messages between hash-thread.ts and hash-worker.ts. Each names the MD5 or digest (`stream`) that it is about. */
import type { FileSpan } from '../base/content-hasher.js';
import type { Digest } from '../base/running-digest.js';

export type HashRequest =
  | { readonly kind: 'span'; readonly stream: number; readonly id: number; readonly span: FileSpan }
  | { readonly kind: 'bytes'; readonly stream: number; readonly data: Uint8Array }
  | { readonly kind: 'hex'; readonly stream: number; readonly id: number }
  | {
      readonly kind: 'file';
      readonly stream: number;
      readonly id: number;
      readonly fd: number;
      readonly length: number;
      readonly blockBytes: number;
    }
  | { readonly kind: 'digest'; readonly stream: number; readonly id: number }
  | { readonly kind: 'drop'; readonly stream: number };

/** For a span: the first wrong part, or null. For a file: whether it has as many bytes. For an MD5: its hex digits. */
export type HashResult = number | string | boolean | Digest | null;

/** The answer to the request with this `id`, or why it failed. */
export type HashAnswer =
  | { readonly id: number; readonly result: HashResult }
  | { readonly id: number; readonly failure: string };
