/** How long to wait before a request is sent again. Pure, so that the policy is a table in the tests. */

export interface RetryPolicy {
  /** Wait before the first repeat, ms; doubles with each further one. */
  readonly baseMs: number;
  /** Longest backoff, ms. A longer Retry-After is still obeyed. */
  readonly capMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { baseMs: 200, capMs: 10_000 };

/**
 * Milliseconds to wait before the next try, or null if it would not begin before the deadline.
 *
 * Exponential backoff. Its upper half is random, so that callers that failed together do not come back together. The
 * result is never shorter than the server asked for (`retryAfterMs`).
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

/** Cap on a pause that a server asks for, ms: the longest rate-limit window in the documents. After it, one request tries again. */
export const longestPause = 3600_000;

/**
 * A Retry-After header (delta seconds or an HTTP date) in ms from `now`, at most `longestPause`; undefined if it is
 * neither. `now` is in ms since the epoch, by the server's clock if that is known.
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
