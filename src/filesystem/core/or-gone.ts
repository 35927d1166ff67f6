import { codeOf } from '../../base/errors.js';
import type { RemoteEntry } from '../../providers/provider.js';

/** Null if the object does not exist (any more). */
export async function orGone(stat: Promise<RemoteEntry>): Promise<RemoteEntry | null> {
  try {
    return await stat;
  } catch (error) {
    if (codeOf(error) === 'not-found') return null;
    throw error;
  }
}
