/** Brings objects back from the service's trash, to their old place or to a chosen one, and removes them there for ever. */
import { randomBytes } from 'node:crypto';
import { codeOf, messageOf } from '../../base/errors.js';
import { fromMs, strictlyAfter } from '../../base/timespec.js';
import type { RemoteEntry } from '../../providers/provider.js';
import { type Ino, type Inode, remoteFolderOf } from '../../tree/inode.js';
import { withMark } from '../../tree/local-names.js';
import type { Caller } from '../api.js';
import type { SpaceAccounting } from '../attributes/statfs.js';
import { type Core, directoryOf, requireWritable } from '../core/core.js';
import { dropDuplicate } from '../core/drop-duplicate.js';
import { FsError } from '../core/fs-error.js';
import { type Namespace, remoteIdOf } from '../names/namespace.js';
import type { TrashItem, TrashRecords } from './trash-records.js';

/** Before the umask. */
const NEW_DIRECTORY_MODE = 0o777;

const nameTaken = 'its old place has another one of its name: move or rename that first';

/** `root`: the mounted directory. */
export function accountRootOf({ table }: Pick<Core, 'table'>, root: Ino): Ino {
  return [...table.upwards(root)].at(-1)?.ino ?? root;
}

export interface RestoringParts {
  readonly namespace: Namespace;
  readonly space: SpaceAccounting;
}

export class Restoring {
  readonly #core: Core;
  readonly #parts: RestoringParts;
  readonly #records: TrashRecords;
  readonly #accountRoot: Ino;

  /** `root`: the mounted directory. */
  constructor(core: Core, parts: RestoringParts, records: TrashRecords, root: Ino) {
    this.#core = core;
    this.#accountRoot = accountRootOf(core, root);
    this.#parts = parts;
    this.#records = records;
  }

  /**
   * Restores to this place: one request for the old place, two for any other. EEXIST if the name is taken: a restore never replaces
   * anything.
   */
  async restoreTo(given: TrashItem, parent: Ino, name: string, caller: Caller | undefined): Promise<void> {
    const { table } = this.#core;
    const directory = await this.#parts.namespace.requireFree(parent, name, caller);
    const item = this.#comingTo(given, remoteIdOf(directory));
    if (item.ino !== null && table.isWithin(parent, item.ino))
      throw new FsError('EINVAL', 'a directory cannot come back into itself');
    const { entry } = item;
    // An object with a name that no directory can hold is shown under another one, and that is no wish to rename it.
    const remoteName = name === table.get(item.ino ?? 0)?.name ? entry.name : name;
    const target = { parentId: remoteIdOf(directory), name: remoteName };
    const isOldFolder = entry.parentId === target.parentId;
    const back = await this.#untrash(item, isOldFolder ? remoteName : undefined, caller);
    const placed = await this.#place(back, target, caller);
    this.#applyPlaced(item, placed, directory, name);
  }

  /** A service that does not remember the old folder brings the object to the folder in its entry: that becomes the target. */
  #comingTo(item: TrashItem, parentId: string): TrashItem {
    if (this.#core.provider.capabilities.trashForgetsPlaces !== true) return item;
    return { ...item, entry: { ...item.entry, parentId } };
  }

  /** Restores to the old place, in folders that are made again if they are gone. */
  async restore(item: TrashItem, caller: Caller | undefined): Promise<void> {
    requireWritable(this.#core);
    const { table, directories, provider } = this.#core;
    if (provider.capabilities.trashForgetsPlaces === true) return this.#restoreToPath(item, caller);
    const back = await this.#untrash(item, undefined, caller, 'refuse');
    directories.changes.note(back.kind, back.id);
    const folder = back.parentId === null ? undefined : table.byRemote('folder', back.parentId);
    if (folder !== undefined) this.#appeared(folder.ino, back.name);
    const isFree = folder !== undefined && table.child(folder.ino, back.name) === undefined;
    // The record goes as the row gets its place: until then it keeps the row, with the attributes.
    if (isFree && item.ino !== null && remoteFolderOf(folder) !== null)
      return this.#applyPlaced(item, back, folder, back.name);
    this.#records.remove(item.entry);
    // The next look at the folder lists it, and finds the row.
    if (folder !== undefined) directories.expire(folder.ino);
  }

  /** Restores to the old path. An object that was removed elsewhere comes to the root, because nobody knows its old place. */
  async #restoreToPath(item: TrashItem, caller: Caller | undefined): Promise<void> {
    const { namespace } = this.#parts;
    const path = item.path ?? [item.entry.name];
    let parent = this.#accountRoot;
    for (const name of path.slice(0, -1)) {
      const found = await namespace.lookup(parent, name, caller);
      if (found !== undefined && found.kind !== 'directory')
        throw new FsError('ENOTDIR', `${name} is no directory now`);
      if (found === undefined) this.#appeared(parent, name);
      parent = (found ?? (await namespace.mkdir(parent, name, NEW_DIRECTORY_MODE, caller))).ino;
    }
    const name = path.at(-1) ?? item.name;
    if ((await namespace.lookup(parent, name, caller)) !== undefined) throw new FsError('EEXIST', nameTaken);
    await this.restoreTo(item, parent, name, caller);
    this.#appeared(parent, name);
  }

  /** No call of the kernel brought the name back, and the kernel may have cached that it was missing. */
  #appeared(parent: Ino, name: string): void {
    setImmediate(() => this.#core.invalidate({ kind: 'entry', parent, name }));
  }

  /** Removes the object for ever. One that is gone already is no error. */
  async remove(item: TrashItem, caller: Caller | undefined): Promise<void> {
    requireWritable(this.#core);
    const { provider, table } = this.#core;
    const { entry, ino } = item;
    try {
      await provider.remove(entry, { signal: caller?.signal, deadline: caller?.deadline });
      this.#parts.space.emptied();
    } catch (error) {
      if (codeOf(error) === 'unsupported') throw new FsError('EPERM', messageOf(error), { cause: error });
      if (codeOf(error) !== 'not-found') throw error;
    }
    table.transaction(() => {
      this.#records.remove(entry);
      if (ino !== null && table.get(ino)?.parent === null) table.update(ino, { remote: null });
    });
  }

  /**
   * One request. If the old name is taken in the old folder, the object comes back under a unique one, and the caller moves it (`refuse`:
   * EEXIST).
   */
  async #untrash(
    { entry }: TrashItem,
    name: string | undefined,
    caller: Caller | undefined,
    whenTaken: 'refuse' | 'mark' = 'mark',
  ): Promise<RemoteEntry> {
    const { provider } = this.#core;
    const options = { signal: caller?.signal, deadline: caller?.deadline };
    try {
      return await provider.untrash(entry, name === undefined ? options : { ...options, name });
    } catch (error) {
      if (codeOf(error) === 'not-found') this.#records.remove(entry);
      if (codeOf(error) !== 'exists' || name !== undefined) throw error;
      if (whenTaken === 'refuse') throw new FsError('EEXIST', nameTaken, { cause: error });
      const mark = ` (restored ${randomBytes(4).toString('hex')})`;
      return await provider.untrash(entry, { ...options, name: withMark(entry.name, mark) });
    }
  }

  /**
   * Moves a restored object to its target, unless it is there. If that fails, the object stays where it is, and the next listing shows
   * it.
   */
  async #place(
    back: RemoteEntry,
    target: { readonly parentId: string; readonly name: string },
    caller: Caller | undefined,
  ): Promise<RemoteEntry> {
    if (back.parentId === target.parentId && back.name === target.name) return back;
    const { provider, table, directories } = this.#core;
    try {
      return await provider.move(back, target, { deadline: caller?.deadline });
    } catch (error) {
      this.#records.remove(back);
      const folder = back.parentId === null ? undefined : table.byRemote('folder', back.parentId);
      if (folder !== undefined) directories.expire(folder.ino);
      throw error;
    }
  }

  #applyPlaced({ entry, ino }: TrashItem, placed: RemoteEntry, directory: Inode, name: string): void {
    const { table, directories, clock } = this.#core;
    const parent = directoryOf(this.#core, directory.ino).ino;
    const now = fromMs(clock.now());
    const fields = { parent, name, remote: placed };
    const made = table.transaction(() => {
      this.#records.remove(entry);
      const existing = (ino === null ? undefined : table.get(ino)) ?? table.byRemote(placed.kind, placed.id);
      if (existing === undefined)
        return table.insert({ kind: placed.kind === 'file' ? 'file' : 'directory', ...fields });
      dropDuplicate(this.#core, existing.ino, placed);
      const { overlay } = existing;
      return table.update(existing.ino, {
        ...fields,
        overlay: { ...overlay, ctime: strictlyAfter(overlay.ctime, now) },
      });
    });
    directories.changes.note(placed.kind, placed.id);
    // Other clients may have changed the folder while it was out of sight.
    if (made.kind === 'directory' && made.listedAt !== null) directories.expire(made.ino);
    this.#parts.namespace.touchDirectory(parent);
  }
}
