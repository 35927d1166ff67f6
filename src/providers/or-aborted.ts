import { ProviderError } from './errors.js';

/** Work that is shared goes on when one of those who wait for it gives up. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  // It may fail when nobody waits any more.
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
