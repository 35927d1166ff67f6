/**
 * Clears unfinished uploads at the provider that will never be resumed, because their content changed or its file was
 * removed. The journal keeps their checkpoints until the provider has removed them.
 */
import { messageOf } from '../../base/errors.js';
import { singleFlight } from '../../base/single-flight.js';
import type { Core } from '../core/core.js';

export class AbandonedUploads {
  /** Resolves when uploads abandoned before the call are cleared, or cannot be now; those are retried later. */
  readonly clear: () => Promise<void>;

  constructor(core: Core) {
    const clear = singleFlight(() => clearAll(core));
    // There is rarely one to clear, and then nothing to wait for.
    this.clear = () => (core.journal.abandoned().length === 0 ? Promise.resolve() : clear());
  }
}

async function clearAll({ journal, provider, log }: Core): Promise<void> {
  for (const { id, checkpoint } of journal.abandoned()) {
    try {
      await provider.discardUpload?.(checkpoint);
      journal.forgetAbandoned(id);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'what an upload left at the provider stays there for now');
    }
  }
}
