import type { Ino } from './inode.js';

/** The changes in a directory since `watch`. */
export interface DirectoryWatch {
  /** Objects that came, went, or changed in any way. */
  readonly inos: Set<Ino>;
  /** Names that were given. */
  readonly names: Set<string>;
}

/** Tells those who read a directory in pieces what changes in it meanwhile. */
export class DirectoryWatches {
  /** A directory that somebody adds stays here until something in it changes. */
  readonly unchanged = new Set<Ino>();
  readonly #watches = new Map<Ino, Set<DirectoryWatch>>();

  get isEmpty(): boolean {
    return this.#watches.size + this.unchanged.size === 0;
  }

  watch(directory: Ino): DirectoryWatch {
    const watch: DirectoryWatch = { inos: new Set(), names: new Set() };
    const others = this.#watches.get(directory);
    if (others === undefined) this.#watches.set(directory, new Set([watch]));
    else others.add(watch);
    return watch;
  }

  unwatch(directory: Ino, watch: DirectoryWatch): void {
    const watches = this.#watches.get(directory);
    watches?.delete(watch);
    if (watches?.size === 0) this.#watches.delete(directory);
  }

  /** The object in `directory` has changed, or gone; `name` was given to it. */
  changed(directory: Ino, ino: Ino, name: string | null): void {
    this.unchanged.delete(directory);
    for (const watch of this.#watches.get(directory) ?? []) {
      watch.inos.add(ino);
      if (name !== null) watch.names.add(name);
    }
  }
}
