/** Which upload of the queue begins next, and when one is tried again: pure, so that the policy is a table in the tests. */
import { codeOf } from '../../base/errors.js';
import type { ProviderErrorCode } from '../../providers/errors.js';
import { FsError } from '../core/fs-error.js';

/** From this size on, bytes, an upload is long: it fills the link for itself and would stand in the way of small ones. */
export const LONG_BYTES = 8 * 1024 * 1024;
/**
 * Uploads from the queue at a time. Most are small files that wait for a round trip, not for bandwidth: as many as have
 * connections that nobody in the foreground may need.
 */
export const QUEUE_WIDTH = 24;
/** Of these, long ones: a long upload sends several parts at a time by itself. */
export const LONG_WIDTH = 4;

/** What is waiting (when its oldest was queued, ms; null where none is) and how many are under way. */
export interface QueueState {
  readonly oldest: { readonly short: number | null; readonly long: number | null };
  readonly running: { readonly short: number; readonly long: number };
}

/** The oldest goes first, but long uploads never take all places: a small file passes those that wait for one. */
export function nextKind({ oldest, running }: QueueState): 'short' | 'long' | null {
  if (running.short + running.long >= QUEUE_WIDTH) return null;
  const long = running.long < LONG_WIDTH ? oldest.long : null;
  if (oldest.short === null) return long === null ? null : 'long';
  return long !== null && long < oldest.short ? 'long' : 'short';
}

/** A file that is stored, or was about to be, and is closed again within this time is being rewritten, ms. */
export const REWRITE_WITHIN = 10_000;
/** Longest that a rewritten content waits for a newer one, ms. */
const MAX_REWRITE_DELAY = 8000;

/**
 * How long a closed content waits for a newer one before its upload begins, ms: not at all the first time, then longer with
 * each rewrite that follows closely, so that a program which saves every second costs few uploads.
 */
export function rewriteDelay(rewrites: number): number {
  return rewrites === 0 ? 0 : Math.min(MAX_REWRITE_DELAY, 500 * 2 ** Math.min(rewrites, 10));
}

/** Failures that pass by themselves. The others need a person: room, rights, another name. */
const transient: ReadonlySet<string> = new Set<ProviderErrorCode>([
  'network',
  'timeout',
  'server',
  'protocol',
  'integrity',
  'rate-limited',
  'auth',
]);

/** May the same content be stored later, without anybody's doing? `error` is what its close() would be told. */
export function isTransient(error: unknown): boolean {
  return error instanceof FsError && transient.has(codeOf(error.cause) ?? '');
}

/** How long a file that could not be stored waits for its next try, ms; `tries` made so far, ≥ 1. */
export function retryDelay(tries: number): number {
  return Math.min(600_000, 5000 * 2 ** Math.min(tries - 1, 10));
}

/** How long the whole queue rests while nothing can be stored, ms; `tries` failed in a row, ≥ 1. One upload at its end tells. */
export function outageBackoff(tries: number): number {
  return Math.min(60_000, 5000 * 2 ** Math.min(tries - 1, 10));
}
