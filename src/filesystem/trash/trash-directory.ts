/**
 * The trash directories of a mount (`.Trash-$uid`, freedesktop.org trash specification 1.0): nothing in them is stored at the service.
 *
 * `files/` shows the service's trash. A rename into it moves an object to the trash, a rename out of it restores the object, and a
 * removal there is for ever. `info/` has a file for each object: the one that a program wrote, or one made up from what is known.
 */
import { forEachInTurns, mapInTurns } from '../../base/event-loop-turns.js';
import type { MaybePromise } from '../../base/maybe-promise.js';
import { fromMs, type Timespec } from '../../base/timespec.js';
import type { Ino } from '../../tree/inode.js';
import type { AttributeChange, Attributes, Caller, DirectoryEntry, HandleId, OpenFlags, OpenResult } from '../api.js';
import type { Core } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { Notes } from './notes.js';
import type { Trash } from './trash.js';
import { formatTrashInfo, infoNameOf, itemNameOf, trashOwner } from './trash-info.js';
import { type TrashFolder, type TrashNode, TrashNodes } from './trash-nodes.js';
import type { NoteFolder, TrashItem } from './trash-records.js';

type FolderNode = TrashNode & { readonly type: 'folder' };

/** The trash is private: the kernel checks these modes. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

export class TrashDirectory {
  readonly nodes = new TrashNodes();
  readonly notes: Notes;
  readonly trash: Trash;
  readonly #core: Core;
  readonly #root: Ino;
  /** Objects that gvfs is about to delete: their names in the list, by their names in `expunged/`. */
  readonly #expunged = new Map<string, string>();
  /** Names of objects whose made-up info file a program has removed. */
  readonly #withoutInfo = new Set<string>();
  #changed: Timespec;

  constructor(core: Core, trash: Trash, root: Ino) {
    this.#core = core;
    this.#root = root;
    this.trash = trash;
    this.notes = new Notes(trash.records, core.clock);
    this.#changed = fromMs(core.clock.now());
  }

  /**
   * The trash directory of that name in the mount's root; undefined if there is none. An object of the account with such a name (an
   * earlier version of the program let file managers make one) is shown as it is.
   */
  atRoot(name: string): TrashNode | undefined {
    const uid = trashOwner(name);
    if (uid === undefined || this.#core.options.readOnly) return undefined;
    if (this.#core.table.child(this.#root, name) !== undefined) return undefined;
    return this.trash.isThere ? { uid, type: 'folder', folder: 'top' } : { uid, type: 'none' };
  }

  attributes(node: TrashNode): Attributes {
    const common = {
      ino: this.nodes.inoOf(node),
      uid: node.uid,
      gid: this.#core.options.gid,
      atime: this.#changed,
      mtime: this.#changed,
      ctime: this.#changed,
      size: 0,
    };
    switch (node.type) {
      case 'folder':
        return { ...common, kind: 'directory', mode: DIRECTORY_MODE, nlink: 2 };
      case 'none':
        return { ...common, kind: 'file', mode: 0, nlink: 1 };
      case 'note':
        return { ...common, kind: 'file', mode: FILE_MODE, nlink: 1, size: this.#noteSize(node.folder, node.name) };
      case 'item': {
        const item = this.trash.records.of(node);
        if (item === undefined) throw new FsError('ESTALE', 'it is not in the trash any more');
        return this.#attributesOfItem(node.uid, item, node.folder);
      }
    }
  }

  #attributesOfItem(uid: number, item: TrashItem, folder: 'files' | 'expunged'): Attributes {
    const { entry, ino } = item;
    const mtime = (ino === null ? null : this.#core.table.get(ino)?.overlay.mtime) ?? fromMs(entry.modified);
    const isFile = entry.kind === 'file';
    return {
      ino: this.nodes.inoOf({ uid, type: 'item', kind: entry.kind, id: entry.id, folder }),
      ...{ uid, gid: this.#core.options.gid, atime: mtime, mtime, ctime: fromMs(item.since) },
      kind: isFile ? 'file' : 'directory',
      mode: isFile ? FILE_MODE : DIRECTORY_MODE,
      nlink: isFile ? 1 : 2,
      size: isFile ? entry.size : 0,
    };
  }

  parentOf(node: TrashNode): Ino {
    const { uid } = node;
    if (node.type === 'none' || (node.type === 'folder' && node.folder === 'top')) return this.#root;
    const folder = node.type === 'folder' ? 'top' : node.folder;
    return this.nodes.inoOf({ uid, type: 'folder', folder });
  }

  lookup(parent: TrashNode, name: string, caller?: Caller): MaybePromise<Attributes | undefined> {
    const { uid, folder } = requireFolder(parent);
    switch (folder) {
      case 'top':
        if (isFixed(name)) return this.attributes({ uid, type: 'folder', folder: name });
        return this.notes.size('top', name) === undefined ? undefined : this.#noteAttributes(uid, 'top', name);
      case 'info':
        return this.#hasInfo(name) ? this.#noteAttributes(uid, 'info', name) : undefined;
      case 'expunged': {
        const item = this.#expungedItem(name);
        return item === undefined ? undefined : this.#attributesOfItem(uid, item, folder);
      }
      case 'files':
        return this.#lookupItem(uid, name, caller);
    }
  }

  /** If a program has just written the info file of a name, the name is about to get its object: the service need not be asked for it. */
  #lookupItem(uid: number, name: string, caller: Caller | undefined): MaybePromise<Attributes | undefined> {
    const find = (): Attributes | undefined => {
      const item = this.#item(name);
      return item === undefined ? undefined : this.#attributesOfItem(uid, item, 'files');
    };
    const found = find();
    if (found !== undefined || this.notes.size('info', infoNameOf(name)) !== undefined) return found;
    return this.trash.ensureListed(caller).then(find);
  }

  async readdir(node: TrashNode, caller?: Caller): Promise<readonly DirectoryEntry[]> {
    const { uid, folder } = requireFolder(node);
    if (folder === 'files' || folder === 'info') await this.trash.ensureListed(caller);
    return (await this.#entries(uid, folder)).sort((a, b) => a.attributes.ino - b.attributes.ino);
  }

  /** Gives turns to the event loop in between, because a trash may hold thousands. */
  async #entries(uid: number, folder: TrashFolder): Promise<DirectoryEntry[]> {
    const written = (of: NoteFolder): Promise<DirectoryEntry[]> =>
      mapInTurns(this.trash.records.notes(of), ({ name }) => ({
        name,
        attributes: this.#noteAttributes(uid, of, name),
      }));
    switch (folder) {
      case 'top': {
        const shown: TrashFolder[] = this.#expunged.size > 0 ? ['files', 'info', 'expunged'] : ['files', 'info'];
        const folders = shown.map((name) => ({
          name,
          attributes: this.attributes({ uid, type: 'folder', folder: name }),
        }));
        return [...folders, ...(await written('top'))];
      }
      case 'files':
        return mapInTurns(this.#items(), (item) => ({
          name: item.name,
          attributes: this.#attributesOfItem(uid, item, folder),
        }));
      case 'expunged':
        return [...this.#expunged.keys()].flatMap((name) => {
          const item = this.#expungedItem(name);
          return item === undefined ? [] : [{ name, attributes: this.#attributesOfItem(uid, item, folder) }];
        });
      case 'info': {
        const notes = await written('info');
        const names = new Set(notes.map(({ name }) => name));
        await forEachInTurns(this.#items(), (item) => {
          const name = infoNameOf(item.name);
          if (names.has(name) || !this.#hasInfo(name)) return;
          notes.push({ name, attributes: this.#noteAttributes(uid, 'info', name) });
        });
        return notes;
      }
    }
  }

  /** The objects that `files/` shows. */
  #items(): TrashItem[] {
    const expunged = new Set(this.#expunged.values());
    return this.trash.items().filter(({ name }) => !expunged.has(name));
  }

  #item(name: string): TrashItem | undefined {
    const item = this.trash.records.named(name);
    if (item === undefined || this.trash.pathOf(item) === null) return undefined;
    return [...this.#expunged.values()].includes(name) ? undefined : item;
  }

  #expungedItem(name: string): TrashItem | undefined {
    const listed = this.#expunged.get(name);
    return listed === undefined ? undefined : this.trash.records.named(listed);
  }

  #noteAttributes(uid: number, folder: NoteFolder, name: string): Attributes {
    return this.attributes({ uid, type: 'note', folder, name });
  }

  #hasInfo(name: string): boolean {
    return this.notes.size('info', name) !== undefined || this.#madeUp('info', name) !== undefined;
  }

  /** The made-up info file of an object for which no program has written one. */
  #madeUp(folder: NoteFolder, name: string): Uint8Array | undefined {
    const of = folder === 'info' ? itemNameOf(name) : undefined;
    if (of === undefined || this.#withoutInfo.has(of)) return undefined;
    const item = this.#item(of);
    const path = item === undefined ? null : this.trash.pathOf(item);
    return item === undefined || path === null ? undefined : Buffer.from(formatTrashInfo(path, item.since));
  }

  #noteSize(folder: NoteFolder, name: string): number {
    const size = this.notes.size(folder, name) ?? this.#madeUp(folder, name)?.length;
    if (size === undefined) throw new FsError('ESTALE', `${name} was removed`);
    return size;
  }

  /** Sets the sizes of notes only. Modes and times of the trash are its own, and stay. */
  setattr(node: TrashNode, { size }: AttributeChange): Attributes {
    if (size !== undefined) {
      if (node.type !== 'note') throw new FsError('EPERM', 'what is in the trash does not change');
      const { folder, name } = node;
      this.notes.truncate(folder, name, size, this.#madeUp(folder, name) ?? new Uint8Array());
    }
    return this.attributes(node);
  }

  open(node: TrashNode, flags: OpenFlags): OpenResult {
    // The service lets nobody read from its trash.
    if (node.type !== 'note') throw new FsError('EPERM', 'what is in the trash cannot be opened; restore it first');
    const { folder, name } = node;
    if (!this.#exists(folder, name)) throw new FsError('ESTALE', `${name} was removed`);
    const handle = this.notes.open(folder, name, flags, this.#madeUp(folder, name) ?? new Uint8Array());
    return { handle, keepCache: false };
  }

  create(parent: TrashNode, name: string | null, flags: OpenFlags): OpenResult & { readonly attributes: Attributes } {
    const { uid, folder } = requireFolder(parent);
    if (name === null || (folder !== 'top' && folder !== 'info')) throw new FsError('EPERM', onlyMoves);
    const node: TrashNode = { uid, type: 'note', folder, name };
    if (this.#exists(folder, name)) {
      if (flags.exclusive) throw new FsError('EEXIST', `${name} exists`);
      return { ...this.open(node, flags), attributes: this.attributes(node) };
    }
    const handle: HandleId = this.notes.create(folder, name, flags);
    return { handle, keepCache: false, attributes: this.attributes(node) };
  }

  #exists(folder: NoteFolder, name: string): boolean {
    return folder === 'info' ? this.#hasInfo(name) : isFixed(name) || this.notes.size(folder, name) !== undefined;
  }

  async unlink(parent: TrashNode, name: string, caller?: Caller): Promise<void> {
    const { folder } = requireFolder(parent);
    if (folder === 'files' || folder === 'expunged') return this.#removeItem(folder, name, 'file', caller);
    if (folder === 'top' && isFixed(name)) throw new FsError('EISDIR', `${name} is a directory`);
    if (!this.#exists(folder, name)) throw new FsError('ENOENT', `${name} does not exist`);
    const of = folder === 'info' ? itemNameOf(name) : undefined;
    if (of !== undefined && this.trash.records.named(of) !== undefined) this.#withoutInfo.add(of);
    this.notes.remove(folder, name);
  }

  async rmdir(parent: TrashNode, name: string, caller?: Caller): Promise<void> {
    const { folder } = requireFolder(parent);
    if (folder === 'files' || folder === 'expunged') return this.#removeItem(folder, name, 'folder', caller);
    if (folder === 'top' && isFixed(name)) throw new FsError('EBUSY', `${name} is always there`);
    throw new FsError(this.#exists(folder, name) ? 'ENOTDIR' : 'ENOENT', `${name} is no directory`);
  }

  async #removeItem(
    folder: 'files' | 'expunged',
    name: string,
    kind: 'file' | 'folder',
    caller: Caller | undefined,
  ): Promise<void> {
    const item = folder === 'files' ? this.#item(name) : this.#expungedItem(name);
    if (item === undefined) throw new FsError('ENOENT', `${name} does not exist`);
    if (item.entry.kind !== kind) throw new FsError(kind === 'file' ? 'EISDIR' : 'ENOTDIR', `${name} is no ${kind}`);
    try {
      await this.trash.remove(item, caller);
    } finally {
      this.#settled(item.name);
    }
  }

  /** Call this when an object has left the trash, or could not be removed: then it is shown again. */
  #settled(name: string): void {
    this.#withoutInfo.delete(name);
    for (const [as, listed] of this.#expunged) if (listed === name) this.#expunged.delete(as);
    this.#changed = fromMs(this.#core.clock.now());
  }

  /** Moves an object from a directory of the account into the trash. */
  async moveIn(parent: Ino, name: string, to: TrashNode, newName: string, caller?: Caller): Promise<void> {
    const { folder } = requireFolder(to);
    if (folder !== 'files') throw new FsError('EPERM', 'objects go to files/');
    await this.trash.moveIn(parent, name, newName, caller);
    this.#withoutInfo.delete(newName);
    this.#changed = fromMs(this.#core.clock.now());
    // The kernel still has the object's old inode under this name: it must look the name up again.
    const filesIno = this.nodes.inoOf(to);
    setImmediate(() => this.#core.invalidate({ kind: 'entry', parent: filesIno, name: newName }));
  }

  /** Moves an object from the trash to a directory of the account. */
  async moveOut(from: TrashNode, name: string, parent: Ino, newName: string, caller?: Caller): Promise<void> {
    const { folder } = requireFolder(from);
    if (folder !== 'files' && folder !== 'expunged') throw new FsError('EXDEV', 'the account does not hold this file');
    const item = folder === 'files' ? this.#item(name) : this.#expungedItem(name);
    if (item === undefined) throw new FsError('ENOENT', `${name} does not exist`);
    await this.trash.restoreTo(item, parent, newName, caller);
    this.#settled(item.name);
  }

  /** Renames within the trash. */
  renameWithin(from: TrashNode, name: string, to: TrashNode, newName: string, noReplace: boolean): void {
    const [source, target] = [requireFolder(from).folder, requireFolder(to).folder];
    if (source === target && (source === 'info' || source === 'top')) {
      if (source === 'top' && (isFixed(name) || isFixed(newName)))
        throw new FsError('EBUSY', `${name} is always there`);
      if (!this.#exists(source, name)) throw new FsError('ENOENT', `${name} does not exist`);
      if (noReplace && this.#exists(source, newName)) throw new FsError('EEXIST', `${newName} exists`);
      const content = this.#madeUp(source, name) ?? new Uint8Array();
      this.notes.rename(source, name, newName, content);
      return;
    }
    if (source !== 'files' || (target !== 'files' && target !== 'expunged')) throw new FsError('EPERM', onlyMoves);
    const item = this.#item(name);
    if (item === undefined) throw new FsError('ENOENT', `${name} does not exist`);
    if (target === 'files') this.trash.rename(item, newName);
    else this.#expunge(item, newName);
  }

  /** gvfs begins a removal in this way. It tells its user of a failure here, but ignores a failure of the removal that follows. */
  #expunge(item: TrashItem, as: string): void {
    const { provider } = this.#core;
    if (this.#expunged.has(as)) throw new FsError('EEXIST', `${as} exists`);
    if (!provider.capabilities.permanentDelete) throw new FsError('EPERM', `${provider.name} does not delete`);
    this.#expunged.set(as, item.name);
  }
}

const onlyMoves = 'nothing is made in the trash: objects are moved there';

function requireFolder(node: TrashNode): FolderNode {
  if (node.type === 'folder') return node;
  if (node.type !== 'item' || node.kind !== 'folder') throw new FsError('ENOTDIR', 'not a directory');
  // No service tells the content of a folder in the trash.
  throw new FsError('EPERM', 'what is in the trash does not change');
}

function isFixed(name: string): name is 'files' | 'info' | 'expunged' {
  return name === 'files' || name === 'info' || name === 'expunged';
}
