/** Decides which queued upload begins next, and when a failed one is retried. Pure functions, tested as a table. */
import { codeOf } from '../../base/errors.js';
import type { ProviderErrorCode } from '../../providers/errors.js';
import { FsError } from '../core/fs-error.js';

/** An upload of this size or more, bytes, is long: it fills the link by itself and would delay small ones. */
export const LONG_BYTES = 8 * 1024 * 1024;
/**
 * Number of queued uploads at a time. Most are small files that wait for a round trip, not for bandwidth, so this is the
 * number of connections that foreground requests do not need.
 */
export const QUEUE_WIDTH = 24;
/** At most this many of them are long: a long upload sends several parts at a time. */
export const LONG_WIDTH = 4;

/** How many queued uploads may run at a time, and how many of them may be long. */
export interface QueueWidth {
  readonly all: number;
  readonly long: number;
}

/** `transfers`: a person's choice, ≥ 1; null: no choice. */
export function queueWidth(transfers: number | null): QueueWidth {
  if (transfers === null) return { all: QUEUE_WIDTH, long: LONG_WIDTH };
  // One place is left for small files, if there are several.
  return { all: transfers, long: Math.max(1, transfers - 1) };
}

/** The waiting uploads (when the oldest was queued, ms; null: none waits) and the number of running ones. */
export interface QueueState {
  readonly oldest: { readonly short: number | null; readonly long: number | null };
  readonly running: { readonly short: number; readonly long: number };
}

/** The oldest goes first, but long uploads never take all places: a small file passes long ones that wait for a place. */
export function nextKind({ oldest, running }: QueueState, width: QueueWidth): 'short' | 'long' | null {
  if (running.short + running.long >= width.all) return null;
  const long = running.long < width.long ? oldest.long : null;
  if (oldest.short === null) return long === null ? null : 'long';
  return long !== null && long < oldest.short ? 'long' : 'short';
}

/** If a file is closed again within this time after its upload or the start of its wait, ms, it is being rewritten. */
export const REWRITE_WITHIN = 10_000;
/** Longest time that a rewritten content waits for a newer one, ms. */
const MAX_REWRITE_DELAY = 8000;

/**
 * How long a closed content waits for a newer one before its upload begins, ms: 0 the first time, then longer with each
 * rewrite that follows closely. A program that saves every second then causes few uploads.
 */
export function rewriteDelay(rewrites: number): number {
  return rewrites === 0 ? 0 : Math.min(MAX_REWRITE_DELAY, 500 * 2 ** Math.min(rewrites, 10));
}

/** Failures that can pass by themselves. All others need a person: to free space, grant rights or choose another name. */
const transient: ReadonlySet<string> = new Set<ProviderErrorCode>([
  'network',
  'timeout',
  'server',
  'protocol',
  'integrity',
  'rate-limited',
  'auth',
]);

/** The disk of this machine is full. Other programs fill and empty it. */
const diskFull: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL']);

/** May the same content be stored later without anybody's action? `error` is the one that close() would return. */
export function isTransient(error: unknown): boolean {
  const code = codeOf(error instanceof FsError ? error.cause : error) ?? '';
  return transient.has(code) || diskFull.has(code);
}

/** Delay before a file that could not be stored is tried again, ms; `tries` made so far, ≥ 1. */
export function uploadRetryDelay(tries: number): number {
  return Math.min(600_000, 5000 * 2 ** Math.min(tries - 1, 10));
}

/**
 * How long the whole queue pauses while nothing can be stored, ms; `tries` failed in a row, ≥ 1. One upload at the end
 * of the pause tests the provider.
 */
export function outageBackoff(tries: number): number {
  return Math.min(60_000, 5000 * 2 ** Math.min(tries - 1, 10));
}

/** How long after its confirmation a remote revision may be replaced or removed without another request for it, ms. */
const CONFIRMED_WITHIN_MS = 10_000;

/** The same on a mount whose listings are trusted for `ttl` ms. */
export function confirmedWithin(ttl: number): number {
  return Math.min(CONFIRMED_WITHIN_MS, ttl);
}
