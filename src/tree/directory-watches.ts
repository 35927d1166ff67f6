import type { Ino } from './inode.js';

/** The changes in a directory since `watch`. */
export interface DirectoryWatch {
  /** Objects that were added, removed, or changed in any way. */
  readonly inos: Set<Ino>;
  /** Names that were given. */
  readonly names: Set<string>;
}

/** Records the changes in directories that are read in pieces. */
export class DirectoryWatches {
  /** Callers add a directory; it stays here until something in it changes. */
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

  /** Notes that an object in `directory` has changed or is gone. `name`: its new name. */
  changed(directory: Ino, ino: Ino, name: string | null): void {
    this.unchanged.delete(directory);
    for (const watch of this.#watches.get(directory) ?? []) {
      watch.inos.add(ino);
      if (name !== null) watch.names.add(name);
    }
  }
}
