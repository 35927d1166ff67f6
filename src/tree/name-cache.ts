/**
 * A memory cache of the names in the few directories with the most look-ups. It knows inodes by their number only.
 *
 * SQLite finds a name in 3 µs. That is a sixth of the time in which `stat` answers that there is no such file, and compilers, shells
 * and `git` call it thousands of times for a handful of directories.
 */
import { LRUCache } from 'lru-cache';
import type { Ino } from './inode.js';

/** The place of an object: a name in a directory. `parent` is null for an object without a name. */
export interface Named {
  readonly parent: Ino | null;
  readonly name: string;
}

/** The numbers of directories, and of names in each (powers of two). A name takes about 100 bytes, so all take at most 3 MB. */
const DIRECTORIES = 8;
export const MAX_NAMES = 4096;
/** The number of look-ups in a directory before its names are read: with fewer, reading them does not pay. */
export const MIN_LOOKUPS = 64;

/**
 * How many names of a directory may be read at its look-up number `lookups`; 0: none. Whenever this number has doubled, as many names as
 * look-ups are read. Reading a name costs 2 µs, so all reads together never cost much more than the look-ups did.
 */
export function readableAt(lookups: number): number {
  const isPowerOfTwo = (lookups & (lookups - 1)) === 0;
  return isPowerOfTwo && lookups >= MIN_LOOKUPS && lookups <= MAX_NAMES ? lookups : 0;
}

interface Directory {
  lookups: number;
  names: Map<string, Ino> | null;
}

export class NameCache {
  readonly #directories = new LRUCache<Ino, Directory>({ max: DIRECTORIES });
  readonly #read: (directory: Ino, limit: number) => readonly (readonly [string, Ino])[];

  /** `read` answers at most `limit` names in a directory, with their inodes. */
  constructor(read: (directory: Ino, limit: number) => readonly (readonly [string, Ino])[]) {
    this.#read = read;
  }

  /** All names in the directory; undefined if they are not cached. */
  namesIn(parent: Ino): ReadonlyMap<string, Ino> | undefined {
    const directory = this.#directories.get(parent);
    if (directory === undefined) {
      this.#directories.set(parent, { lookups: 1, names: null });
      return undefined;
    }
    if (directory.names !== null) return directory.names;
    const most = readableAt(++directory.lookups);
    if (most === 0) return undefined;
    // One more than wanted shows whether these are all.
    const names = this.#read(parent, most + 1);
    if (names.length > most) return undefined;
    directory.names = new Map(names);
    return directory.names;
  }

  /** Notes that an object has got its first or another place. */
  moved(ino: Ino, from: Named | null, to: Named): void {
    if (from !== null && from.parent === to.parent && from.name === to.name) return;
    if (from !== null && from.parent !== null) {
      const names = this.#directories.peek(from.parent)?.names;
      // While two objects swap names, the entry may belong to the other one.
      if (names?.get(from.name) === ino) names.delete(from.name);
    }
    if (to.parent === null) return;
    const directory = this.#directories.peek(to.parent);
    directory?.names?.set(to.name, ino);
    if ((directory?.names?.size ?? 0) > MAX_NAMES) this.#directories.delete(to.parent);
  }

  clear(): void {
    this.#directories.clear();
  }
}
