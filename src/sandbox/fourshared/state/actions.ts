/** The operations that change the account. Requests and the tests' store share them. */

import type { BlobStore, StoredContent } from '../../content/blobs.js';
import * as refuse from '../errors.js';
import type { Account } from './account.js';
import { newFolder } from './account.js';
import type { FileItem, FolderItem, Item } from './items.js';
import { isIncomplete } from './items.js';
import { checkName, type Rules } from './rules.js';

export interface Placement {
  folder: FolderItem;
  name: string;
}

export class Actions {
  constructor(
    readonly account: Account,
    readonly rules: Rules,
    readonly blobs: BlobStore,
  ) {}

  createFolder(parent: FolderItem, name: string, description = ''): FolderItem {
    const { account, rules } = this;
    rules.assertLive(parent);
    rules.assertWritable(parent);
    rules.assertFree(parent, checkName(name, 'name'));
    rules.assertFolderCount(parent);
    const folder = newFolder(account.newId('folder'), name, parent.id, account.now());
    folder.description = description;
    account.add(folder);
    return folder;
  }

  /** Throws the error that a new file here would get. `size` is checked if known. */
  checkNewFile({ folder, name }: Placement, size = 0): void {
    this.rules.assertLive(folder);
    this.rules.assertWritable(folder);
    this.rules.assertFree(folder, name);
    this.rules.assertFileCount(folder);
    this.rules.assertRoom(size);
  }

  /** Makes stored content a file. Takes over the content's reference, and releases it if the file is refused. */
  addFile(place: Placement, content: StoredContent): FileItem {
    const { account } = this;
    try {
      if (account.items.get(place.folder.id) !== place.folder) throw refuse.notFound();
      this.checkNewFile(place, content.size);
    } catch (error) {
      this.blobs.release(content.blob);
      throw error;
    }
    const file = newFile(account, place, content.size);
    file.blob = content.blob;
    file.md5 = content.md5;
    account.add(file);
    return file;
  }

  checkNewVersion(file: FileItem, place: Placement, size = 0): void {
    this.rules.assertLive(file);
    this.rules.assertWritable(file);
    this.rules.assertRoom(size, size - file.size);
    this.checkPlace(file, place);
  }

  /** Replaces a file's content under its id. Takes over the content's reference like `addFile`. */
  replace(file: FileItem, place: Placement, content: StoredContent): void {
    const { account } = this;
    try {
      if (account.items.get(file.id) !== file) throw refuse.notFound();
      this.checkNewVersion(file, place, content.size);
    } catch (error) {
      this.blobs.release(content.blob);
      throw error;
    }
    const old = file.blob;
    account.change(file, () => {
      Object.assign(file, { size: content.size, md5: content.md5, blob: content.blob, modified: account.now() });
      Object.assign(file, { name: place.name, parentId: place.folder.id, uploaded: account.nextUpload() });
    });
    if (old) this.blobs.release(old);
  }

  /** Throws if the item must not be placed there. */
  checkPlace(item: Item, { folder, name }: Placement): void {
    const { account, rules } = this;
    checkName(name, 'name');
    rules.assertLive(folder);
    rules.assertWritable(folder);
    rules.assertFree(folder, name, item);
    if (item.parentId === folder.id) return;
    if (item.kind === 'folder') {
      rules.assertNotInside(folder, item);
      rules.assertFolderCount(folder, 0);
    } else if (!isIncomplete(item)) rules.assertFileCount(folder, 0);
    if (account.items.get(folder.id) !== folder) throw refuse.notFound();
  }

  /** Renames, moves, or both. Returns a new item if a move makes one (reading `moveKeepsId`). */
  relocate(item: Item, place: Placement): Item {
    const { account, rules } = this;
    rules.assertNotRoot(item);
    rules.assertLive(item);
    rules.assertWritable(item);
    this.checkPlace(item, place);
    const modified = account.readings.renameChangesModified ? account.now() : item.modified;
    const moves = item.parentId !== place.folder.id;
    if (moves && !account.readings.moveKeepsId && !(item.kind === 'file' && isIncomplete(item))) {
      const copy = this.#duplicate(item, place, (original) => (original === item ? modified : original.modified));
      this.purge(item);
      return copy;
    }
    account.change(item, () => Object.assign(item, { name: place.name, parentId: place.folder.id, modified }));
    return item;
  }

  copy(item: Item, place: Placement): Item {
    const { account, rules } = this;
    rules.assertLive(item);
    rules.assertLive(place.folder);
    rules.assertWritable(place.folder);
    if (item.kind === 'file' && isIncomplete(item)) throw refuse.notFound();
    rules.assertFree(place.folder, checkName(place.name, 'name'));
    if (item.kind === 'file') {
      rules.assertFileCount(place.folder);
      rules.assertRoom(item.size);
    } else {
      rules.assertNotInside(place.folder, item);
      const inside = [...account.inside(item)];
      const files = inside.filter((entry) => entry.kind === 'file');
      rules.assertFolderCount(place.folder, inside.length - files.length + 1);
      rules.assertRoom(
        0,
        files.reduce((sum, file) => sum + file.size, 0),
      );
    }
    return this.#duplicate(item, place, () => account.now());
  }

  trash(item: Item): void {
    const { account, rules } = this;
    rules.assertNotRoot(item);
    rules.assertLive(item);
    rules.assertWritable(item);
    const parent = account.parent(item);
    const mark = { parentId: item.parentId ?? '', folders: parent ? account.names(parent) : [] };
    account.change(item, () => {
      item.trashed = mark;
    });
  }

  /** "If its parent folder no longer exists, a new folder is created." */
  untrash(item: Item, name = item.name): void {
    const { account, rules } = this;
    const mark = item.trashed;
    if (!mark) throw refuse.notInTrash();
    checkName(name, 'name');
    const old = account.folder(mark.parentId);
    const parent = old && !account.isTrashed(old) ? old : this.#makePath(mark.folders);
    rules.assertWritable(parent);
    rules.assertFree(parent, name);
    account.change(item, () => {
      delete item.trashed;
      Object.assign(item, { name, parentId: parent.id });
    });
  }

  /** DELETE: removes for ever or, as a reading, moves to the trash first. */
  delete(item: Item): void {
    this.rules.assertNotRoot(item);
    this.rules.assertWritable(item);
    if (this.account.readings.deleteGoesTo === 'trash' && !this.account.isTrashed(item)) this.trash(item);
    else this.purge(item);
  }

  /** Removes an item and everything inside it, contents included. */
  purge(item: Item): void {
    if (item.kind === 'folder') for (const inner of [...this.account.inside(item)].reverse()) this.#drop(inner);
    this.#drop(item);
  }

  #drop(item: Item): void {
    this.account.remove(item);
    if (item.kind !== 'file') return;
    if (item.blob) this.blobs.release(item.blob);
    if (item.upload) this.blobs.release(item.upload.blob);
  }

  #makePath(names: readonly string[]): FolderItem {
    let folder = this.account.root;
    for (const name of names) {
      const found = this.account.index(folder.id).named(name);
      if (found?.kind === 'file') throw refuse.nameExists(name);
      folder = found ?? this.createFolder(folder, name);
    }
    return folder;
  }

  #duplicate(item: Item, { folder, name }: Placement, modified: (original: Item) => number): Item {
    const { account, blobs } = this;
    const children = item.kind === 'folder' ? this.#children(item) : [];
    const copy: Item = { ...item, id: account.newId(item.kind), name, parentId: folder.id, modified: modified(item) };
    if (copy.kind === 'file') {
      if (copy.blob) blobs.retain(copy.blob);
      copy.uploaded = account.nextUpload();
      delete copy.upload;
    }
    account.add(copy);
    if (copy.kind === 'folder')
      for (const child of children) this.#duplicate(child, { folder: copy, name: child.name }, modified);
    copy.modified = modified(item);
    return copy;
  }

  #children(folder: FolderItem): Item[] {
    const index = this.account.index(folder.id);
    return [...index.allFolders(), ...[...index.allFiles()].filter((file) => !isIncomplete(file))];
  }
}

export function newFile(account: Account, { folder, name }: Placement, size: number): FileItem {
  return {
    kind: 'file',
    id: account.newId('file'),
    name,
    parentId: folder.id,
    size,
    md5: '',
    modified: account.now(),
    uploaded: account.nextUpload(),
    description: null,
    tags: [],
    ownerOnly: false,
  };
}
