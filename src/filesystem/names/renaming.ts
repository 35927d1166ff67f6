/**
 * rename(2): the same provider object and inode number under another name.
 *
 * move-rename.ts and copy-rename.ts send the requests; an entry without an object at the provider needs none. An intent in the state
 * database lets the next mount finish or undo a rename that a crash interrupted.
 */
import { codeOf } from '../../base/errors.js';
import { fromMs, strictlyAfter } from '../../base/timespec.js';
import { isEntryOnly } from '../../metadata/held/entry-only.js';
import { mayBecome } from '../../providers/names.js';
import type { RemoteEntry } from '../../providers/provider.js';
import type { FurtherName } from '../../tree/further-names.js';
import { type Ino, type Inode, isFirstName, isSpecial, remoteFileOf, remoteFolderOf } from '../../tree/inode.js';
import type { Caller, RenameFlags } from '../api.js';
import type { Contents } from '../content/contents.js';
import type { Relocation } from '../content/relocation.js';
import { noteMoved } from '../content/revisions.js';
import { orAborted } from '../core/abortable.js';
import { type Core, directoryOf, inodeOf, requireWritable } from '../core/core.js';
import { dropDuplicate } from '../core/drop-duplicate.js';
import { FsError } from '../core/fs-error.js';
import type { AsideFile, FileState } from '../core/open-files.js';
import { orGone } from '../core/or-gone.js';
import { type BegunRename, begunRename } from '../recovery/begun-rename.js';
import type { BegunCopy } from '../recovery/copies.js';
import type { Intents } from '../recovery/intents.js';
import type { Uploader } from '../uploads/uploader.js';
import { type ApplyMove, CopyRename, type NewPlace } from './copy-rename.js';
import { DirectoryCopyRename } from './directory-copy-rename.js';
import type { Disposal } from './disposal.js';
import { Exchanging } from './exchanging.js';
import { learnOtherNames } from './last-name.js';
import { MoveRename, remoteName } from './move-rename.js';
import { requireNameFits, requireNotReserved } from './name-rules.js';
import type { Namespace, NamespaceParts } from './namespace.js';
import type { AsideFiles } from './removed-while-open.js';
import { dropName, type Place, placeRow, RowRename, takeOver, unlinkReplaced } from './row-rename.js';

export class Renaming {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #contents: Contents;
  readonly #uploader: Uploader;
  readonly #intents: Intents;
  readonly #byCopy: CopyRename;
  readonly #byMove: MoveRename;
  readonly #directoryByCopy: DirectoryCopyRename;
  readonly #byRow: RowRename;
  readonly #exchanging: Exchanging;
  readonly #parts: NamespaceParts;
  readonly #relocation: Relocation;
  readonly #asideFiles: AsideFiles;
  readonly #disposal: Disposal;

  constructor(core: Core, namespace: Namespace, parts: NamespaceParts) {
    this.#core = core;
    this.#namespace = namespace;
    this.#parts = parts;
    this.#byRow = new RowRename(core, parts);
    this.#exchanging = new Exchanging(core, namespace, parts);
    this.#contents = parts.contents;
    this.#uploader = parts.uploader;
    this.#intents = parts.intents;
    this.#relocation = parts.relocation;
    this.#asideFiles = parts.asideFiles;
    this.#disposal = parts.disposal;
    const applyMove: ApplyMove = (...move) => this.#applyMove(...move);
    this.#byCopy = new CopyRename(core, namespace, parts, applyMove);
    this.#byMove = new MoveRename(core, namespace, parts, applyMove);
    this.#directoryByCopy = new DirectoryCopyRename(core, namespace, parts, this.#byCopy);
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
    if (flags.exchange)
      return this.#exchanging.exchange({ parent, name }, { parent: newParent, name: newName }, caller);
    requireNameFits(this.#core, newName);
    requireNotReserved(directoryOf(this.#core, newParent), newName);
    for (let isRelisted = false; ; ) {
      try {
        if (await this.#tryRename(parent, name, newParent, newName, flags, caller)) break;
      } catch (error) {
        // Another client may have created the name since the directory was listed: it is replaced like any other.
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
    this.#uploader.namesChanged();
  }

  /** False: the names got other entries while this call waited for the locks. */
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
    // If another client has removed the folders, they exist here only for content that is not stored yet.
    await this.#relocation.ensureFolder(newParent, caller?.signal);
    if (source.kind === 'directory') await this.#relocation.ensureFolder(source.ino, caller?.signal);
    if (table.isWithin(newParent, source.ino)) throw new FsError('EINVAL', 'a directory cannot move into itself');
    await orAborted(directories.ensureListed(newParent, caller), caller?.signal);
    const target = table.child(newParent, newName);
    if (target?.ino === source.ino) return true;
    if (target !== undefined && flags.noReplace) throw new FsError('EEXIST', `${newName} exists`);
    if (target !== undefined) requireSameKind(source, target);
    if (target !== undefined) await learnOtherNames(this.#core, { parent: newParent, name: newName }, caller);
    const inos = target === undefined ? [source.ino] : [source.ino, target.ino];
    const isRow = isSpecial(source) || !isFirstName(source, parent, name);
    const suspended: FileState[] = [];
    const act = async (): Promise<boolean> => {
      // The uploads of both files would go to names that are about to change. No upload uses a further name.
      await this.#uploader.suspendAll(isRow ? inos.slice(1) : inos, suspended);
      const now = table.child(parent, name);
      const inTheWay = table.child(newParent, newName);
      if (now?.ino !== source.ino || inTheWay?.ino !== target?.ino) return false;
      if (isRow !== (isSpecial(now) || !isFirstName(now, parent, name))) return false;
      const isLast = inTheWay?.furtherNames === 0 || inTheWay === undefined;
      // If the entry in the way has other names, it only loses this name or vacates it: its content is not replaced.
      const replaced = isLast ? inTheWay : undefined;
      const to = (): NewPlace => ({ directory: directoryOf(this.#core, newParent), name: newName, target: replaced });
      const rename = (): Promise<void> =>
        isRow
          ? this.#byRow.carryOut(now, { parent, name }, to(), caller)
          : this.#intents.withChangeIntent(
              [parent, newParent],
              (noteCopy) => this.#carryOut(now, to(), noteCopy, caller),
              begunRename(now, replaced, newParent, newName),
            );
      const mustVacate = !isLast && isFirstName(inTheWay, newParent, newName);
      const carryOut = mustVacate ? () => this.#vacating(inTheWay, now, { parent, name }, rename, caller) : rename;
      if (replaced?.kind !== 'file') await carryOut();
      else {
        const state = this.#core.files.ensureState(replaced.ino);
        // Such a rename stores the source again, under the new name, and so overwrites the content that readers of the target need.
        const isOverwritten = !isRow && now.remote !== null && !this.#core.provider.capabilities.moveFile;
        if (isOverwritten || !this.#asideFiles.isNeeded(state)) await this.#disposal.fetchForReaders(state, caller);
        await this.#contents.whileRemoving(state, carryOut);
      }
      return true;
    };
    try {
      return await this.#contents.withNameLocks(inos, act, caller?.signal);
    } finally {
      for (const state of suspended) this.#uploader.released(state);
    }
  }

  /**
   * The inode in the way has other names: one of them becomes its first, then `rename` takes the free name. If the process dies in
   * between, the next mount goes on (`finish`): otherwise the name would mean nothing.
   */
  #vacating(
    inTheWay: Inode,
    source: Inode,
    from: Place,
    rename: () => Promise<void>,
    caller: Caller | undefined,
  ): Promise<void> {
    const { parent, name } = inTheWay;
    if (parent === null) throw new FsError('ENOENT', `${name} does not exist`);
    const act = async (): Promise<void> => {
      await this.toNextName(inTheWay, caller);
      await rename();
    };
    return this.#intents.withChangeIntent([from.parent, parent], act, {
      ...{ source: source.ino, target: null, parent, name, vacatedFor: from },
    });
  }

  /**
   * The first name of an inode goes, and the inode has others. The newest of them becomes its first, preferably one in the same
   * directory, and the object at the provider gets that name. False if none of them can be reached. The caller holds the inode's name
   * lock.
   */
  async toNextName({ ino }: Inode, caller?: Caller): Promise<boolean> {
    const { files } = this.#core;
    const state = files.state(ino);
    const isSuspended = state !== undefined && (await this.#uploader.suspend(state));
    try {
      if (state !== undefined) await this.#uploader.adoptStoredAttempt(state);
      const source = inodeOf(this.#core, ino);
      const { parent } = source;
      const next = parent === null ? undefined : this.#nextName(ino, parent);
      if (parent === null || next === undefined) return false;
      await this.#relocation.ensureFolder(next.parent, caller?.signal);
      const to = { directory: directoryOf(this.#core, next.parent), name: next.name, target: undefined };
      if (source.remote === null) await this.#renameLocal(source, to, caller);
      else
        await this.#intents.withChangeIntent(
          [parent, next.parent],
          (noteCopy) => this.#carryOut(source, to, noteCopy, caller),
          begunRename(source, undefined, next.parent, next.name),
        );
      return true;
    } finally {
      if (isSuspended) this.#uploader.released(state);
    }
  }

  /**
   * The newest name, because it is likely to go last: `rm -r` removes names in the order of a listing, and backups remove the oldest
   * snapshot first. So the object changes its name once, not with each name that goes.
   */
  #nextName(ino: Ino, directory: Ino): FurtherName | undefined {
    const { further } = this.#core.table;
    const isReachable = (one: FurtherName | undefined): boolean =>
      one !== undefined && this.#relocation.isReachable(one.parent);
    const newest = [further.newestOf(ino, directory), further.newestOf(ino)].find(isReachable);
    return newest ?? further.of(ino).reverse().find(isReachable);
  }

  async #carryOut(
    source: Inode,
    to: NewPlace,
    noteCopy: (copy: BegunCopy) => void,
    caller: Caller | undefined,
  ): Promise<void> {
    const { provider } = this.#core;
    const { target } = to;
    if (source.remote === null) return this.#renameLocal(source, to, caller);
    const { parent, name } = source;
    if (isEntryOnly(source.remote) && parent !== null)
      return this.#byRow.carryOut(source, { parent, name }, to, caller);
    // The service already has the new name, and this machine shows the old one: only the shown name changes.
    const isKeptAsThat = source.remote.parentId === to.directory.remote?.id && source.remote.name === to.name;
    if (isKeptAsThat && target === undefined && parent !== null)
      return this.#byRow.carryOut(source, { parent, name }, to, caller);
    const { moveFile, moveFolder } = provider.capabilities;
    if (source.kind === 'directory' && !moveFolder) return this.#directoryByCopy.carryOut(source, to, caller);
    if (source.remote.kind === 'file' && !moveFile)
      return this.#byCopy.carryOut(source, source.remote, to, noteCopy, caller);
    if (target?.kind === 'directory') {
      await this.#namespace.removeEmpty(target, caller);
      return this.#byMove.move(source, source.remote, { ...to, target: undefined }, caller);
    }
    const old = target === undefined ? null : remoteFileOf(target);
    const remote = remoteFileOf(source);
    // Checked before anything is moved aside: a file that cannot be removed would stay there.
    if (old !== null) this.#disposal.requireDeletes();
    if (target !== undefined && old !== null && remote !== null)
      await this.#byMove.replace(source, remote, { ...to, target }, old, caller);
    else await this.#byMove.move(source, source.remote, to, caller);
  }

  /**
   * Settles a rename that a crash interrupted. Applies it here if the provider has done it. If the provider has done a part, finishes it,
   * or undoes it if the file that was to be replaced is still stored. False: nothing of it was done.
   */
  async finish(begun: BegunRename): Promise<boolean> {
    const { source: ino, target, parent, name, vacatedFor: vacated } = begun;
    const { table } = this.#core;
    if (vacated !== undefined) {
      const isFree = this.#relocation.isReachable(parent) && table.child(parent, name) === undefined;
      if (isFree && table.child(vacated.parent, vacated.name)?.ino === ino)
        await this.rename(vacated.parent, vacated.name, parent, name, { noReplace: true, exchange: false }, undefined);
      return isFree;
    }
    const inos = target === null ? [ino] : [ino, target];
    const suspended: FileState[] = [];
    try {
      return await this.#contents.withNameLocks(inos, async () => {
        // In a running mount the files may have been written to since.
        await this.#uploader.suspendAll(inos, suspended);
        return await this.#finishLocked(begun);
      });
    } finally {
      for (const state of suspended) this.#uploader.released(state);
    }
  }

  async #finishLocked(begun: BegunRename): Promise<boolean> {
    const { source: ino, target, parent, name } = begun;
    const { table, provider } = this.#core;
    const source = table.get(ino);
    const directory = table.get(parent);
    const inTheWay = target === null ? undefined : table.get(target);
    if (source?.remote == null || directory?.remote == null) return false;
    if (!provider.capabilities.moveFile) return this.#byCopy.finish(begun, source, directory, inTheWay);
    const to = { parentId: directory.remote.id, name: remoteName(source, name) };
    const now =
      (await orGone(provider.stat(source.remote))) ?? (await this.#findByContent(source, directory, to.name, inTheWay));
    const from = begun.from ?? source.remote;
    if (now === null || (now.parentId === from.parentId && now.name === from.name)) return false;
    const isThere = now.parentId === to.parentId && now.name === to.name;
    if (!isThere && inTheWay !== undefined && remoteFileOf(inTheWay) !== null) {
      const back = { parentId: from.parentId ?? '', name: from.name };
      table.update(ino, { remote: await provider.move(now, back) });
      return true;
    }
    const moved = isThere ? now : await provider.move(now, to);
    const replaced = target === null ? undefined : this.#core.files.state(target);
    // The target was written through this mount meanwhile: it is newer than the rename.
    if (replaced?.isTouched) return true;
    if (replaced !== undefined) await this.#uploader.cancel(replaced);
    await this.#applyMove(source, moved, { directory, name, target: inTheWay });
    return true;
  }

  /** Finds a moved file by its name and bytes: some providers give it a new id, and the answer with the id may be lost. */
  async #findByContent(source: Inode, directory: Inode, name: string, target?: Inode): Promise<RemoteEntry | null> {
    const was = remoteFileOf(source);
    const folder = remoteFolderOf(directory);
    if (was === null || was.md5 === null || folder === null) return null;
    const entries = await this.#core.provider.list(folder);
    const old = target === undefined ? undefined : this.#core.files.state(target.ino)?.spool?.base;
    // The file that was to be replaced may hold the same bytes.
    const isOther = ({ id }: RemoteEntry): boolean => id !== target?.remote?.id && id !== old?.id;
    const isIt = (entry: RemoteEntry): boolean =>
      entry.kind === 'file' && mayBecome(name, entry.name) && entry.size === was.size && entry.md5 === was.md5;
    return entries.find((entry) => isIt(entry) && isOther(entry)) ?? null;
  }

  /**
   * Renames a content that is not stored yet, on this machine only. If it replaces a stored file, it becomes that
   * file's next version.
   */
  async #renameLocal(source: Inode, to: NewPlace, caller: Caller | undefined): Promise<void> {
    const { table, files, journal } = this.#core;
    const { target } = to;
    const state = files.state(source.ino);
    const old = target === undefined ? null : remoteFileOf(target);
    // Bytes of the old base must be fetched before the base changes.
    if (old !== null && state?.spool != null) await this.#contents.fill(state, state.spool, caller?.signal);
    const aside = target === undefined || old === null ? null : await this.#disposal.copyAside(target.ino, old, caller);
    table.transaction(() => {
      if (target !== undefined) dropName(this.#core, target);
      if (aside !== null) this.#asideFiles.commit(aside);
      placeRow(this.#core, source, { parent: source.parent ?? to.directory.ino, name: source.name }, to);
      if (old === null) return;
      table.update(source.ino, { remote: old, confirmedAt: target?.confirmedAt ?? null });
      if (state?.spool == null) return;
      state.spool.rebase(old);
      journal.setContent(source.ino, state.spool.state(), old);
    });
    if (target !== undefined) unlinkReplaced(this.#core, this.#parts, target.ino, aside ?? undefined);
    if (state?.spool != null && state.handles.size === 0) this.#uploader.enqueue(state);
  }

  async #applyMove(
    source: Inode,
    moved: RemoteEntry,
    { directory, name, target }: NewPlace,
    aside?: AsideFile,
  ): Promise<void> {
    const { table, directories, clock } = this.#core;
    table.transaction(() => {
      if (target !== undefined) dropName(this.#core, target);
      if (aside !== undefined) this.#asideFiles.commit(aside);
      takeOver(this.#core, source.ino, directory.ino, name);
      dropDuplicate(this.#core, source.ino, moved);
      const now = inodeOf(this.#core, source.ino);
      // A listing during the rename may show another client's change that put the directory inside the source: break
      // the circle first.
      table.breakCycle(source.ino, directory.ino);
      table.update(source.ino, {
        parent: directory.ino,
        name,
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
    if (state !== undefined && moved.kind === 'file') noteMoved(this.#core, state, moved);
    if (target !== undefined) unlinkReplaced(this.#core, this.#parts, target.ino, aside);
  }
}

function requireSameKind(source: Inode, target: Inode): void {
  if ((source.kind === 'directory') === (target.kind === 'directory')) return;
  if (target.kind === 'directory') throw new FsError('EISDIR', `${target.name} is a directory`);
  throw new FsError('ENOTDIR', `${target.name} is not a directory`);
}
