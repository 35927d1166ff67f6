/** Limits how long a command of a user waits for a service that does not answer. */
import type { Clock } from '../../base/clock.js';
import { SyncmountError } from '../../base/errors.js';
import { untilAborted } from '../../base/until-aborted.js';
import type { Provider } from '../../providers/provider.js';

/** How long a command waits for a service that does not answer, ms. */
export const PATIENCE_MS = 10_000;
/** How often the command checks whether the service answers, ms. */
const LOOK_MS = 1000;

/**
 * Carries out a command, and gives up when the service has not answered for `patienceMs` while it ran. (A program that reads a file waits
 * longer.) The signal of `act` aborts then, and also with `given`. Throws `network` with the service's last error.
 */
export async function withPatience<T>(
  { provider, clock }: { readonly provider: Pick<Provider, 'name' | 'metrics'>; readonly clock: Clock },
  patienceMs: number,
  given: AbortSignal,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const giveUp = (reason: unknown): void => over.abort(reason);
  const onGiven = (): void => giveUp(given.reason);
  given.addEventListener('abort', onGiven, { once: true });
  if (given.aborted) onGiven();
  const ended = new AbortController();
  const watch = async (): Promise<void> => {
    for (let silentMs = 0; silentMs < patienceMs; ) {
      await clock.sleep(LOOK_MS, ended.signal);
      const { outage } = provider.metrics();
      silentMs = outage === null ? 0 : silentMs + LOOK_MS;
      if (silentMs >= patienceMs)
        giveUp(new SyncmountError('network', `${provider.name} does not answer: ${outage?.error}`));
    }
  };
  // The end aborts its sleep.
  watch().catch(() => undefined);
  try {
    return await untilAborted(act(over.signal), over.signal, () => over.signal.reason as Error);
  } finally {
    ended.abort();
    given.removeEventListener('abort', onGiven);
  }
}
