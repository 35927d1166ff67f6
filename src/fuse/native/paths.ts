/**
 * From libfuse's paths to inode numbers.
 *
 * Only directories on the way are remembered, each under (parent inode, name), so that a rename or removal makes exactly
 * one entry wrong however much lies below it. The last component always goes to the core, which alone knows whether the
 * name (still) exists. A remembered directory cannot go stale unseen: the kernel itself looks every component up before
 * it comes with a longer path, and that look-up passes through here.
 *
 * libfuse 2 cannot remove an open file: it renames it to `.fuse_hidden…` and removes that after the last close. The core
 * can, so the file is removed at once and the made-up name lives here only (`hide`), for the calls that still carry it.
 */
import type { MaybePromise } from '../../base/maybe-promise.js';
import type { Attributes, Filesystem, Ino } from '../../filesystem/api.js';
import { FsError } from '../../filesystem/core/fs-error.js';
import { andThen } from '../answers.js';

/** More than the depth × breadth that any tool keeps in use at a time; about 2 MB at worst. */
const maxDirectories = 10_000;

/** The most frequent answer of all: made once. */
const noEntry = new FsError('ENOENT', 'no such file or directory');

/** A name in its directory. `name` is empty for the root itself. */
export interface Place {
  readonly parent: Ino;
  readonly name: string;
}

/** What libfuse 2 makes up in `hidden_name()`: the node's number and a counter, eight hexadecimal digits each. */
export const isHiddenName = (name: string): boolean => /^\.fuse_hidden[0-9a-f]{16}$/.test(name);

const keyOf = (parent: Ino, name: string): string => `${parent}/${name}`;

export class Paths {
  readonly #fs: Filesystem;
  readonly #directories = new Map<string, Ino>();
  readonly #hidden = new Map<string, Ino>();

  constructor(fs: Filesystem) {
    this.#fs = fs;
  }

  /** The directory that holds the last component, and that component. EILSEQ where the name may not be UTF-8. */
  place(path: string): MaybePromise<Place> {
    // fuse-native turns every byte that is no UTF-8 into this character, so that different names would become one.
    if (path.includes('\ufffd')) throw new FsError('EILSEQ', 'a name that is not UTF-8');
    const components = path.split('/').filter((component) => component !== '');
    const name = components.pop() ?? '';
    return andThen(this.#descend(this.#fs.root, components, 0), (parent) => ({ parent, name }));
  }

  /** ENOENT, and what `Filesystem.lookup` throws. */
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

  /** True when the name was one of `hide`'s. */
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
    // Deleted first, so that the Map's order is that of the last use and the oldest goes when it is full.
    this.#directories.delete(key);
    if (attributes.kind !== 'directory') return;
    this.#directories.set(key, attributes.ino);
    if (this.#directories.size <= maxDirectories) return;
    const oldest = this.#directories.keys().next();
    if (!oldest.done) this.#directories.delete(oldest.value);
  }
}
