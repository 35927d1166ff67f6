/** How long to wait before a request is repeated: pure, so that the policy is a table in the tests. */

export interface RetryPolicy {
  /** Wait before the first repeat, ms; doubles with each further one. */
  readonly baseMs: number;
  /** Longest wait of our own choosing, ms. A longer Retry-After is obeyed all the same. */
  readonly capMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { baseMs: 200, capMs: 10_000 };

/**
 * Milliseconds to wait before the next try, or null when it would not begin before the deadline.
 *
 * Exponential backoff, of which the upper half is random, so that many callers that failed together do not come back
 * together. What the server asked for (`retryAfterMs`) is a floor, never shortened.
 */
export function retryDelay(
  input: {
    /** Tries made so far, ≥ 1. */
    readonly tries: number;
    /** Time left until the deadline, ms. */
    readonly leftMs: number;
    readonly retryAfterMs?: number;
    /** In [0, 1). */
    readonly random: number;
  },
  policy: RetryPolicy = defaultRetryPolicy,
): number | null {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(input.tries - 1, 30));
  const own = ceiling / 2 + (ceiling / 2) * input.random;
  const delay = Math.ceil(Math.max(own, input.retryAfterMs ?? 0));
  return delay < input.leftMs ? delay : null;
}

/**
 * Longest that a server is believed when it says to stay away, ms: the longest window that a document names. Then one request
 * asks again.
 */
export const longestPause = 3600_000;

/**
 * A Retry-After header in ms from `now` (ms since the epoch, by the server where its clock is known), at most `longestPause`:
 * delta seconds or an HTTP date; undefined if neither.
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const trimmed = value.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Math.min(longestPause, Math.ceil(Number(trimmed) * 1000));
  // Date.parse also takes "2" or "x 2001"; an HTTP date always names its weekday and zone.
  if (!/^[A-Z][a-z]{2,8},? /.test(trimmed)) return undefined;
  const at = Date.parse(trimmed);
  return Number.isNaN(at) ? undefined : Math.min(longestPause, Math.max(0, at - now));
}
