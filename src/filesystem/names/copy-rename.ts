/**
 * rename(2) of a file where the provider cannot rename: its content is stored under the new name, then removed under the
 * old one.
 *
 * The old file goes at once, or later. What is stored is written down before it is sent: where the process dies in between,
 * the next mount knows the copy again by its bytes, and ends the rename. Otherwise the copy would be taken for another
 * client's file, and what it replaced for a conflict with it.
 */
import { BLOCK_BYTES } from '../../cache/blocks.js';
import { type RemoteEntry, type RemoteFile, revisionKey } from '../../providers/provider.js';
import { WaitBudget } from '../../providers/wait-budget.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import { type Inode, remoteFileOf, remoteFolderOf } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import type { Contents } from '../content/contents.js';
import { promoteToCache } from '../content/promotion.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import { orGone } from '../core/or-gone.js';
import type { BegunCopy, BegunRename, Intents } from '../recovery/intents.js';
import { md5Of } from '../uploads/delivery.js';
import { requireBudgetToRename } from '../uploads/request-budget.js';
import { type Namespace, remoteIdOf } from './namespace.js';

/** Where a file goes, and what is there. */
export interface NewPlace {
  readonly directory: Inode;
  readonly name: string;
  readonly target: Inode | undefined;
}

/** What a rename at the provider means for the tables and for those who have the files open. */
export type ApplyMove = (source: Inode, moved: RemoteEntry, to: NewPlace) => Promise<void>;

export class CopyRename {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #contents: Contents;
  readonly #intents: Intents;
  readonly #applyMove: ApplyMove;

  constructor(core: Core, namespace: Namespace, contents: Contents, intents: Intents, moved: ApplyMove) {
    this.#core = core;
    this.#namespace = namespace;
    this.#contents = contents;
    this.#intents = intents;
    this.#applyMove = moved;
  }

  /** `begins` is told what is about to be stored. */
  async carryOut(
    source: Inode,
    from: RemoteFile,
    to: NewPlace,
    noteCopy: (copy: BegunCopy) => void,
    caller?: Caller,
  ): Promise<void> {
    const { provider, files, state: database } = this.#core;
    const { directory, name, target } = to;
    const state = files.ensureState(source.ino);
    requireBudgetToRename(this.#core, state, from);
    const spool = await this.#contents.materialize(state, caller?.signal);
    const { md5, crcs } = await spool.digest(BLOCK_BYTES, caller?.signal);
    const replaces = target === undefined ? null : remoteFileOf(target);
    await this.#intents.clearOrphansAt({ parentId: remoteIdOf(directory), name });
    noteCopy({ from, replaces, size: spool.size, md5 });
    await database.durable();
    const stored = await this.#namespace.expiringOnError([source.parent, directory.ino], () =>
      provider.upload(
        { parentId: remoteIdOf(directory), name, ...(replaces === null ? {} : { replaces }) },
        spool.source(() => Promise.resolve({ md5, crcs })),
        { signal: caller?.signal, waitBudget: new WaitBudget() },
      ),
    );
    await this.#adoptCopy(source, state, stored, to);
    await this.#intents.removeOrphan(from, () => this.#namespace.dispose(from));
    await this.#cacheCopied(state, spool, stored, crcs);
  }

  /** What was copied is here: it is not to be downloaded under its new name. */
  async #cacheCopied(state: FileState, spool: SpoolFile, stored: RemoteFile, crcs: readonly number[]): Promise<void> {
    const { table, journal } = this.#core;
    const isInUse =
      state.handles.size > 0 || state.backing !== null || state.pendingChanges.isBusy || state.activeUpload !== null;
    if (state.spool !== spool || state.dirty || isInUse) return;
    table.transaction(() => {
      journal.remove(state.ino);
      table.update(state.ino, { localSize: null });
    });
    this.#contents.dropSpool(state);
    await promoteToCache(this.#core, spool, stored, crcs);
  }

  /**
   * A rename that a crash interrupted: it is ended where the copy is under the new name. Where it is not, nothing was done,
   * and the file keeps its old name.
   */
  async finish({ copy, name }: BegunRename, source: Inode, directory: Inode, target?: Inode): Promise<void> {
    if (copy === undefined) return;
    const isTaken = source.parent === directory.ino && source.name === name;
    if (!isTaken && source.remote?.id !== copy.from.id) return;
    const holder = isTaken ? remoteFileOf(source) : await this.#copyUnder(directory, name, copy);
    if (holder === null) return;
    const replaced = target === undefined ? undefined : this.#core.files.state(target.ino);
    // Written through this mount already: it is newer than the rename.
    if (!isTaken && replaced?.isTouched) return;
    if (!isTaken)
      await this.#adoptCopy(source, this.#core.files.state(source.ino), holder, { directory, name, target });
    await this.#disposeUnchanged(copy.from, holder);
    // Where the service puts a second file of a name beside the first.
    if (copy.replaces !== null) await this.#disposeUnchanged(copy.replaces, holder);
  }

  /** The content is under the new name: so is the inode, with all that was written since. */
  async #adoptCopy(source: Inode, state: FileState | undefined, stored: RemoteFile, to: NewPlace): Promise<void> {
    const { journal, readers } = this.#core;
    const spool = state?.spool ?? null;
    // What is cached may be of the file that was replaced.
    if (stored.md5 === null) readers.cache.invalidate(revisionKey(stored), stored.size);
    if (state !== undefined && spool !== null && state.dirty) {
      // What is still being written goes to where its beginning is now; of the old base it needs nothing any more.
      await this.#contents.fill(state, spool);
      const content = spool.state();
      await spool.sync();
      spool.rebase(stored);
      journal.setContent(source.ino, spool.truncatedState(content), stored);
    }
    await this.#applyMove(source, stored, to);
  }

  /** The file under the name that holds what was to be copied, and did not before. */
  async #copyUnder(directory: Inode, name: string, copy: BegunCopy): Promise<RemoteFile | null> {
    const { provider } = this.#core;
    const folder = remoteFolderOf(directory);
    const entries = folder === null ? [] : await provider.list(folder);
    for (const entry of entries) {
      if (entry.kind !== 'file' || entry.name !== name || entry.size !== copy.size) continue;
      if (copy.replaces !== null && revisionKey(entry) === revisionKey(copy.replaces)) continue;
      if ((await md5Of(provider, entry)) === copy.md5) return entry;
    }
    return null;
  }

  /** Goes where it is still what it was: another client's newer version stays. */
  async #disposeUnchanged(file: RemoteFile, keep: RemoteFile): Promise<void> {
    if (file.id === keep.id) return;
    const now = await orGone(this.#core.provider.stat(file));
    if (now?.kind !== 'file' || revisionKey(now) !== revisionKey(file)) return;
    if (now.name !== file.name || now.parentId !== file.parentId) return;
    await this.#namespace.dispose(now);
    this.#core.directories.changes.note('file', file.id);
  }
}
