/**
 * rename(2) of a small directory at a provider that cannot rename, in three steps: all files below it are stored under the new path; the
 * table changes in one transaction; the files under the old path are removed.
 *
 * Invariant: each copy is in the journal before it is sent. Until the table has changed, a crash or an error undoes the copies
 * (`Copies.undo`). Afterwards the old files are orphans, which are removed sooner or later. An empty directory in the way goes in the
 * transaction that changes the table.
 */
import pLimit from 'p-limit';
import { fromMs, strictlyAfter } from '../../base/timespec.js';
import type { RemoteEntry, RemoteFolder } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import type { SpoolState } from '../../spool/spool-state.js';
import { type Ino, type Inode, type Overlay, remoteFileOf, remoteFolderOf, sizeOf } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import type { Contents } from '../content/contents.js';
import { noteMoved } from '../content/revisions.js';
import { orAborted } from '../core/abortable.js';
import { type Core, inodeOf, pathOf } from '../core/core.js';
import { dropDuplicate } from '../core/drop-duplicate.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';
import type { Copies } from '../recovery/copies.js';
import { mayBeStored } from '../recovery/unsettled-renames.js';
import { requireBudgetForAll } from '../uploads/request-budget.js';
import type { Uploader } from '../uploads/uploader.js';
import type { Copied, CopyRename, NewPlace } from './copy-rename.js';
import type { Disposal } from './disposal.js';
import { type Namespace, type NamespaceParts, remoteIdOf } from './namespace.js';

/** A larger directory gets EXDEV, and the program copies it itself: one call should not take minutes, or an hour's requests. */
const MAX_FILES = 100;
const MAX_BYTES = 64 * 1024 * 1024;
/** A directory costs no request if folders are implied, but each is listed. */
const MAX_DIRECTORIES = 1000;
/** Files that are stored at once. */
const PARALLEL_COPIES = 4;
/** Rounds of copying: each copies the files that programs have written below the directory during the one before. */
const MAX_ROUNDS = 5;

/** The progress so far, by inode. */
interface Progress {
  /** The folder of the empty directory that is replaced. An undo leaves it. */
  readonly replaced: RemoteFolder | null;
  readonly folders: Map<Ino, RemoteFolder>;
  readonly copies: Map<Ino, JournaledCopy>;
  /** Journal rows of all copies, also of those that failed. */
  readonly rows: Set<number>;
  /** Journal row of the old folder, once the table has changed. */
  left: number | null;
}

interface Tree {
  /** The directory itself first, and each directory before those below it. */
  readonly directories: readonly Inode[];
  readonly files: readonly Inode[];
}

/** A copy, and the journal row that undoes it. */
interface JournaledCopy extends Copied {
  readonly row: number;
}

export class DirectoryCopyRename {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #contents: Contents;
  readonly #uploader: Uploader;
  readonly #copies: Copies;
  readonly #disposal: Disposal;
  readonly #byCopy: CopyRename;

  constructor(core: Core, namespace: Namespace, parts: NamespaceParts, byCopy: CopyRename) {
    this.#core = core;
    this.#namespace = namespace;
    this.#contents = parts.contents;
    this.#uploader = parts.uploader;
    this.#copies = parts.intents.copies;
    this.#disposal = parts.disposal;
    this.#byCopy = byCopy;
  }

  /** EXDEV if the directory is too large; EBUSY if programs keep storing new files below it. */
  async carryOut(source: Inode, to: NewPlace, caller?: Caller): Promise<void> {
    const tree = await this.#treeBelow(source, caller);
    this.#requireBudget(source, tree);
    if (to.target !== undefined) await this.#namespace.requireEmpty(to.target, caller);
    // The copies go into the folder of the directory in the way. So the name has a directory at every moment, also if the rename fails.
    const replaced = to.target === undefined ? null : remoteFolderOf(to.target);
    const done: Progress = { replaced, folders: new Map(), copies: new Map(), rows: new Set(), left: null };
    try {
      await this.#copyAll(source, tree, to, done, caller);
    } catch (error) {
      await this.#undo(done);
      // A listing may have shown copies in the target.
      if (to.target !== undefined) this.#core.directories.expire(to.target.ino);
      throw error;
    }
    await this.#removeOld(source, done);
  }

  /** Everything below a directory. EXDEV if that is too much. */
  async #treeBelow(source: Inode, caller?: Caller): Promise<Tree> {
    const { table, directories: listings } = this.#core;
    const directories = [source];
    const files: Inode[] = [];
    let bytes = 0;
    for (const directory of directories) {
      await orAborted(listings.ensureListed(directory.ino, caller), caller?.signal);
      for (const child of table.children(directory.ino)) {
        if (child.kind === 'directory') directories.push(child);
        if (child.kind !== 'file') continue;
        files.push(child);
        bytes += this.#core.files.state(child.ino)?.spool?.size ?? sizeOf(child);
      }
      const isSmall = files.length <= MAX_FILES && bytes <= MAX_BYTES && directories.length <= MAX_DIRECTORIES;
      if (!isSmall)
        throw new FsError('EXDEV', `${this.#core.provider.name} cannot rename folders, and ${source.name} is large`);
    }
    return { directories, files };
  }

  #requireBudget(source: Inode, { files }: Tree): void {
    const stored = files.flatMap((file) => remoteFileOf(file) ?? []);
    requireBudgetForAll(this.#core, `renaming ${pathOf(this.#core, source.ino)}`, stored);
  }

  /** Stores all copies and gives the table the new paths, once nothing is left to copy. */
  async #copyAll(source: Inode, first: Tree, to: NewPlace, done: Progress, caller?: Caller): Promise<void> {
    let tree = first;
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      const inos = tree.files.map(({ ino }) => ino);
      const isDone = await this.#contents.withNameLocks(
        inos,
        async () => {
          const suspended: FileState[] = [];
          try {
            await this.#uploader.suspendAll(inos, suspended);
            await this.#makeFolders(tree, to, done);
            await this.#copyFiles(inos, done, caller);
            const contents = await this.#syncChanged([...done.copies.values()]);
            return this.#commit(source, to, done, contents);
          } finally {
            for (const state of suspended) this.#uploader.released(state);
          }
        },
        caller?.signal,
      );
      if (isDone) return;
      tree = await this.#treeBelow(inodeOf(this.#core, source.ino), caller);
    }
    throw new FsError('EBUSY', `programs go on writing new files to ${source.name}`);
  }

  async #makeFolders({ directories }: Tree, to: NewPlace, { folders, replaced }: Progress): Promise<void> {
    const { provider, directories: listings } = this.#core;
    for (const { ino, parent, name } of directories) {
      if (folders.has(ino)) continue;
      const above = parent === null ? undefined : folders.get(parent);
      const parentId = above?.id ?? remoteIdOf(to.directory);
      const isTop = above === undefined;
      const folder =
        isTop && replaced !== null ? replaced : await provider.createFolder(parentId, isTop ? to.name : name);
      listings.changes.note('folder', folder.id);
      folders.set(ino, folder);
    }
  }

  async #copyFiles(
    inos: readonly Ino[],
    { replaced, folders, copies, rows }: Progress,
    caller?: Caller,
  ): Promise<void> {
    const limit = pLimit(PARALLEL_COPIES);
    const [{ id: top } = { id: '' }] = folders.values();
    const copyOne = async (ino: Ino): Promise<void> => {
      const file = inodeOf(this.#core, ino);
      const from = remoteFileOf(file);
      const folder = file.parent === null ? undefined : folders.get(file.parent);
      if (from === null || folder === undefined) return;
      const before = copies.get(ino);
      if (before !== undefined && isSameRevision(before.from, from)) return;
      if (before !== undefined) {
        // A newer version was stored since.
        copies.delete(ino);
        rows.delete(before.row);
        await this.#copies.remove(before.row, before.stored, () => this.#disposal.dispose(before.stored));
      }
      let row = 0;
      const copying = this.#byCopy.copy(
        file,
        from,
        { parentId: folder.id, name: from.name },
        (copy) => {
          row = this.#copies.begin({ ...copy, parentId: folder.id, name: from.name, top, keepsTop: replaced !== null });
          rows.add(row);
        },
        caller,
      );
      const copied = await copying.catch((error: unknown) => {
        if (rows.has(row) && !mayBeStored(error)) {
          rows.delete(row);
          this.#copies.drop(row);
        }
        throw error;
      });
      copies.set(ino, { ...copied, row });
    };
    const results = await Promise.allSettled(inos.map((ino) => limit(() => copyOne(ino))));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Makes writes that came after the copies durable, so that the journal rows can name the copies as bases. */
  async #syncChanged(copies: readonly JournaledCopy[]): Promise<Map<Ino, SpoolState>> {
    const contents = new Map<Ino, SpoolState>();
    for (const { state } of copies) {
      const { spool } = state;
      if (spool === null || !state.dirty) continue;
      await this.#contents.fill(state, spool);
      contents.set(state.ino, spool.state());
      await spool.sync();
    }
    return contents;
  }

  /**
   * Gives the directory its new name, and everything below it its new object, in one transaction. False: there is more to copy. ENOTEMPTY
   * if the directory to be replaced has got an entry.
   */
  #commit(
    source: Inode,
    { directory, name, target }: NewPlace,
    done: Progress,
    contents: ReadonlyMap<Ino, SpoolState>,
  ): boolean {
    const { folders, copies } = done;
    const old = remoteFolderOf(source);
    const { table, directories, journal, clock } = this.#core;
    if (!this.#isComplete(source.ino, folders, copies, contents)) return false;
    if (target !== undefined) this.#requireOnlyCopies(target, folders, copies);
    table.transaction(() => {
      if (target !== undefined) table.update(target.ino, { parent: null, remote: null });
      for (const [ino, folder] of folders) {
        const { remote, overlay } = inodeOf(this.#core, ino);
        dropDuplicate(this.#core, ino, folder);
        // In the same update: under its new name in its old folder, it would take over the metadata of the entry with that name there.
        const place = ino === source.ino ? { parent: directory.ino, name } : {};
        table.update(ino, { ...place, remote: folder, overlay: withTimes(overlay, remote) });
      }
      for (const [ino, { from, stored, state, row }] of copies) {
        const { overlay } = inodeOf(this.#core, ino);
        dropDuplicate(this.#core, ino, stored);
        table.update(ino, { remote: stored, overlay: withTimes(overlay, from) });
        const content = contents.get(ino);
        if (state.spool !== null && content !== undefined) {
          state.spool.rebase(stored);
          journal.setContent(ino, state.spool.truncatedState(content), stored);
        }
        this.#copies.commit(row, from);
      }
      if (old !== null) done.left = this.#copies.leave(old);
      const { overlay } = inodeOf(this.#core, source.ino);
      const ctime = strictlyAfter(overlay.ctime, fromMs(clock.now()));
      table.update(source.ino, { parent: directory.ino, name, overlay: { ...overlay, ctime } });
    });
    for (const { from, stored, state } of copies.values()) {
      directories.changes.note('file', stored.id);
      directories.changes.note('file', from.id);
      noteMoved(this.#core, state, stored);
    }
    return true;
  }

  /** Is everything below the directory, as it is at this moment, copied? */
  #isComplete(
    source: Ino,
    folders: ReadonlyMap<Ino, RemoteFolder>,
    copies: ReadonlyMap<Ino, JournaledCopy>,
    contents: ReadonlyMap<Ino, unknown>,
  ): boolean {
    const { table, files } = this.#core;
    const directories = [source];
    for (const directory of directories) {
      if (!folders.has(directory)) return false;
      for (const { ino, kind, remote } of table.children(directory)) {
        if (kind === 'directory') directories.push(ino);
        if (kind !== 'file') continue;
        const state = files.state(ino);
        // An upload under way goes to the old path.
        if (state?.activeUpload != null) return false;
        const copy = copies.get(ino);
        if (remote?.kind === 'file' && (copy === undefined || !isSameRevision(copy.from, remote))) return false;
        if (copy !== undefined && state?.spool != null && state.dirty && !contents.has(ino)) return false;
      }
    }
    return true;
  }

  /** ENOTEMPTY if the directory to be replaced holds more than the copies, which a listing may have shown there. */
  #requireOnlyCopies(
    { ino, name }: Inode,
    folders: ReadonlyMap<Ino, RemoteFolder>,
    copies: ReadonlyMap<Ino, JournaledCopy>,
  ): void {
    const { table } = this.#core;
    const ours = new Set(
      [...folders.values(), ...[...copies.values()].map(({ stored }) => stored)].map(({ id }) => id),
    );
    const isFull =
      table.further.countIn(ino) > 0 || table.children(ino).some(({ remote }) => !ours.has(remote?.id ?? ''));
    if (isFull) throw new FsError('ENOTEMPTY', `${name} is not empty`);
  }

  async #removeOld(source: Inode, { copies, left }: Progress): Promise<void> {
    const limit = pLimit(PARALLEL_COPIES);
    await Promise.all(
      [...copies.values()].map((copied) =>
        limit(async () => {
          await this.#copies.remove(copied.row, copied.from, () => this.#byCopy.removeOriginal(copied));
          await this.#byCopy.cacheCopied(copied);
        }),
      ),
    );
    const old = remoteFolderOf(source);
    if (old !== null && left !== null) await this.#copies.removeLeft(left, old);
  }

  async #undo({ replaced, folders, copies, rows }: Progress): Promise<void> {
    for (const { state, spool, row, stored } of copies.values()) {
      await this.#copies.remove(row, stored, () => this.#disposal.dispose(stored));
      if (state.spool === spool) await this.#contents.discardUnchanged(state);
    }
    // Looks for copies that may be stored although their answers were lost.
    await this.#copies.undo(rows);
    const [top] = folders.values();
    if (top !== undefined) await this.#copies.removeMade(top, replaced !== null);
  }
}

/** An object that programs have not touched keeps its times, whatever the service says of the new object. */
function withTimes(overlay: Overlay, was: RemoteEntry | null): Overlay {
  const mtime = overlay.mtime ?? fromMs(was?.modified ?? 0);
  return { ...overlay, mtime, ctime: overlay.ctime ?? mtime };
}
