import { untilAborted } from '../base/until-aborted.js';
import { ProviderError } from './errors.js';

/** Waits for work that several callers share. When the signal aborts, it rejects with `aborted`, and the work continues. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return untilAborted(
    work,
    signal,
    () => new ProviderError('aborted', 'cancelled', { cause: signal.reason, data: {} }),
  );
}
