/** Names: lookup, readdir, mkdir, rmdir, unlink. Invariant: a change goes to the provider first, then to the table. */
import { codeOf } from '../../base/errors.js';
import { atOnce, inTurns, Pieces } from '../../base/event-loop-turns.js';
import { isPromise, type MaybePromise } from '../../base/maybe-promise.js';
import { nameBytes } from '../../base/raw-names.js';
import { fromMs } from '../../base/timespec.js';
import type { RemoteFile } from '../../providers/provider.js';
import { type Ino, type Inode, isFirstName, isSpecial } from '../../tree/inode.js';
import { MAX_NAME_BYTES } from '../../tree/local-names.js';
import { type NamedInode, scanningNames } from '../../tree/scan.js';
import type { Attributes, Caller, DirectoryEntry } from '../api.js';
import { attributesOf, touch, touchStatus, unlinkedRow } from '../attributes/attributes.js';
import { newObject, storeInherited } from '../attributes/new-object.js';
import type { Contents } from '../content/contents.js';
import { notePassthroughWrites } from '../content/passthrough-writes.js';
import type { Relocation } from '../content/relocation.js';
import { sharedRevision } from '../content/revisions.js';
import { orAborted } from '../core/abortable.js';
import { type Core, directoryOf, inodeOf, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { AsideFile, FileState } from '../core/open-files.js';
import type { Intents } from '../recovery/intents.js';
import type { Uploader } from '../uploads/uploader.js';
import type { Disposal } from './disposal.js';
import { learnOtherNames } from './last-name.js';
import { requireNameFits, requireNotReserved } from './name-rules.js';
import type { AsideFiles } from './removed-while-open.js';

/** The parts that a change of names needs. */
export interface NamespaceParts {
  readonly contents: Contents;
  readonly uploader: Uploader;
  readonly intents: Intents;
  readonly relocation: Relocation;
  readonly asideFiles: AsideFiles;
  readonly disposal: Disposal;
}

export class Namespace {
  /** Gives an inode one of its further names in place of the name that goes (`Renaming.toNextName`). */
  toNextName: (inode: Inode, caller?: Caller) => Promise<boolean> = () => Promise.resolve(false);
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #intents: Intents;
  readonly #uploader: Uploader;
  readonly #relocation: Relocation;
  readonly #asideFiles: AsideFiles;
  readonly #disposal: Disposal;

  constructor(core: Core, { contents, uploader, intents, relocation, asideFiles, disposal }: NamespaceParts) {
    this.#core = core;
    this.#contents = contents;
    this.#uploader = uploader;
    this.#intents = intents;
    this.#relocation = relocation;
    this.#asideFiles = asideFiles;
    this.#disposal = disposal;
  }

  lookup(parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes | undefined> {
    const listed = this.#listed(parent, name, caller);
    return isPromise(listed) ? listed.then(() => this.#look(parent, name)) : this.#look(parent, name);
  }

  #look(parent: Ino, name: string): Attributes | undefined {
    const inode = this.#core.table.child(parent, name);
    return inode === undefined ? undefined : this.attributes(inode);
  }

  attributes(inode: Inode): Attributes {
    const { files, options, table } = this.#core;
    if (inode.kind === 'directory') {
      // The count never costs a request: a directory that was not listed has a link count of 1.
      const subdirectories = inode.listedAt === null ? null : table.subdirectoriesOf(inode.ino);
      return attributesOf(inode, options, undefined, subdirectories);
    }
    const file = files.state(inode.ino);
    if (file === undefined) return attributesOf(inode, options);
    notePassthroughWrites(this.#core, file);
    // Size and times must belong to the bytes that handles read, even if a newer revision is known.
    const shown = file.spool === null ? sharedRevision(this.#core, file) : null;
    return attributesOf(shown === null ? inode : { ...inode, remote: shown }, options, file);
  }

  /** The entry of that name. ENOENT. */
  async find(parent: Ino, name: string, caller?: Caller): Promise<Inode> {
    await this.#listed(parent, name, caller);
    const inode = this.#core.table.child(parent, name);
    if (inode === undefined) throw new FsError('ENOENT', `${name} does not exist`);
    return inode;
  }

  /** Resolves when the listing of `parent` is current enough to tell whether it holds the name. */
  #listed(parent: Ino, name: string, caller?: Caller): MaybePromise<void> {
    if (nameBytes(name) > MAX_NAME_BYTES) throw new FsError('ENAMETOOLONG', 'the name is over 255 bytes');
    directoryOf(this.#core, parent);
    const listed = this.#core.directories.ensureListed(parent, caller);
    return isPromise(listed) ? orAborted(listed, caller?.signal) : listed;
  }

  readdir(ino: Ino, caller?: Caller): MaybePromise<readonly DirectoryEntry[]> {
    const { directories, table } = this.#core;
    directoryOf(this.#core, ino);
    directories.walked(ino);
    const entryOf = ({ name, inode, position }: NamedInode): DirectoryEntry => {
      const attributes = this.attributes(inode);
      return position === inode.ino ? { name, attributes } : { name, attributes, position };
    };
    const entries = (): MaybePromise<readonly DirectoryEntry[]> => {
      if (table.isLarge(ino))
        return orAborted(inTurns(scanningNames(table, ino, entryOf, new Pieces())), caller?.signal);
      if (table.further.countIn(ino) > 0) return atOnce(scanningNames(table, ino, entryOf, new Pieces()));
      return table.children(ino).map((inode) => entryOf({ name: inode.name, inode, position: inode.ino }));
    };
    const listed = directories.ensureListed(ino, caller);
    if (!isPromise(listed)) return entries();
    return orAborted(listed, caller?.signal)
      .then(entries)
      .catch((error: unknown) => this.#gone(ino, error));
  }

  /**
   * The opened directory is gone at the provider. ESTALE, not ENOENT: the C library takes ENOENT for the end of a
   * directory, and `ls` would show an empty one.
   */
  #gone(ino: Ino, error: unknown): never {
    if (codeOf(error) !== 'not-found') throw error;
    const { table, directories } = this.#core;
    const directory = table.get(ino);
    if (directory?.parent != null) directories.expire(directory.parent);
    throw new FsError('ESTALE', `${directory?.name ?? 'the directory'} was removed at the provider`, { cause: error });
  }

  async mkdir(parent: Ino, name: string, mode: number, caller: Caller | undefined): Promise<Attributes> {
    const directory = await this.requireFree(parent, name, caller);
    return this.#intents.withChangeIntent([parent], () => this.#makeDirectory(directory, name, mode, caller));
  }

  async #makeDirectory(directory: Inode, name: string, mode: number, caller?: Caller): Promise<Attributes> {
    const { table, provider, directories, clock } = this.#core;
    const parent = directory.ino;
    const parentId = remoteIdOf(directory);
    await this.#intents.clearOrphansAt({ parentId, name }, caller?.signal);
    const remote = await this.expiringOnError([parent], () => provider.createFolder(parentId, name, caller));
    const now = fromMs(clock.now());
    const born = newObject(this.#core, caller, mode, 'directory', directory);
    const inode = table.transaction(() => {
      const duplicate = table.byRemote('folder', remote.id);
      const fields = {
        parent,
        name,
        remote,
        // A directory that was created just now is known to be empty.
        listedAt: clock.now(),
        overlay: { ...born.overlay, atime: null, mtime: now, ctime: now },
      };
      const made =
        duplicate === undefined ? table.insert({ kind: 'directory', ...fields }) : table.update(duplicate.ino, fields);
      storeInherited(table, made.ino, born);
      return made;
    });
    directories.changes.note('folder', remote.id);
    this.touchDirectory(parent);
    return this.attributes(inode);
  }

  async unlink(parent: Ino, name: string, caller: Caller | undefined): Promise<void> {
    requireWritable(this.#core);
    const inode = await this.find(parent, name, caller);
    if (inode.kind === 'directory') throw new FsError('EISDIR', `${name} is a directory`);
    await learnOtherNames(this.#core, { parent, name }, caller);
    const remove = async (): Promise<void> => {
      const now = this.#core.table.child(parent, name);
      if (now?.ino !== inode.ino) throw new FsError('ENOENT', `${name} does not exist`);
      if (!isFirstName(now, parent, name)) this.#removeFurtherName(parent, name);
      else if (now.furtherNames > 0 && (await this.toNextName(now, caller))) return;
      else if (isSpecial(now)) this.#core.table.update(now.ino, unlinkedRow(this.#core, now.ino));
      else await this.#intents.withChangeIntent([parent], () => this.#removeFile(inode, caller));
    };
    await this.#contents.withNameLocks([inode.ino], remove, caller?.signal);
    this.touchDirectory(parent);
  }

  /** Removes a further name, which is only a row here: the object and the content keep the first name. */
  #removeFurtherName(parent: Ino, name: string): void {
    const { table } = this.#core;
    table.transaction(() => {
      const found = table.further.find(parent, name);
      if (found !== undefined) touchStatus(this.#core, table.removeName(found).ino);
    });
  }

  /** Removes the name of a file at the provider and here. Open handles can still read and write. */
  async #removeFile(inode: Inode, caller: Caller | undefined): Promise<void> {
    const state = this.#core.files.ensureState(inode.ino);
    const isSuspended = await this.#uploader.suspend(state);
    try {
      if (!this.#asideFiles.isNeeded(state)) await this.#disposal.fetchForReaders(state, caller);
      await this.#contents.whileRemoving(state, () => this.#unlink(inode, state, caller));
    } finally {
      // The file may have kept its name: then its upload may go on.
      if (isSuspended) this.#uploader.released(state);
    }
  }

  async #unlink(inode: Inode, state: FileState, caller: Caller | undefined): Promise<void> {
    const { table, journal, directories } = this.#core;
    // A cancelled or interrupted upload may have succeeded.
    await this.#uploader.abandon(state);
    const { remote, parent } = inodeOf(this.#core, inode.ino);
    if (parent === null) throw new FsError('ENOENT', `${inode.name} does not exist`);
    const aside =
      remote?.kind === 'file'
        ? await this.expiringOnError([parent], () => this.#removeRemote(state, remote, caller))
        : null;
    table.transaction(() => {
      table.update(inode.ino, unlinkedRow(this.#core, inode.ino));
      journal.remove(inode.ino);
      if (aside !== null) this.#asideFiles.commit(aside);
    });
    if (remote !== null) directories.changes.note('file', remote.id);
    state.unlinked = true;
    if (aside === null) this.#contents.abandon(state);
    else this.#asideFiles.attach(state, aside);
  }

  /** Removes the file at the provider (trash or permanently), or moves it aside if open handles still need it there. */
  async #removeRemote(state: FileState, remote: RemoteFile, caller: Caller | undefined): Promise<AsideFile | null> {
    const aside = await this.#disposal.stepAside(state, remote, caller);
    if (aside === null) await this.#disposal.dispose(remote, caller);
    return aside;
  }

  async rmdir(parent: Ino, name: string, caller: Caller | undefined): Promise<void> {
    requireWritable(this.#core);
    const inode = await this.find(parent, name, caller);
    if (inode.kind !== 'directory') throw new FsError('ENOTDIR', `${name} is not a directory`);
    await this.#intents.withChangeIntent([parent], () => this.removeEmpty(inode, caller));
    this.touchDirectory(parent);
  }

  /**
   * Removes a directory that is empty at the provider too. If the listing is fresh, one request moves the folder to the trash. The answer
   * says whether the folder held anything, and if so the folder is restored. Before a permanent removal the folder is always listed.
   */
  async removeEmpty(inode: Inode, caller: Caller | undefined): Promise<void> {
    const { table, directories, provider } = this.#core;
    const { ino, remote } = inode;
    await this.requireEmpty(inode, caller);
    if (remote !== null) {
      const gone = await this.expiringOnError([inode.parent, ino], () => this.#disposal.dispose(remote, caller));
      if (gone?.kind === 'folder' && (gone.fileCount ?? 0) + (gone.folderCount ?? 0) > 0) {
        await provider.untrash(remote);
        await directories.refresh(ino);
        // The count can be outdated while the listing is current.
        if (table.hasChildren(ino)) throw new FsError('ENOTEMPTY', `${inode.name} is not empty`);
        await this.#disposal.dispose(remote, caller);
      }
      directories.changes.note('folder', remote.id);
    }
    table.update(ino, { parent: null, remote: null });
  }

  /** ENOTEMPTY if the directory holds something, here or at the provider. */
  async requireEmpty({ ino, remote, name }: Inode, caller: Caller | undefined): Promise<void> {
    const { table, directories, provider, options } = this.#core;
    const goesToTrash = options.disposal === 'trash' && provider.capabilities.trash;
    // Without counts, the answer to the removal cannot tell whether the folder was empty.
    const isCounted = remote?.kind === 'folder' && remote.fileCount !== null && remote.folderCount !== null;
    if (remote !== null && (!goesToTrash || !isCounted || !directories.isFresh(ino)))
      await directories.refresh(ino, 'foreground', caller?.signal);
    if (table.hasChildren(ino)) throw new FsError('ENOTEMPTY', `${name} is not empty`);
  }

  /** Checks that the directory can take `name` and that the name is free. EEXIST, and the errors of `requireFits`. */
  async requireFree(parent: Ino, name: string, caller?: Caller): Promise<Inode> {
    const directory = await this.requireFits(parent, name, caller);
    if (this.#core.table.child(parent, name) !== undefined) throw new FsError('EEXIST', `${name} exists`);
    return directory;
  }

  /** Lists the directory and checks that it can take a name like this. EROFS, EACCES, ENAMETOOLONG, ENOENT. */
  async requireFits(parent: Ino, name: string, caller?: Caller): Promise<Inode> {
    requireWritable(this.#core);
    const directory = directoryOf(this.#core, parent);
    if (directory.remote?.access === 'read') throw new FsError('EACCES', `${directory.name} is read-only`);
    requireNameFits(this.#core, name);
    requireNotReserved(directory, name);
    // Another client may have removed the folder. Then it exists here only for its content that is not stored yet.
    await this.#relocation.ensureFolder(parent, caller?.signal);
    await orAborted(this.#core.directories.ensureListed(parent, caller), caller?.signal);
    return inodeOf(this.#core, parent);
  }

  /** An entry was added or removed: POSIX moves the times of the directory. */
  touchDirectory(ino: Ino): void {
    touch(this.#core, ino);
  }

  /**
   * Runs a request that changes the provider. If it fails, the content of the directories is unknown, so they are
   * listed again.
   */
  async expiringOnError<T>(touched: readonly (Ino | null)[], request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      for (const ino of touched) if (ino !== null) this.#core.directories.expire(ino);
      throw error;
    }
  }
}

/** The provider's id of a directory. ENOENT if the directory is not, or no longer, at the provider. */
export function remoteIdOf(directory: Inode): string {
  if (directory.remote === null) throw new FsError('ENOENT', `${directory.name} is not at the provider`);
  return directory.remote.id;
}
