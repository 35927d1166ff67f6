/**
 * RENAME_EXCHANGE of renameat2(2). Names that only this machine knows are swapped in one transaction, without a request: names of entries
 * without an object at the provider, further names, and names of files that are not stored yet. For others see `recovery/exchanges.ts`.
 * EINVAL if the provider cannot move an object that would have to move.
 */
import { type Inode, isFirstName, isSpecial } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { type Core, directoryOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';
import { type Exchange, type ExchangedName, takeName } from '../recovery/exchanges.js';
import { asideName } from '../recovery/retained-versions.js';
import { type Namespace, type NamespaceParts, remoteIdOf } from './namespace.js';
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

  /** ENOENT if either name is missing, EINVAL if a directory would come into itself. */
  async exchange(one: Place, other: Place, caller: Caller | undefined): Promise<void> {
    const { table } = this.#core;
    const { uploader, contents } = this.#parts;
    const first = await this.#namespace.find(one.parent, one.name, caller);
    const second = await this.#namespace.find(other.parent, other.name, caller);
    if (first.ino === second.ino) return;
    const inos = [first.ino, second.ino];
    const suspended: FileState[] = [];
    const act = async (): Promise<void> => {
      // An upload under way would go to the old name, and may store a file there.
      await uploader.suspendAll(inos, suspended);
      const [a, b] = [table.child(one.parent, one.name), table.child(other.parent, other.name)];
      if (a?.ino !== first.ino || b?.ino !== second.ino) throw new FsError('ENOENT', 'a name was taken away');
      if (table.isWithin(other.parent, a.ino) || table.isWithin(one.parent, b.ino))
        throw new FsError('EINVAL', 'a directory cannot move into itself');
      await this.#carryOut(a, one, b, other, caller);
      for (const parent of new Set([one.parent, other.parent])) this.#namespace.touchDirectory(parent);
    };
    try {
      await contents.withNameLocks(inos, act, caller?.signal);
      uploader.namesChanged();
    } finally {
      for (const state of suspended) uploader.released(state);
    }
  }

  async #carryOut(a: Inode, one: Place, b: Inode, other: Place, caller: Caller | undefined): Promise<void> {
    const [remoteA, remoteB] = [this.#movable(a, one), this.#movable(b, other)];
    if (remoteA === null && remoteB === null) {
      this.#core.table.transaction(() => {
        const [giveA, giveB] = [takeName(this.#core, a, one), takeName(this.#core, b, other)];
        giveA(other, null);
        giveB(one, null);
      });
      return;
    }
    const exchange: Exchange = {
      first: this.#exchanged(a, one, remoteA),
      second: this.#exchanged(b, other, remoteB),
      aside: asideName(a.name, this.#core.provider.capabilities.maxNameLength),
    };
    await this.#parts.intents.exchanges.carryOut(exchange, caller);
  }

  #exchanged({ ino }: Inode, { parent, name }: Place, remote: ExchangedName['remote']): ExchangedName {
    const parentId = remoteIdOf(directoryOf(this.#core, parent));
    return { ino, parent, name, remote, place: { parentId, name: remote?.name ?? name } };
  }

  /** The object at the provider that has the name. Null if only this machine knows the name. EINVAL if the object cannot be moved. */
  #movable(inode: Inode, { parent, name }: Place): ExchangedName['remote'] {
    const { remote } = inode;
    if (isSpecial(inode) || !isFirstName(inode, parent, name)) return null;
    const { moveFile, moveFolder } = this.#core.provider.capabilities;
    // A directory without an object holds contents that wait for a place.
    const canMove = inode.kind === 'file' ? remote === null || moveFile : remote !== null && moveFolder;
    if (!canMove) throw new FsError('EINVAL', 'names cannot be exchanged here');
    return remote;
  }
}
