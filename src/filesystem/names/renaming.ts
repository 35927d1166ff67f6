/**
 * rename(2): the same provider object and inode number under another name.
 *
 * Over an existing file, three requests: the old file steps aside, the new one takes the name, the old one goes to the
 * trash. An intent in the state database lets the next mount finish or undo what a crash interrupts.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import { fromMs, strictlyAfter } from '../../base/timespec.js';
import type { RemoteEntry, RemoteFile } from '../../providers/provider.js';
import { type Ino, type Inode, remoteFileOf, remoteFolderOf } from '../../tree/inode.js';
import type { Caller, RenameFlags } from '../api.js';
import { unlinkedRow } from '../attributes/attributes.js';
import type { Contents } from '../content/contents.js';
import type { Relocation } from '../content/relocation.js';
import { orAborted } from '../core/abortable.js';
import { type Core, directoryOf, inodeOf, requireWritable } from '../core/core.js';
import { isPastDeadline, isUnavailable } from '../core/deadlines.js';
import { FsError } from '../core/fs-error.js';
import type { AsideFile, FileState } from '../core/open-files.js';
import { orGone } from '../core/or-gone.js';
import type { Intent } from '../core/replace-intent.js';
import { type BegunCopy, type BegunRename, begunRename, type Intents } from '../recovery/intents.js';
import { asideName } from '../recovery/retained-versions.js';
import { isUndeletable } from '../uploads/orphans.js';
import type { Uploader } from '../uploads/uploader.js';
import { CopyRename } from './copy-rename.js';
import { type Namespace, remoteIdOf, requireNameFits } from './namespace.js';
import type { AsideFiles } from './removed-while-open.js';

export class Renaming {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #contents: Contents;
  readonly #uploader: Uploader;
  readonly #intents: Intents;
  readonly #byCopy: CopyRename;
  readonly #relocation: Relocation;
  readonly #asideFiles: AsideFiles;

  constructor(
    core: Core,
    namespace: Namespace,
    contents: Contents,
    uploader: Uploader,
    intents: Intents,
    relocation: Relocation,
    asideFiles: AsideFiles,
  ) {
    this.#core = core;
    this.#asideFiles = asideFiles;
    this.#relocation = relocation;
    this.#namespace = namespace;
    this.#contents = contents;
    this.#uploader = uploader;
    this.#intents = intents;
    this.#byCopy = new CopyRename(core, namespace, contents, intents, (source, moved, { directory, name, target }) =>
      this.#applyMove(source, moved, directory, name, target),
    );
  }

  async rename(
    parent: Ino,
    name: string,
    newParent: Ino,
    newName: string,
    flags: RenameFlags,
    caller: Caller | undefined,
  ): Promise<void> {
    requireWritable(this.#core);
    // No provider swaps two names at once, and half of a swap is worse than none.
    if (flags.exchange) throw new FsError('EINVAL', 'names cannot be exchanged here');
    requireNameFits(this.#core, newName);
    for (let isRelisted = false; ; ) {
      try {
        if (await this.#tryRename(parent, name, newParent, newName, flags, caller)) break;
      } catch (error) {
        // Another client may have made one of that name since the directory was listed: it is replaced like any other.
        const { table, directories } = this.#core;
        const isUnknown = table.child(newParent, newName) === undefined;
        if (isRelisted || flags.noReplace || codeOf(error) !== 'exists' || !isUnknown) throw error;
        isRelisted = true;
        await orAborted(directories.refresh(newParent, 'foreground', caller?.signal), caller?.signal);
        if (table.child(newParent, newName) === undefined) throw error;
      }
    }
    this.#namespace.touchDirectory(parent);
    if (newParent !== parent) this.#namespace.touchDirectory(newParent);
  }

  /** False: the names have come to mean something else while we waited for those who were busy with them. */
  async #tryRename(
    parent: Ino,
    name: string,
    newParent: Ino,
    newName: string,
    flags: RenameFlags,
    caller: Caller | undefined,
  ): Promise<boolean> {
    const { table, directories } = this.#core;
    const source = await this.#namespace.find(parent, name, caller);
    // Only what is not stored yet keeps them here, where another client has removed them.
    await this.#relocation.ensureFolder(newParent, caller?.signal);
    if (source.kind === 'directory') await this.#relocation.ensureFolder(source.ino, caller?.signal);
    if (table.isWithin(newParent, source.ino)) throw new FsError('EINVAL', 'a directory cannot move into itself');
    await orAborted(directories.ensureListed(newParent, caller), caller?.signal);
    const target = table.child(newParent, newName);
    if (target?.ino === source.ino) return true;
    if (target !== undefined && flags.noReplace) throw new FsError('EEXIST', `${newName} exists`);
    if (target !== undefined) requireSameKind(source, target);
    const inos = target === undefined ? [source.ino] : [source.ino, target.ino];
    const suspended: FileState[] = [];
    const act = async (): Promise<boolean> => {
      // The upload of either would go to a name that is about to change.
      for (const ino of inos) {
        const state = this.#core.files.state(ino);
        if (state === undefined) continue;
        if (await this.#uploader.suspend(state)) suspended.push(state);
        await this.#uploader.adoptStoredAttempt(state);
      }
      const now = table.child(parent, name);
      const inTheWay = table.child(newParent, newName);
      if (now?.ino !== source.ino || inTheWay?.ino !== target?.ino) return false;
      const carryOut = (): Promise<void> =>
        this.#intents.withChangeIntent(
          [parent, newParent],
          (noteCopy) => this.#carryOut(now, inTheWay, directoryOf(this.#core, newParent), newName, noteCopy, caller),
          begunRename(now, inTheWay, newParent, newName),
        );
      if (inTheWay?.kind !== 'file') await carryOut();
      else {
        const replaced = this.#core.files.ensureState(inTheWay.ino);
        if (!this.#asideFiles.isNeeded(replaced)) await this.#namespace.fetchForReaders(replaced, caller);
        await this.#contents.whileRemoving(replaced, carryOut);
      }
      return true;
    };
    try {
      return await this.#contents.withNameLocks(inos, act, caller?.signal);
    } finally {
      for (const state of suspended) this.#uploader.released(state);
    }
  }

  async #carryOut(
    source: Inode,
    target: Inode | undefined,
    directory: Inode,
    newName: string,
    noteCopy: (copy: BegunCopy) => void,
    caller: Caller | undefined,
  ): Promise<void> {
    const { provider } = this.#core;
    if (source.remote === null) return this.#renameLocal(source, target, directory, newName, caller);
    const { moveFile, moveFolder } = provider.capabilities;
    if (source.kind === 'directory' && !moveFolder)
      throw new FsError('EXDEV', `${provider.name} cannot rename folders`);
    if (source.remote.kind === 'file' && !moveFile)
      return this.#byCopy.carryOut(source, source.remote, { directory, name: newName, target }, noteCopy, caller);
    if (target?.kind === 'directory') {
      await this.#namespace.removeEmpty(target, caller);
      return this.#move(source, source.remote, directory, newName, caller);
    }
    const old = target === undefined ? null : remoteFileOf(target);
    const remote = remoteFileOf(source);
    // Known before anything steps aside: what could not be removed would stay there.
    if (old !== null) this.#namespace.requireDeletes();
    if (target !== undefined && old !== null && remote !== null)
      await this.#replace(source, remote, target, old, directory, newName, caller);
    else await this.#move(source, source.remote, directory, newName, caller, target);
  }

  /**
   * A rename that a crash interrupted: done here where the provider had done it, finished where it had done a part; or
   * undone, where a file has the name that was to be replaced.
   */
  async finish(begun: BegunRename): Promise<void> {
    const { source: ino, target, parent, name } = begun;
    const { table, provider } = this.#core;
    await this.#contents.withNameLocks(target === null ? [ino] : [ino, target], async () => {
      const source = table.get(ino);
      const directory = table.get(parent);
      const inTheWay = target === null ? undefined : table.get(target);
      if (source?.remote == null || directory?.remote == null) return;
      if (!provider.capabilities.moveFile) return this.#byCopy.finish(begun, source, directory, inTheWay);
      const to = { parentId: directory.remote.id, name: this.#remoteName(source, name) };
      const now =
        (await orGone(provider.stat(source.remote))) ??
        (await this.#findByContent(source, directory, to.name, inTheWay));
      const from = begun.from ?? source.remote;
      if (now === null || (now.parentId === from.parentId && now.name === from.name)) return;
      const isThere = now.parentId === to.parentId && now.name === to.name;
      if (!isThere && inTheWay !== undefined && remoteFileOf(inTheWay) !== null) {
        const back = { parentId: from.parentId ?? '', name: from.name };
        table.update(ino, { remote: await provider.move(now, back) });
        return;
      }
      const moved = isThere ? now : await provider.move(now, to);
      const replaced = target === null ? undefined : this.#core.files.state(target);
      // Written through this mount already: it is newer than the rename.
      if (replaced?.isTouched) return;
      if (replaced !== undefined) await this.#uploader.cancel(replaced);
      await this.#applyMove(source, moved, directory, name, inTheWay);
    });
  }

  /** Some providers give a moved file a new id, and nobody heard it: it is the one of this name and these bytes. */
  async #findByContent(source: Inode, directory: Inode, name: string, target?: Inode): Promise<RemoteEntry | null> {
    const was = remoteFileOf(source);
    const folder = remoteFolderOf(directory);
    if (was === null || was.md5 === null || folder === null) return null;
    const entries = await this.#core.provider.list(folder);
    const old = target === undefined ? undefined : this.#core.files.state(target.ino)?.spool?.base;
    // What was to be replaced may hold the same.
    const isOther = ({ id }: RemoteEntry): boolean => id !== target?.remote?.id && id !== old?.id;
    const isIt = (entry: RemoteEntry): boolean =>
      entry.kind === 'file' && entry.name === name && entry.size === was.size && entry.md5 === was.md5;
    return entries.find((entry) => isIt(entry) && isOther(entry)) ?? null;
  }

  async #move(
    source: Inode,
    remote: RemoteEntry,
    directory: Inode,
    newName: string,
    caller?: Caller,
    target?: Inode,
  ): Promise<void> {
    const to = { parentId: remoteIdOf(directory), name: this.#remoteName(source, newName) };
    const touched = [source.parent, directory.ino];
    const moved = await this.#namespace.expiringOnError(touched, () => this.#core.provider.move(remote, to, caller));
    await this.#applyMove(source, moved, directory, newName, target);
  }

  /** The old file steps aside, ours takes its name, the old one is disposed of. */
  async #replace(
    source: Inode,
    remote: RemoteFile,
    target: Inode,
    old: RemoteFile,
    directory: Inode,
    newName: string,
    caller: Caller | undefined,
    isRefused = false,
  ): Promise<void> {
    const { provider, log } = this.#core;
    const parentId = remoteIdOf(directory);
    const name = this.#remoteName(source, newName);
    const replaced = this.#core.files.state(target.ino);
    const stepsAside = !isRefused && this.#asideFiles.isNeeded(replaced);
    const place = stepsAside
      ? this.#asideFiles.placeOf(old.name)
      : { parentId, name: asideName(old.name, provider.capabilities.maxNameLength) };
    const intent = this.#intents.begin({
      ...{ old, parentId, name: old.name, successor: remote },
      ...{ aside: place.name, asideIn: place.parentId },
    });
    await this.#core.state.durable();
    let stepped: RemoteEntry;
    try {
      stepped = await provider.move(old, place, { deadline: caller?.deadline });
    } catch (error) {
      if (stepsAside && this.#asideFiles.isRefusal(error)) {
        this.#intents.end(intent);
        await this.#namespace.fetchForReaders(replaced, caller);
        return this.#replace(source, remote, target, old, directory, newName, caller, true);
      }
      if (codeOf(error) !== 'not-found') {
        await this.#undo(intent, source, directory, error, caller);
        throw error;
      }
      this.#intents.end(intent);
      return this.#move(source, remote, directory, newName, undefined, target);
    }
    let moved: RemoteEntry;
    try {
      moved = await provider.move(remote, { parentId, name }, { deadline: caller?.deadline });
    } catch (error) {
      await this.#undo(intent, source, directory, error, caller);
      throw error;
    }
    const aside = stepsAside && stepped.kind === 'file' ? { intent, file: stepped } : undefined;
    await this.#applyMove(source, moved, directory, newName, target, aside);
    if (aside !== undefined) return;
    try {
      await this.#namespace.dispose(stepped);
      this.#intents.end(intent);
    } catch (error) {
      // The rename itself is done; what is left is a file too many.
      if (isUndeletable(error)) return this.#intents.retain(intent);
      log.warn({ ino: target.ino }, `the replaced version stays as ${place.name} for now: ${messageOf(error)}`);
      this.#intents.retryLater(intent);
    }
  }

  async #undo(
    intent: Intent,
    source: Inode,
    directory: Inode,
    error: unknown,
    caller: Caller | undefined,
  ): Promise<void> {
    for (const ino of [source.parent, directory.ino]) if (ino !== null) this.#core.directories.expire(ino);
    // From who does not answer, nothing is to be learnt in time either.
    if (isUnavailable(error) && isPastDeadline(this.#core, caller)) this.#intents.retryLater(intent);
    else await this.#intents.undo(intent);
  }

  /** Content that is only here yet changes its name here; where it replaces a stored file, it becomes its new version. */
  async #renameLocal(
    source: Inode,
    target: Inode | undefined,
    directory: Inode,
    newName: string,
    caller: Caller | undefined,
  ): Promise<void> {
    const { table, files, journal, clock } = this.#core;
    const state = files.state(source.ino);
    const old = target === undefined ? null : remoteFileOf(target);
    // What is still another base's must be here before the base changes.
    if (old !== null && state?.spool != null) await this.#contents.fill(state, state.spool, caller?.signal);
    const aside =
      target === undefined || old === null ? null : await this.#namespace.copyAside(target.ino, old, caller);
    table.transaction(() => {
      if (target !== undefined) this.#dropName(target);
      if (aside !== null) this.#asideFiles.commit(aside);
      table.update(source.ino, {
        parent: directory.ino,
        name: newName,
        overlay: { ...source.overlay, ctime: strictlyAfter(source.overlay.ctime, fromMs(clock.now())) },
        ...(old === null ? {} : { remote: old, confirmedAt: target?.confirmedAt ?? null }),
      });
      if (old === null || state?.spool == null) return;
      state.spool.rebase(old);
      journal.setContent(source.ino, state.spool.state(), old);
    });
    if (target !== undefined) this.#unlinkReplaced(target.ino, aside ?? undefined);
    if (state !== undefined && state.handles.size === 0) this.#uploader.enqueue(state);
  }

  async #applyMove(
    source: Inode,
    moved: RemoteEntry,
    directory: Inode,
    newName: string,
    target: Inode | undefined,
    aside?: AsideFile,
  ): Promise<void> {
    const { table, directories, clock } = this.#core;
    table.transaction(() => {
      if (target !== undefined) this.#dropName(target);
      if (aside !== undefined) this.#asideFiles.commit(aside);
      const duplicate = table.byRemote(moved.kind, moved.id);
      if (duplicate !== undefined && duplicate.ino !== source.ino) {
        table.update(duplicate.ino, { parent: null, remote: null });
      }
      const now = inodeOf(this.#core, source.ino);
      // Another client's change, listed while ours was under way, may have the two the other way round.
      table.breakCycle(source.ino, directory.ino);
      table.update(source.ino, {
        parent: directory.ino,
        name: newName,
        remote: moved,
        overlay: {
          ...now.overlay,
          mtime: now.overlay.mtime ?? fromMs(source.remote?.modified ?? clock.now()),
          ctime: strictlyAfter(now.overlay.ctime, fromMs(clock.now())),
        },
      });
    });
    directories.changes.note(moved.kind, moved.id);
    if (target?.remote != null) directories.changes.note(target.remote.kind, target.remote.id);
    const state = this.#core.files.state(source.ino);
    if (state !== undefined && moved.kind === 'file') this.#contents.noteMoved(state, moved);
    if (target !== undefined) this.#unlinkReplaced(target.ino, aside);
  }

  /** The replaced file has no name any more, and nothing of it is to be stored: both at once, whatever happens next. */
  #dropName({ ino }: Inode): void {
    this.#core.table.update(ino, unlinkedRow(this.#core, ino));
    this.#core.journal.remove(ino);
  }

  /** What was not stored of the replaced file goes, unless somebody has it open. */
  #unlinkReplaced(ino: Ino, aside?: AsideFile): void {
    const state = this.#core.files.state(ino);
    if (state === undefined) return;
    state.unlinked = true;
    if (aside === undefined) this.#contents.abandon(state);
    else this.#asideFiles.attach(state, aside);
  }

  /** A name that had to be escaped here keeps its true form at the provider as long as nobody gives it another. */
  #remoteName(source: Inode, newName: string): string {
    return newName === source.name && source.remote !== null ? source.remote.name : newName;
  }
}

function requireSameKind(source: Inode, target: Inode): void {
  if (source.kind === target.kind) return;
  if (target.kind === 'directory') throw new FsError('EISDIR', `${target.name} is a directory`);
  throw new FsError('ENOTDIR', `${target.name} is not a directory`);
}
