import { orAborted } from '../or-aborted.js';
import { foldName } from './entities.js';

/** A name in a folder. */
export interface Place {
  readonly parentId: string;
  readonly name: string;
}

/**
 * Names that a call of ours is about to give to something. The service stores by name: an upload to one that a file has for a
 * moment, on its way to another folder, would become a revision of that file.
 */
export class NameLocks {
  readonly #held = new Map<string, Promise<void>>();

  /** Answers what gives the name back; undefined where it is claimed by somebody else. */
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

  /** Runs `act` with the name its own, once nobody else has claimed it. `aborted` where the signal ends the wait. */
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
  return `${parentId}/${foldName(name)}`;
}
