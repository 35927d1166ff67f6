/**
 * Decides which contents stay on this machine (`--exclude`): a pattern matches the file's name, or the name of a directory above it
 * within the mount. The name at the moment when an upload would begin counts.
 */
import picomatch from 'picomatch';
import type { Ino } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';

/** As in a shell, only `*`, `?` and `[…]` are special. A leading dot is a letter like others. */
const asInShell = { dot: true, nobrace: true, noextglob: true, nonegate: true };

export class Exclusion {
  readonly #table: Pick<InodeTable, 'upwards'>;
  readonly #root: Ino;
  #matchers: readonly ((name: string) => boolean)[] = [];
  /** Files that `hold` has held back. */
  readonly #held = new Set<Ino>();

  /** `root`: the mounted directory. Its own name does not count. */
  constructor(table: Pick<InodeTable, 'upwards'>, root: Ino, patterns: readonly string[]) {
    this.#table = table;
    this.#root = root;
    this.set(patterns);
  }

  set(patterns: readonly string[]): void {
    this.#matchers = patterns.map((pattern) => picomatch(pattern, asInShell));
  }

  /** Does the content stay here? If so, remembers the file for `freed`. */
  hold(ino: Ino): boolean {
    const isExcluded = this.has(ino);
    if (isExcluded) this.#held.add(ino);
    return isExcluded;
  }

  /** The files that were held back and are no longer excluded. Forgets them. */
  freed(): Ino[] {
    const inos = [...this.#held].filter((ino) => !this.has(ino));
    for (const ino of inos) this.#held.delete(ino);
    return inos;
  }

  has(ino: Ino): boolean {
    if (this.#matchers.length === 0) return false;
    for (const inode of this.#table.upwards(ino)) {
      if (inode.ino === this.#root || inode.parent === null) return false;
      if (this.#matchers.some((matches) => matches(inode.name))) return true;
    }
    return false;
  }
}
