import { ProviderError } from '../../errors.js';
import { TransportFailure } from '../transport/wire.js';
import { TryFailure } from './http-error.js';

/** Runs `work`; whatever it throws becomes a `ProviderError`. Every method of a provider goes through here. */
export async function asProviderErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProviderError) throw error;
    if (error instanceof TryFailure) throw error.error;
    if (error instanceof TransportFailure) throw new ProviderError('network', error.message, { cause: error.cause });
    if (error instanceof Error && error.name === 'AbortError')
      throw new ProviderError('aborted', 'cancelled', { cause: error, data: {} });
    throw new ProviderError('protocol', 'an unexpected error in the provider', { cause: error });
  }
}
