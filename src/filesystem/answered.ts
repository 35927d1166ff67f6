import { isPromise, type MaybePromise } from '../base/maybe-promise.js';
import { toFsError } from './errno.js';

/** What a call answers; whatever it throws or rejects with becomes an `FsError`. */
export function answered<T>(act: () => MaybePromise<T>): MaybePromise<T> {
  try {
    const result = act();
    if (!isPromise(result)) return result;
    return result.catch((error) => {
      throw toFsError(error);
    });
  } catch (error) {
    throw toFsError(error);
  }
}

/** The same of a call that never waits. */
export function answeredNow<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw toFsError(error);
  }
}
