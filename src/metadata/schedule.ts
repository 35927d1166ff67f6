/** When changes are written to the account. Pure. */
import type { RateLimit } from '../providers/request-metrics.js';

/** Changes that follow one another within so long go together, ms. */
const QUIET_MS = 8_000;
/** A steady stream of changes is written so often, ms. With the time of the requests it stays within 30 s. */
const LONGEST_WAIT_MS = 25_000;
/** The share of an hour's requests that writing in the background may use. */
const SHARE = 0.1;
/** Requests of one write: one pack and the index. */
const REQUESTS = 2;
const HOUR_MS = 3_600_000;
/** After a failed write: the next attempt, doubling up to the longest, ms. */
const RETRY_MS = 10_000;
const LONGEST_RETRY_MS = 10 * 60_000;

/** Writing at once, for `fsync`, stops when fewer of the hour's requests are left: the rest is for what programs wait for. */
const LEFT_FOR_OTHERS = 0.5;

/** The times are ms by one clock. */
export interface WriteState {
  /** The first and the last change that is not written yet. */
  readonly firstChange: number;
  readonly lastChange: number;
  /** The last write; null: none yet. */
  readonly lastWrite: number | null;
  /** Failed attempts since the last success, and when the last one was. */
  readonly failures: number;
  readonly lastFailure: number;
  readonly limit: RateLimit | null;
}

/** When to write in the background. */
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
 * May a program that asks for it (`fsync` of a directory) have the changes written now? Else they are written when `writeTime` says.
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
