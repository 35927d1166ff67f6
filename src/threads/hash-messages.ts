/** What hash-thread.ts and hash-worker.ts say to each other. Each message names the MD5 (`stream`) that it is about. */
import type { FileSpan } from '../base/content-hasher.js';

export type HashRequest =
  | { readonly kind: 'span'; readonly stream: number; readonly id: number; readonly span: FileSpan }
  | { readonly kind: 'bytes'; readonly stream: number; readonly data: Uint8Array }
  | { readonly kind: 'hex'; readonly stream: number; readonly id: number }
  | { readonly kind: 'drop'; readonly stream: number };

/** The answer to the request with this `id`: the first wrong part of a span or null, or the hex digits; else why it failed. */
export type HashAnswer =
  | { readonly id: number; readonly result: number | string | null }
  | { readonly id: number; readonly failure: string };
