/** Tells the bindings which of the kernel's cached names, attributes and pages are outdated. */
import { messageOf } from '../../base/errors.js';
import { forEachInTurns, turn } from '../../base/event-loop-turns.js';
import type { Log } from '../../base/log.js';
import type { Ino } from '../../tree/inode.js';
import type { SeenChanges } from '../../tree/seen-changes.js';
import type { Invalidation } from '../api.js';

type Listener = (what: Invalidation) => void;

export class Invalidations {
  readonly #log: Log;
  readonly #onContent: (ino: Ino) => void;
  readonly #listeners = new Set<Listener>();

  /** `onContent` is called for every file whose pages are outdated. */
  constructor(log: Log, onContent: (ino: Ino) => void) {
    this.#log = log;
    this.#onContent = onContent;
  }

  /** Returns a function that ends the subscription. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  send(what: Invalidation): void {
    if (what.kind === 'inode' && what.content) this.#onContent(what.ino);
    for (const listener of this.#listeners) listener(what);
  }

  /**
   * A listing was merged: invalidates the kernel's cached names, attributes and pages of the changed entries. Never from inside the
   * request that listed.
   */
  listingChanged(directory: Ino, changes: SeenChanges): void {
    for (const ino of changes.contents) this.#onContent(ino);
    const contents = new Set(changes.contents);
    const send = async (): Promise<void> => {
      await turn();
      await forEachInTurns(changes.names, (name) => this.send({ kind: 'entry', parent: directory, name }));
      await forEachInTurns(changes.attributes, (ino) => this.send({ kind: 'inode', ino, content: contents.has(ino) }));
    };
    send().catch((error) =>
      this.#log.error({ error }, `telling the kernel what a listing changed: ${messageOf(error)}`),
    );
  }
}
