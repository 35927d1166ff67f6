/**
 * What uploads that nobody will resume have left at the provider: their content was changed, or its name is gone. The
 * journal keeps their checkpoints until the provider has cleared them away.
 */
import { messageOf } from '../../base/errors.js';
import { singleFlight } from '../../base/sqlite.js';
import type { Core } from '../core/core.js';

export class AbandonedUploads {
  /** Resolves when what was abandoned before the call is cleared, or cannot be now: then it is tried again later. */
  readonly clear: () => Promise<void>;

  constructor(core: Core) {
    const clear = singleFlight(() => clearAll(core));
    // Mostly there is nothing, and nothing to wait for.
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
