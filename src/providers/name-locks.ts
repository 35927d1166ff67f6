import { collisionKey } from './names.js';
import { orAborted } from './or-aborted.js';

/** A name in a folder. */
export interface Place {
  readonly parentId: string;
  readonly name: string;
}

/**
 * Locks on names that a call of ours is about to use. The service stores by name: if a file has a name for a moment, on its
 * way to another folder, an upload to that name would become a revision of that file.
 */
export class NameLocks {
  readonly #held = new Map<string, Promise<void>>();

  /** Returns the function that releases the lock; undefined if another call holds it. */
  tryAcquire(place: Place): (() => void) | undefined {
    const key = keyOf(place);
    if (this.#held.has(key)) return undefined;
    let free!: () => void;
    const freed = new Promise<void>((resolve) => {
      free = resolve;
    });
    this.#held.set(key, freed);
    return () => {
      this.#held.delete(key);
      free();
    };
  }

  /** Waits for the lock, runs `act`, and releases it. Rejects with `aborted` if the signal aborts during the wait. */
  async during<T>(place: Place, signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
    let release = this.tryAcquire(place);
    while (release === undefined) {
      await orAborted(this.#held.get(keyOf(place)) ?? Promise.resolve(), signal);
      release = this.tryAcquire(place);
    }
    try {
      return await act();
    } finally {
      release();
    }
  }
}

function keyOf({ parentId, name }: Place): string {
  return `${parentId}/${collisionKey(name)}`;
}
