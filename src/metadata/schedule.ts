/** Decides when changes are written to the account. Pure. */
import type { RateLimit } from '../providers/request-metrics.js';

/** The debounce of changes, ms: a write waits until none has come for so long. */
const QUIET_MS = 8_000;
/** The longest wait of a change in a steady stream, ms. With the time of the requests it stays within 30 s. */
const LONGEST_WAIT_MS = 25_000;
/** The share of an hour's requests that writing in the background may use. */
const SHARE = 0.1;
/** The number of requests of one write: one pack and the index. */
const REQUESTS = 2;
const HOUR_MS = 3_600_000;
/** The back-off after a failed write, ms. Each further failure doubles it, up to the longest. */
const RETRY_MS = 10_000;
const LONGEST_RETRY_MS = 10 * 60_000;

/** `fsync` writes at once only while this share of the hour's requests is left: the rest is for requests that programs wait for. */
const LEFT_FOR_OTHERS = 0.5;

/** The state of the writes. The times are ms by one clock. */
export interface WriteState {
  /** The times of the first and the last change that is not written yet. */
  readonly firstChange: number;
  readonly lastChange: number;
  /** The time of the last write; null: none yet. */
  readonly lastWrite: number | null;
  /** The number of failed attempts since the last success, and the time of the last one. */
  readonly failures: number;
  readonly lastFailure: number;
  readonly limit: RateLimit | null;
}

/** The time of the next write in the background. */
export function writeTime(state: WriteState): number {
  const { firstChange, lastChange, lastWrite, limit } = state;
  let at = Math.min(lastChange + QUIET_MS, firstChange + LONGEST_WAIT_MS);
  if (limit !== null && limit.limit > 0 && lastWrite !== null)
    at = Math.max(at, lastWrite + (HOUR_MS * REQUESTS) / (limit.limit * SHARE));
  return Math.max(at, retryTime(state));
}

function retryTime({ failures, lastFailure }: Pick<WriteState, 'failures' | 'lastFailure'>): number {
  if (failures === 0) return Number.NEGATIVE_INFINITY;
  return lastFailure + Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** (failures - 1));
}

/**
 * True if the changes may be written at once for a program that asks for it (`fsync` of a directory). Else they wait for `writeTime`.
 * `wall`: ms since the epoch; `now`: by the clock of the other times.
 */
export function mayWriteAtOnce(
  state: Pick<WriteState, 'failures' | 'lastFailure' | 'limit'>,
  now: number,
  wall: number,
): boolean {
  const { limit } = state;
  if (now < retryTime(state)) return false;
  return limit === null || limit.resetAt <= wall || limit.remaining >= limit.limit * LEFT_FOR_OTHERS;
}
