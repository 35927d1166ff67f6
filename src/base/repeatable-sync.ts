import { singleFlight } from './single-flight.js';

export interface Syncing {
  /** fdatasync(2). */
  sync(): Promise<void>;
  /** Writes all bytes of a failed sync again. */
  writeAgain(): Promise<void>;
  /** Called when a sync has failed. */
  onFailure?(): void;
}

/**
 * A sync that can be trusted after an earlier one has failed.
 *
 * Linux reports only once that bytes did not reach the disk, and then marks their pages as clean. The next sync succeeds, although the
 * bytes are not on the disk. So they are written again before it. Callers share one sync, because only one of several concurrent syncs
 * of a descriptor would get the error.
 */
export function repeatableSync({ sync, writeAgain, onFailure }: Syncing): () => Promise<void> {
  let isInDoubt = false;
  return singleFlight(async () => {
    if (isInDoubt) await writeAgain();
    isInDoubt = true;
    try {
      await sync();
    } catch (error) {
      onFailure?.();
      throw error;
    }
    isInDoubt = false;
  });
}
