/**
 * Symbolic links, FIFOs, sockets and devices. No service knows them: each is a row of the inode table, and no request is made for it.
 * The kernel follows links, and opens the others, by itself.
 */
import { fromMs } from '../../base/timespec.js';
import type { Ino, SpecialKind } from '../../tree/inode.js';
import type { Attributes, Caller } from '../api.js';
import { newObject, storeInherited } from '../attributes/new-object.js';
import { type Core, inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { Namespace } from './namespace.js';

/** Longest target of a symbolic link, bytes: Linux PATH_MAX without its NUL. */
const MAX_TARGET_BYTES = 4095;

interface NewSpecial {
  readonly kind: SpecialKind;
  /** Permission bits; null for a symbolic link. */
  readonly mode: number | null;
  /** Null unless it is a symbolic link. */
  readonly target: Uint8Array | null;
  /** Of a device. */
  readonly rdev: number;
}

export class SpecialFiles {
  readonly #core: Core;
  readonly #namespace: Namespace;

  constructor(core: Core, namespace: Namespace) {
    this.#core = core;
    this.#namespace = namespace;
  }

  /** ENAMETOOLONG for a long target, EEXIST, and the errors of `Namespace.requireFits`. */
  async symlink(parent: Ino, name: string, target: Uint8Array, caller: Caller): Promise<Attributes> {
    if (target.length === 0) throw new FsError('ENOENT', 'a symbolic link has a target');
    if (target.length > MAX_TARGET_BYTES) throw new FsError('ENAMETOOLONG', 'the target is over 4,095 bytes');
    return this.#make(parent, name, { kind: 'symlink', mode: null, target, rdev: 0 }, caller);
  }

  /** EEXIST, and the errors of `Namespace.requireFits`. */
  async mknod(
    parent: Ino,
    name: string,
    node: { readonly kind: SpecialKind; readonly mode: number; readonly rdev: number },
    caller: Caller,
  ): Promise<Attributes> {
    return this.#make(parent, name, { ...node, target: null }, caller);
  }

  /** EINVAL for anything but a symbolic link. */
  readlink(ino: Ino): Uint8Array {
    const { name, target } = inodeOf(this.#core, ino);
    if (target === null) throw new FsError('EINVAL', `${name} is not a symbolic link`);
    return target;
  }

  async #make(
    parent: Ino,
    name: string,
    { kind, mode, target, rdev }: NewSpecial,
    caller: Caller,
  ): Promise<Attributes> {
    await this.#namespace.requireFits(parent, name, caller);
    const { table, clock } = this.#core;
    // No `await` from here to the insertion: if two calls make one name at once, the second finds it.
    if (table.child(parent, name) !== undefined) throw new FsError('EEXIST', `${name} exists`);
    const now = fromMs(clock.now());
    const born = newObject(this.#core, caller, mode ?? 0, kind, inodeOf(this.#core, parent));
    const overlay = { ...born.overlay, atime: now, mtime: now, ctime: now };
    const inode = table.transaction(() => {
      this.#namespace.touchDirectory(parent);
      const made = table.insert({ parent, name, kind, target, rdev, overlay });
      storeInherited(table, made.ino, born);
      return made;
    });
    return this.#namespace.attributes(inode);
  }
}
