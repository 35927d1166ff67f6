/** The rules of the documents, as checks that throw the documented error. */
import * as refuse from '../errors.js';
import type { Settings } from '../options.js';
import type { Account } from './account.js';
import type { FileItem, FolderItem, Item } from './items.js';

/** "Max value: 255 symbols." A symbol counts as a UTF-16 unit, the strictest reading. */
export const longestName = 255;

export class Rules {
  constructor(
    readonly account: Account,
    readonly settings: Settings,
  ) {}

  file(id: string): FileItem {
    const file = this.account.file(id);
    if (!file) throw refuse.notFound();
    this.assertReadable(file);
    return file;
  }

  folder(id: string): FolderItem {
    const folder = this.account.folder(id);
    if (!folder) throw refuse.notFound();
    this.assertReadable(folder);
    return folder;
  }

  /** A folder to list or to add something to. It must not be in the trash. */
  liveFolder(id: string): FolderItem {
    const folder = this.folder(id);
    this.assertLive(folder);
    if (folder.locked) throw refuse.passwordProtected();
    return folder;
  }

  assertReadable(item: Item): void {
    for (const at of this.account.upwards(item))
      if (at !== item && at.kind === 'folder' && at.locked) throw refuse.passwordProtected();
  }

  assertLive(item: Item): void {
    if (this.account.isTrashed(item)) throw refuse.inTrash();
  }

  assertWritable(item: Item): void {
    for (const at of this.account.upwards(item)) {
      if (at.kind !== 'folder') continue;
      if (at.locked) throw refuse.passwordProtected();
      if (at.userPermissions === 'read') throw refuse.forbidden();
    }
  }

  assertNotRoot(folder: Item): void {
    if (folder.parentId === null) throw refuse.rootFolder();
  }

  /** Throws if another item has the name. */
  assertFree(folder: FolderItem, name: string, item?: Item): void {
    const holder = this.account.index(folder.id).named(name);
    if (holder && holder !== item) throw refuse.nameExists(name);
  }

  /** Throws if the target is the folder itself or inside it. */
  assertNotInside(target: FolderItem, folder: Item): void {
    for (const at of this.account.upwards(target))
      if (at === folder) throw refuse.badRequest('A folder may not be put into itself or into a folder inside it.');
  }

  /** `extra` bytes are added to the account. `size` is the file's size. */
  assertRoom(size: number, extra = size): void {
    if (size > this.settings.uploadSizeLimit) throw refuse.planLimit();
    if (this.account.usedBytes + extra > this.settings.quotaBytes) throw refuse.noSpace();
  }

  assertFileCount(folder: FolderItem, more = 1): void {
    const { filesInFolder = Infinity, files = Infinity } = this.settings.limits;
    if (this.account.index(folder.id).fileCount + 1 > filesInFolder) throw refuse.folderFull();
    if (this.account.fileCount + more > files) throw refuse.accountFull();
  }

  assertFolderCount(parent: FolderItem, more = 1): void {
    const { nestedFolders = Infinity, folders = Infinity } = this.settings.limits;
    if (this.account.names(parent).length + 1 > nestedFolders) throw refuse.tooDeep();
    if (this.account.folderCount + more > folders) throw refuse.tooManyFolders();
  }
}

/** Checks a name against the documents' limits. `field` is the parameter's name. */
export function checkName(name: string, field: string): string {
  if (name === '') throw refuse.empty(field);
  if (name.length > longestName) throw refuse.badLength(field, 1, longestName);
  return name;
}
