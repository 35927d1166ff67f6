import { isPromise, type MaybePromise } from '../../base/maybe-promise.js';
import { toFsError } from './errno.js';
import type { FsError } from './fs-error.js';

/** Runs a call. Any error becomes an `FsError`, which is passed to `onError` and thrown. */
export function withErrno<T>(act: () => MaybePromise<T>, onError: (error: FsError) => void): MaybePromise<T> {
  const failure = (error: unknown): FsError => {
    const fsError = toFsError(error);
    onError(fsError);
    return fsError;
  };
  try {
    const result = act();
    if (!isPromise(result)) return result;
    return result.catch((error) => {
      throw failure(error);
    });
  } catch (error) {
    throw failure(error);
  }
}

/** Like `withErrno`, for a call that never waits. */
export function withErrnoSync<T>(act: () => T, onError: (error: FsError) => void): T {
  try {
    return act();
  } catch (error) {
    const fsError = toFsError(error);
    onError(fsError);
    throw fsError;
  }
}
