import { isPromise, type MaybePromise } from '../../base/maybe-promise.js';
import { FsError } from './fs-error.js';

/** Waits for `work`, but rejects with EINTR as soon as the signal aborts. The work itself goes on. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T>;
export function orAborted<T>(work: MaybePromise<T>, signal: AbortSignal | undefined): MaybePromise<T>;
export function orAborted<T>(work: MaybePromise<T>, signal: AbortSignal | undefined): MaybePromise<T> {
  if (signal === undefined || !isPromise(work)) return work;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new FsError('EINTR', 'interrupted'));
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
