/**
 * rename(2) of a file at a provider that cannot rename: its content is stored under the new name, then removed under the
 * old one, at once or later.
 *
 * Invariant: the copy is recorded in the journal before it is sent. If the process dies in between, the next mount
 * recognises the copy by its bytes and finishes the rename. Otherwise it would take the copy for another client's file,
 * and the replaced file for a conflict with it.
 */
import { steadyTimeOf } from '../../base/clock.js';
import { BLOCK_BYTES } from '../../cache/blocks.js';
import { mayBecome } from '../../providers/names.js';
import { type RemoteEntry, type RemoteFile, revisionKey, type UploadTarget } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import { WaitBudget } from '../../providers/wait-budget.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import { hasOwnTimes, type Inode, remoteFileOf } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import type { Contents } from '../content/contents.js';
import { promoteToCache } from '../content/promotion.js';
import { asCopied, type CopiedFile, isAsCopied } from '../core/copied-file.js';
import type { Core } from '../core/core.js';
import type { AsideFile, FileState } from '../core/open-files.js';
import { orGone } from '../core/or-gone.js';
import type { BegunRename } from '../recovery/begun-rename.js';
import { type BegunCopy, findCopy } from '../recovery/copies.js';
import type { Intents } from '../recovery/intents.js';
import { confirmedWithin } from '../uploads/policy.js';
import { requireBudgetToRename } from '../uploads/request-budget.js';
import type { Disposal } from './disposal.js';
import { type Namespace, type NamespaceParts, remoteIdOf } from './namespace.js';

/** The destination of a rename, and the entry that has the name now. */
export interface NewPlace {
  readonly directory: Inode;
  readonly name: string;
  readonly target: Inode | undefined;
}

/** A file's content, stored in another place too. */
export interface Copied {
  readonly from: CopiedFile;
  readonly state: FileState;
  readonly spool: SpoolFile;
  readonly stored: RemoteFile;
  readonly crcs: readonly number[];
  /** When the copying began, steady time, ms: `from` was confirmed just before. */
  readonly begunAt: number;
}

/** Applies to the tables and to open files a rename that is done at the provider. `aside`: where readers find the replaced file. */
export type ApplyMove = (source: Inode, moved: RemoteEntry, to: NewPlace, aside?: AsideFile) => Promise<void>;

export class CopyRename {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #contents: Contents;
  readonly #disposal: Disposal;
  readonly #intents: Intents;
  readonly #applyMove: ApplyMove;

  constructor(core: Core, namespace: Namespace, { contents, disposal, intents }: NamespaceParts, applyMove: ApplyMove) {
    this.#core = core;
    this.#namespace = namespace;
    this.#contents = contents;
    this.#disposal = disposal;
    this.#intents = intents;
    this.#applyMove = applyMove;
  }

  /** Calls `noteCopy` with the copy before it is stored. */
  async carryOut(
    source: Inode,
    from: RemoteFile,
    to: NewPlace,
    noteCopy: (copy: BegunCopy) => void,
    caller?: Caller,
  ): Promise<void> {
    const { directory, name, target } = to;
    requireBudgetToRename(this.#core, this.#core.files.ensureState(source.ino), from);
    const replaces = target === undefined ? null : remoteFileOf(target);
    const place = { parentId: remoteIdOf(directory), name, ...(replaces === null ? {} : { replaces }) };
    const copied = await this.#namespace.expiringOnError([source.parent, directory.ino], () =>
      this.copy(source, from, place, noteCopy, caller),
    );
    await this.#adoptCopy(source, copied.state, copied.stored, to);
    await this.#intents.removeOrphan(copied.from, () => this.removeOriginal(copied));
    await this.cacheCopied(copied);
  }

  /** Removes the object that was copied. If the copying took long, a newer version that another client has stored meanwhile stays. */
  async removeOriginal({ from, stored, begunAt }: Copied): Promise<void> {
    const { clock, options } = this.#core;
    if (steadyTimeOf(clock).now() - begunAt < confirmedWithin(options.ttl)) await this.#disposal.dispose(from);
    else await this.#disposeUnchanged(from, stored);
  }

  /** Stores the file's content in another place, and changes nothing else. Calls `noteCopy` before it is stored. */
  async copy(
    source: Inode,
    from: RemoteFile,
    place: UploadTarget,
    noteCopy: (copy: BegunCopy) => void,
    caller?: Caller,
  ): Promise<Copied> {
    const { provider, files, state: database } = this.#core;
    const begunAt = steadyTimeOf(this.#core.clock).now();
    const state = files.ensureState(source.ino);
    const spool = await this.#contents.materialize(state, caller?.signal);
    const { md5, crcs } = await spool.digest(BLOCK_BYTES, caller?.signal);
    await this.#intents.clearOrphansAt(place, caller?.signal);
    // The bytes of a dirty content are not the stored file's: their md5 says nothing about it.
    const original = asCopied(this.#core, from, state.dirty ? null : md5);
    noteCopy({ from: original, replaces: place.replaces ?? null, size: spool.size, md5 });
    await database.durable();
    const stored = await provider.upload(
      place,
      spool.source(() => Promise.resolve({ md5, crcs })),
      { signal: caller?.signal, waitBudget: new WaitBudget() },
    );
    return { from: original, state, spool, stored, crcs, begunAt };
  }

  /** Moves the copied bytes into the cache, so that they need not be downloaded under the new name. */
  async cacheCopied({ state, spool, stored, crcs }: Copied): Promise<void> {
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
   * Finishes a rename that a crash or a lost answer interrupted, if the copy is under the new name. False if it is not: nothing was done,
   * and the file keeps its old name.
   */
  async finish({ copy, name }: BegunRename, source: Inode, directory: Inode, target?: Inode): Promise<boolean> {
    if (copy === undefined) return false;
    const isTaken = source.parent === directory.ino && source.name === name;
    const remote = remoteFileOf(source);
    // The file has got another name or another version since.
    if (!isTaken && (remote === null || !isSameRevision(remote, copy.from))) return true;
    const holder = isTaken
      ? remote
      : await findCopy(this.#core.provider, { parentId: remoteIdOf(directory), name }, copy);
    if (holder === null) return false;
    if (!isTaken && this.#isReplaced(source, holder, { directory, name, target })) return true;
    if (!isTaken)
      await this.#adoptCopy(source, this.#core.files.state(source.ino), holder, { directory, name, target });
    await this.#disposeUnchanged(copy.from, holder);
    // Needed if the service puts a second file of a name beside the first.
    if (copy.replaces !== null) await this.#disposeUnchanged(copy.replaces, holder);
    return true;
  }

  /** Has a program written to the entry with the new name meanwhile, or made another one? Its change is newer than the rename. */
  #isReplaced(source: Inode, holder: RemoteFile, { directory, name, target }: NewPlace): boolean {
    const { table, files } = this.#core;
    const shown = table.child(directory.ino, name);
    // A further name of the file itself becomes its first.
    if (shown?.ino === source.ino) return false;
    // A program may have stored the same content under the name.
    const isCopy = shown?.remote?.id === holder.id && !hasOwnTimes(shown);
    if (shown !== undefined && shown.ino !== target?.ino && !isCopy) return true;
    return [shown, target].some((inode) => inode !== undefined && files.state(inode.ino)?.isTouched === true);
  }

  /** The content is stored under the new name: moves the inode there, with all that was written since. */
  async #adoptCopy(source: Inode, state: FileState | undefined, stored: RemoteFile, to: NewPlace): Promise<void> {
    const { journal, readers } = this.#core;
    const spool = state?.spool ?? null;
    // The cached blocks of this revision may belong to the file that was replaced.
    if (stored.md5 === null) readers.cache.invalidate(revisionKey(stored), stored.size);
    if (state !== undefined && spool !== null && state.dirty) {
      // A dirty content continues from the stored copy, and no longer needs its old base.
      await this.#contents.fill(state, spool);
      const content = spool.state();
      await spool.sync();
      spool.rebase(stored);
      journal.setContent(source.ino, spool.truncatedState(content), stored);
    }
    await this.#applyMove(source, stored, to);
  }

  /** Disposes of a file that has not changed. Another client's newer version stays. */
  async #disposeUnchanged(file: CopiedFile, keep: RemoteFile): Promise<void> {
    if (file.id === keep.id) return;
    const now = await orGone(this.#core.provider.stat(file));
    if (now?.kind !== 'file' || !mayBecome(file.name, now.name) || now.parentId !== file.parentId) return;
    if (!(await isAsCopied(this.#core, now, file))) return;
    await this.#disposal.dispose(now);
    this.#core.directories.changes.note('file', file.id);
  }
}
