import { singleFlight } from './single-flight.js';

export interface Syncing {
  /** fdatasync(2). */
  sync(): Promise<void>;
  /** Writes all again that a failed sync was about. */
  writeAgain(): Promise<void>;
  /** A sync has failed. */
  onFailure?(): void;
}

/**
 * A sync that means what it says after one that failed.
 *
 * Linux tells of bytes that did not reach the disk once, and takes their pages for written from then on: the next sync of them
 * succeeds, although they are not there. So they are written again before. Callers share: several syncs of one descriptor at a time
 * would share the one error.
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
