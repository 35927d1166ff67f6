/**
 * RENAME_EXCHANGE of renameat2(2), for two names that only this machine knows: of entries without an object at the provider, further
 * names, and files that are not stored yet. One transaction, and no request. No provider swaps two names at once, and half a swap is
 * worse than none, so everything else is EINVAL, as on a file system without it.
 */
import { type Inode, isFirstName, isSpecial } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { touchStatus } from '../attributes/attributes.js';
import type { Core } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';
import type { Namespace, NamespaceParts } from './namespace.js';
import type { Place } from './row-rename.js';

export class Exchanging {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #parts: NamespaceParts;

  constructor(core: Core, namespace: Namespace, parts: NamespaceParts) {
    this.#core = core;
    this.#namespace = namespace;
    this.#parts = parts;
  }

  /** ENOENT where either name is missing. */
  async exchange(one: Place, other: Place, caller: Caller | undefined): Promise<void> {
    const { table } = this.#core;
    const { uploader, contents } = this.#parts;
    const first = await this.#namespace.find(one.parent, one.name, caller);
    const second = await this.#namespace.find(other.parent, other.name, caller);
    if (first.ino === second.ino) return;
    const inos = [first.ino, second.ino];
    const suspended: FileState[] = [];
    const act = async (): Promise<void> => {
      // An upload that is under way would go to the old name, and may make it the provider's.
      await uploader.suspendAll(inos, suspended);
      const [a, b] = [table.child(one.parent, one.name), table.child(other.parent, other.name)];
      if (a?.ino !== first.ino || b?.ino !== second.ino) throw new FsError('ENOENT', 'a name was taken away');
      if (!isOnlyHere(a, one) || !isOnlyHere(b, other)) throw new FsError('EINVAL', 'names cannot be exchanged here');
      table.transaction(() => this.#swap(a, one, b, other));
    };
    try {
      await contents.withNameLocks(inos, act, caller?.signal);
    } finally {
      for (const state of suspended) uploader.released(state);
    }
  }

  #swap(a: Inode, one: Place, b: Inode, other: Place): void {
    const giveA = this.#take(a, one);
    const giveB = this.#take(b, other);
    giveA(other);
    giveB(one);
    for (const { ino } of [a, b]) touchStatus(this.#core, ino);
    for (const parent of new Set([one.parent, other.parent])) this.#namespace.touchDirectory(parent);
  }

  /** Takes a name away, and answers what gives it another place. */
  #take(inode: Inode, { parent, name }: Place): (to: Place) => void {
    const { table } = this.#core;
    const further = isFirstName(inode, parent, name) ? undefined : table.further.find(parent, name);
    if (further !== undefined) table.removeName(further);
    else table.update(inode.ino, { parent: null });
    return (to) => {
      if (further === undefined) table.update(inode.ino, { parent: to.parent, name: to.name });
      else table.addName(inode.ino, to.parent, to.name);
    };
  }
}

function isOnlyHere(inode: Inode, { parent, name }: Place): boolean {
  if (isSpecial(inode) || !isFirstName(inode, parent, name)) return true;
  return inode.kind === 'file' && inode.remote === null;
}
