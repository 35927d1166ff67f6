import { ProviderError } from './errors.js';

/** Waits for work that several callers share. When the signal aborts, it rejects with `aborted`, and the work continues. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  // The work may fail after the last caller has left: that is not an unhandled rejection.
  work.catch(() => undefined);
  const cancelled = (): ProviderError => new ProviderError('aborted', 'cancelled', { cause: signal.reason, data: {} });
  if (signal.aborted) throw cancelled();
  let onAbort: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(cancelled());
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
