/**
 * Resolves libfuse's paths to inode numbers.
 *
 * Only the directories of a path are cached, each under (parent inode, name), so a rename or removal invalidates exactly
 * one entry, however much lies below it. The last component is always looked up in the file system, because only the file
 * system knows whether the name exists. A cached directory cannot become stale: before the kernel uses a longer path, it
 * looks up every component itself, and that look-up passes through here.
 *
 * libfuse 2 cannot remove an open file. It renames the file to `.fuse_hidden…` and removes that after the last close. Our
 * file system can, so we remove the file at once. Later calls still use the hidden name, so it is kept here (`hide`).
 */
import type { MaybePromise } from '../../base/maybe-promise.js';
import type { Attributes, Filesystem, Ino } from '../../filesystem/api.js';
import { FsError } from '../../filesystem/core/fs-error.js';
import { andThen } from '../answers.js';

/** More directories than any program uses at a time. About 2 MB at worst. */
const maxDirectories = 10_000;

/** The most frequent error, so it is created once. */
const noEntry = new FsError('ENOENT', 'no such file or directory');

/** A name in its directory. `name` is empty for the root itself. */
export interface Place {
  readonly parent: Ino;
  readonly name: string;
}

/** libfuse 2 (`hidden_name()`) makes hidden names of the node's number and a counter, eight hexadecimal digits each. */
export const isHiddenName = (name: string): boolean => /^\.fuse_hidden[0-9a-f]{16}$/.test(name);

/** Throws EILSEQ if the path may not be UTF-8: fuse-native replaces every invalid byte by one character, and two names would become one. */
export function requireUtf8(path: string): void {
  if (path.includes('\ufffd')) throw new FsError('EILSEQ', 'a name that is not UTF-8');
}

const keyOf = (parent: Ino, name: string): string => `${parent}/${name}`;

export class Paths {
  readonly #fs: Filesystem;
  readonly #directories = new Map<string, Ino>();
  readonly #hidden = new Map<string, Ino>();

  constructor(fs: Filesystem) {
    this.#fs = fs;
  }

  /** The last component and its directory. Throws EILSEQ if the path may not be UTF-8. */
  place(path: string): MaybePromise<Place> {
    requireUtf8(path);
    const components = path.split('/').filter((component) => component !== '');
    const name = components.pop() ?? '';
    return andThen(this.#descend(this.#fs.root, components, 0), (parent) => ({ parent, name }));
  }

  /** Throws ENOENT, and the errors of `Filesystem.lookup`. */
  attributes(path: string): MaybePromise<Attributes> {
    return andThen(this.place(path), ({ parent, name }) => {
      if (name === '') return this.#fs.getattr(parent);
      const hidden = this.#hidden.get(keyOf(parent, name));
      if (hidden !== undefined) return this.#fs.getattr(hidden);
      return this.#lookup(parent, name);
    });
  }

  ino(path: string): MaybePromise<Ino> {
    return andThen(this.attributes(path), (attributes) => attributes.ino);
  }

  hide(parent: Ino, name: string, ino: Ino): void {
    this.#hidden.set(keyOf(parent, name), ino);
  }

  /** Returns whether the name was a hidden one. */
  unhide(parent: Ino, name: string): boolean {
    return this.#hidden.delete(keyOf(parent, name));
  }

  forget(parent: Ino, name: string): void {
    this.#directories.delete(keyOf(parent, name));
  }

  #descend(from: Ino, components: readonly string[], start: number): MaybePromise<Ino> {
    let ino = from;
    for (let i = start; i < components.length; i++) {
      const name = components[i] ?? '';
      const known = this.#directories.get(keyOf(ino, name));
      if (known !== undefined) {
        ino = known;
        continue;
      }
      return andThen(this.#lookup(ino, name), (attributes) => {
        if (attributes.kind !== 'directory') throw new FsError('ENOTDIR', `${name} is not a directory`);
        return this.#descend(attributes.ino, components, i + 1);
      });
    }
    return ino;
  }

  #lookup(parent: Ino, name: string): MaybePromise<Attributes> {
    return andThen(this.#fs.lookup(parent, name), (attributes) => {
      if (attributes === undefined) {
        this.forget(parent, name);
        throw noEntry;
      }
      this.#remember(keyOf(parent, name), attributes);
      return attributes;
    });
  }

  #remember(key: string, attributes: Attributes): void {
    // Deleted first, to keep the Map in order of last use. When it is full, the least recently used entry is removed.
    this.#directories.delete(key);
    if (attributes.kind !== 'directory') return;
    this.#directories.set(key, attributes.ino);
    if (this.#directories.size <= maxDirectories) return;
    const oldest = this.#directories.keys().next();
    if (!oldest.done) this.#directories.delete(oldest.value);
  }
}
