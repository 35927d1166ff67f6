/**
 * A value now, or a promise of it.
 *
 * Hot paths (lookup, getattr, a read from a spool in memory) answer without a promise: a promise costs a turn of the
 * microtask queue and an allocation per kernel request.
 */
export type MaybePromise<T> = T | Promise<T>;

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && typeof (value as Promise<T>).then === 'function';
}
