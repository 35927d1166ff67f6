/**
 * link(2) gives an inode one more name, which is a row here. The object at the service keeps the first name. A file of O_TMPFILE gets its
 * first name.
 */
import type { SpoolFile } from '../../spool/spool-file.js';
import type { Ino } from '../../tree/inode.js';
import type { Attributes, Caller } from '../api.js';
import { touchStatus } from '../attributes/attributes.js';
import type { Contents } from '../content/contents.js';
import { type Core, inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';
import { makeDurable } from '../uploads/durability.js';
import { writeRow } from '../uploads/journal-row.js';
import type { Namespace } from './namespace.js';

export class HardLinks {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #contents: Contents;

  constructor(core: Core, namespace: Namespace, contents: Contents) {
    this.#core = core;
    this.#namespace = namespace;
    this.#contents = contents;
  }

  /** EPERM for a directory, ENOENT for an inode that has lost its last name, EEXIST, and the errors of `Namespace.requireFits`. */
  async link(ino: Ino, parent: Ino, name: string, caller: Caller): Promise<Attributes> {
    const { table } = this.#core;
    if (inodeOf(this.#core, ino).kind === 'directory') throw new FsError('EPERM', 'a directory has one name');
    await this.#namespace.requireFits(parent, name, caller);
    const link = async (): Promise<void> => {
      const inode = inodeOf(this.#core, ino);
      const unnamed = inode.parent === null ? this.#unnamed(ino) : null;
      if (inode.parent === null && unnamed === null) throw new FsError('ENOENT', `${inode.name} was removed`);
      if (table.child(parent, name) !== undefined) throw new FsError('EEXIST', `${name} exists`);
      table.transaction(() => {
        if (unnamed === null) table.addName(ino, parent, name);
        else {
          table.update(ino, { parent, name });
          writeRow(this.#core, unnamed.state, unnamed.spool, 'open');
        }
        touchStatus(this.#core, ino);
        this.#namespace.touchDirectory(parent);
      });
      if (unnamed === null) return;
      // From now on it is a new file like others: the next close stores it.
      unnamed.state.unlinked = false;
      unnamed.state.isUnnamed = false;
      // An earlier fsync(2) had no name under which it could keep the content.
      await makeDurable(this.#core, unnamed.state, 'synced');
    };
    await this.#contents.withNameLocks([ino], link, caller.signal);
    return this.#namespace.attributes(inodeOf(this.#core, ino));
  }

  /** A file of O_TMPFILE that gets its first name. Null if the inode has lost its last name. */
  #unnamed(ino: Ino): { readonly state: FileState; readonly spool: SpoolFile } | null {
    const state = this.#core.files.state(ino);
    return state?.isUnnamed === true && state.spool !== null ? { state, spool: state.spool } : null;
  }
}
