import { isPromise, type MaybePromise } from '../../base/maybe-promise.js';
import { untilAborted } from '../../base/until-aborted.js';
import { FsError } from './fs-error.js';

/** Waits for `work`, but rejects with EINTR as soon as the signal aborts. The work itself goes on. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T>;
export function orAborted<T>(work: MaybePromise<T>, signal: AbortSignal | undefined): MaybePromise<T>;
export function orAborted<T>(work: MaybePromise<T>, signal: AbortSignal | undefined): MaybePromise<T> {
  if (signal === undefined || !isPromise(work)) return work;
  return untilAborted(work, signal, () => new FsError('EINTR', 'interrupted'));
}
