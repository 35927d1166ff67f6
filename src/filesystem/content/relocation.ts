/**
 * Keeps unstored content reachable: it has a path in the mount, and a folder at the provider by the time of its upload,
 * whatever other clients do to its folder.
 *
 * A directory that holds unstored content and is gone at the provider stays here as a directory that is not stored
 * either. It is created again before the first upload into it. If the provider refuses that, it moves into the rescue
 * directory at the root.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import { atOnce } from '../../base/event-loop-turns.js';
import type { ProviderErrorCode } from '../../providers/errors.js';
import type { RemoteFolder } from '../../providers/provider.js';
import { type Ino, type Inode, remoteFolderOf } from '../../tree/inode.js';
import { furtherNamesIn } from '../../tree/scan.js';
import { orAborted } from '../core/abortable.js';
import { conflictName } from '../core/conflict-name.js';
import { type Core, directoryOf, inodeOf, pathOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { orGone } from '../core/or-gone.js';

/** Errors of a folder's creation that a retry does not change. */
const refusals: ReadonlySet<string> = new Set<ProviderErrorCode>([
  'exists',
  'permission',
  'invalid-name',
  'limit',
  'unsupported',
]);

/** No inode has this number. */
const NOBODY: Ino = 0;

export class Relocation {
  readonly #core: Core;
  readonly #root: Ino;
  /** Folders that are being created again. */
  readonly #creating = new Map<Ino, Promise<RemoteFolder>>();
  readonly #locating = new Map<Ino, Promise<void>>();

  /** `root`: the mounted directory. */
  constructor(core: Core, root: Ino) {
    this.#core = core;
    this.#root = root;
  }

  /** Is there a path from the root to the object? */
  isReachable(ino: Ino): boolean {
    return this.#core.table.isRoot(this.#topOf(ino));
  }

  /** Gives a path to an object without one: it has lost its name, or a directory above it has. */
  relocate(ino: Ino): void {
    if (this.isReachable(ino)) return;
    const { table, log } = this.#core;
    const top = this.#topOf(ino);
    const former = top.remote?.parentId == null ? undefined : table.byRemote('folder', top.remote.parentId);
    const isThere = former !== undefined && former.ino !== top.ino && this.isReachable(former.ino);
    const directory = isThere ? former : this.#rescueDirectory();
    this.#place(top, directory.ino, top.kind === 'file' ? null : top.remote);
    log.warn(
      { ino },
      `${pathOf(this.#core, ino)} is not stored yet, and has lost its name at the provider: it is kept`,
    );
    if (top.kind === 'directory') this.locate(top.ino);
  }

  /** A directory with unstored content is missing in its parent's listing: finds out whether it moved or is gone. */
  locate(ino: Ino): void {
    if (this.#locating.has(ino)) return;
    const work = this.#locate(ino)
      // The next listing asks again, and so does the upload.
      .catch((error: unknown) => this.#core.log.info({ ino }, `where a folder is, is not known: ${messageOf(error)}`))
      .finally(() => this.#locating.delete(ino));
    this.#locating.set(ino, work);
  }

  /**
   * The provider's folder of a directory, created again if it is gone. The directory itself may be another one
   * afterwards.
   */
  ensureFolder(ino: Ino, signal?: AbortSignal): Promise<RemoteFolder> {
    const folder = remoteFolderOf(directoryOf(this.#core, ino));
    if (folder !== null) return Promise.resolve(folder);
    if (!this.isReachable(ino)) throw new FsError('ENOENT', 'the directory was removed');
    let work = this.#creating.get(ino);
    if (work === undefined) {
      work = this.#createAgain(ino).finally(() => this.#creating.delete(ino));
      this.#creating.set(ino, work);
    }
    return orAborted(work, signal);
  }

  /** The provider refused to store into a directory. True: the reason is that its folder is gone, or has another id by now. */
  async isFolderGone(ino: Ino, error: unknown): Promise<boolean> {
    const code = codeOf(error);
    if (code !== 'not-found' && code !== 'permission') return false;
    if (this.#core.provider.capabilities.folders === 'implied') return false;
    // A service may still find a folder by its id when a folder above it is gone.
    for (const at of this.#core.table.upwards(ino)) {
      const folder = remoteFolderOf(at);
      if (folder === null || folder.parentId === null) return false;
      if ((await orGone(this.#core.provider.stat(folder))) !== null) continue;
      // A rename here may have moved it by a copy meanwhile.
      if (this.#core.table.get(at.ino)?.remote?.id === folder.id) this.#markGone(at.ino);
      return true;
    }
    return false;
  }

  #topOf(ino: Ino): Inode {
    return [...this.#core.table.upwards(ino)].at(-1) ?? inodeOf(this.#core, ino);
  }

  async #locate(ino: Ino): Promise<void> {
    const { table, provider, directories } = this.#core;
    const directory = table.get(ino);
    const was = directory === undefined ? null : remoteFolderOf(directory);
    if (was === null || directory?.parent == null) return;
    const now = await orGone(provider.stat(was));
    if (remoteFolderOf(inodeOf(this.#core, ino))?.id !== was.id) return;
    if (now === null) return this.#markGone(ino);
    if (now.kind !== 'folder' || (now.parentId === was.parentId && now.name === was.name)) return;
    const to = now.parentId === null ? undefined : table.byRemote('folder', now.parentId);
    // The new parent was never listed, or cannot hold the directory: the directory stays in place until it can.
    if (to === undefined || !this.isReachable(to.ino) || table.isWithin(to.ino, ino))
      table.update(ino, { remote: now });
    else this.#place({ ...directory, name: now.name }, to.ino, now);
    directories.changes.note('folder', now.id);
  }

  async #createAgain(ino: Ino): Promise<RemoteFolder> {
    const { provider, table, clock } = this.#core;
    const { parent, name } = inodeOf(this.#core, ino);
    if (parent === null) throw new FsError('ENOENT', 'the directory was removed');
    const above = await this.ensureFolder(parent);
    try {
      const made = await provider.createFolder(above.id, name);
      return this.#adopt(ino, made, clock.now());
    } catch (error) {
      if (await this.isFolderGone(parent, error)) return this.#createAgain(ino);
      const code = codeOf(error) ?? '';
      if (!refusals.has(code)) throw error;
      const holder = code === 'exists' ? await this.#folderNamed(above, name) : undefined;
      if (holder !== undefined) return this.#adopt(ino, holder, null);
      const rescue = this.#rescueDirectory();
      if (parent === rescue.ino || ino === rescue.ino) throw error;
      this.#core.log.warn(
        { ino },
        `${name} cannot be made again: ${messageOf(error)}; its content moves to ${rescue.name}`,
      );
      this.#place(table.get(ino) ?? inodeOf(this.#core, ino), rescue.ino, null);
      return this.#createAgain(ino);
    }
  }

  async #folderNamed(parent: RemoteFolder, name: string): Promise<RemoteFolder | undefined> {
    const entries = await this.#core.provider.list(parent);
    return entries.find((entry): entry is RemoteFolder => entry.kind === 'folder' && entry.name === name);
  }

  /** Binds the directory to this folder. If another directory here is already bound to it, the content moves there. */
  #adopt(ino: Ino, remote: RemoteFolder, listedAt: number | null): RemoteFolder {
    const { table, directories } = this.#core;
    table.transaction(() => {
      const duplicate = table.byRemote('folder', remote.id);
      if (duplicate !== undefined && duplicate.ino !== ino && this.isReachable(duplicate.ino))
        return this.#merge(ino, duplicate.ino);
      if (duplicate !== undefined && duplicate.ino !== ino) table.update(duplicate.ino, { parent: null, remote: null });
      table.update(ino, { remote, listedAt });
    });
    directories.changes.note('folder', remote.id);
    return remote;
  }

  /** The folder is gone at the provider, with all its stored content. */
  #markGone(ino: Ino): void {
    const { table, directories } = this.#core;
    const { parent, name, remote } = inodeOf(this.#core, ino);
    const holding = table.directoriesOfUnstored();
    table.transaction(() => {
      if (!holding.has(ino)) {
        table.update(ino, { parent: null });
        return;
      }
      this.#markAllGone(ino, holding);
      // Another client may already have created it again.
      const again = table
        .children(parent ?? 0)
        .find((other) => other.ino !== ino && other.remote?.kind === 'folder' && other.remote.name === remote?.name);
      if (again === undefined) return;
      this.#merge(ino, again.ino);
      table.update(again.ino, { name });
      this.#forget(parent, again.name);
    });
    if (parent !== null) directories.expire(parent);
    this.#forget(parent, name);
  }

  #markAllGone(ino: Ino, holding: ReadonlySet<Ino>): void {
    const { table } = this.#core;
    table.update(ino, { remote: null, listedAt: null });
    for (const child of table.children(ino)) {
      if (child.kind === 'directory' && holding.has(child.ino)) this.#markAllGone(child.ino, holding);
      else if (child.localSize !== null) table.update(child.ino, { remote: null });
      else if (child.remote !== null) {
        table.update(child.ino, { parent: null });
        this.#forget(ino, child.name);
      }
    }
  }

  /** Moves all entries of one directory into another, which takes its place. */
  #merge(from: Ino, into: Ino): void {
    const { table } = this.#core;
    for (const child of table.children(from)) {
      const there = table.child(into, child.name);
      if (child.kind === 'directory' && there?.kind === 'directory') this.#merge(child.ino, there.ino);
      else this.#place(child, into, child.remote);
    }
    for (const link of atOnce(furtherNamesIn(table, from)))
      table.moveName(link, into, this.#freeName(into, link.name, NOBODY));
    const { parent, name } = inodeOf(this.#core, from);
    table.update(from, { parent: null, remote: null });
    this.#forget(parent, name);
  }

  /** Moves an object into a directory, under its name or a similar one. */
  #place({ ino, name, parent }: Inode, directory: Ino, remote: Inode['remote']): void {
    const { table } = this.#core;
    const free = this.#freeName(directory, name, ino);
    table.update(ino, { parent: directory, name: free, remote });
    this.#forget(parent, name);
    this.#forget(directory, free);
  }

  #freeName(directory: Ino, name: string, ino: Ino): string {
    const { table, clock, options, provider } = this.#core;
    const isFree = (candidate: string): boolean => [undefined, ino].includes(table.child(directory, candidate)?.ino);
    for (let at = clock.now(), free = name; ; at += 1000) {
      if (isFree(free)) return free;
      free = conflictName(name, new Date(at), options.host, provider.capabilities.maxNameLength);
    }
  }

  #rescueDirectory(): Inode {
    const { table, options } = this.#core;
    for (let count = 1; ; count++) {
      const name = `Rescued (${options.host.replaceAll('/', '_')})${count === 1 ? '' : ` ${count}`}`;
      const known = table.child(this.#root, name);
      if (known?.kind === 'directory') return known;
      if (known !== undefined) continue;
      const made = table.insert({ parent: this.#root, name, kind: 'directory' });
      this.#forget(this.#root, name);
      return made;
    }
  }

  /** Makes the kernel look the name up again. Not from inside a request on this directory. */
  #forget(parent: Ino | null, name: string): void {
    if (parent !== null) setImmediate(() => this.#core.invalidate({ kind: 'entry', parent, name }));
  }
}
