/** Direct access to the account, as another client of the same user has it. */
import { randomBytes } from 'node:crypto';
import type { BlobStore } from '../content/blobs.js';
import { type Content, type Entry, iterable, PathStore, split } from '../store.js';
import { notFound } from './errors.js';
import type { Account } from './state/account.js';
import type { Actions } from './state/actions.js';
import { type FileItem, type FolderItem, type Item, isIncomplete } from './state/items.js';

export interface FolderFlags {
  access?: 'private' | 'public';
  permissions?: 'read' | 'write';
  /** `read`: every change inside answers 403.0302. */
  userPermissions?: 'owner' | 'write' | 'read';
  passwordProtected?: boolean;
  /** Protected by a password that we do not have: everything inside answers 403.0303. */
  locked?: boolean;
  hasMembers?: boolean;
}

export class SandboxStore extends PathStore {
  constructor(
    readonly account: Account,
    readonly actions: Actions,
    blobs: BlobStore,
  ) {
    super(blobs);
  }

  get rootId(): string {
    return this.account.root.id;
  }

  /** Stores a file, or a new version under its id. Creates missing folders. */
  async putFile(path: string, content: Content, options: { modified?: number } = {}): Promise<Entry> {
    const names = split(path);
    const name = names.pop();
    if (name === undefined) throw new Error(`${path} is no path of a file`);
    const folder = this.#folders(names);
    const existing = this.account.index(folder.id).named(name);
    const stored = await this.blobs.write(iterable(content));
    let file: FileItem;
    if (existing?.kind === 'file') {
      this.actions.replace(existing, { folder, name }, stored);
      file = existing;
    } else file = this.actions.addFile({ folder, name }, stored);
    return this.#entry(this.#dated(file, options.modified));
  }

  /** Takes a folder id and a name: so the name may contain a slash, and with `duplicate` it may exist already. */
  async putFileIn(folderId: string, name: string, content: Content, duplicate = false): Promise<Entry> {
    const folder = this.account.folder(folderId);
    if (!folder) throw notFound();
    const stored = await this.blobs.write(iterable(content));
    if (!duplicate) return this.#entry(this.actions.addFile({ folder, name }, stored));
    const file = this.actions.addFile({ folder, name: randomBytes(16).toString('hex') }, stored);
    this.account.change(file, () => {
      file.name = name;
    });
    return this.#entry(file);
  }

  protected contentOf(path: string): { blob: string; size: number } {
    const file = this.#item(path);
    if (file.kind !== 'file' || file.blob === undefined) throw new Error(`${path} has no content`);
    return { blob: file.blob, size: file.size };
  }

  makeFolder(path: string): Entry {
    return this.#entry(this.#folders(split(path)));
  }

  rename(path: string, name: string): Entry {
    const item = this.#item(path);
    const folder = this.account.parent(item) ?? this.account.root;
    return this.#entry(this.actions.relocate(item, { folder, name }));
  }

  move(path: string, folderPath: string, name?: string): Entry {
    const item = this.#item(path);
    const folder = this.#folder(folderPath);
    return this.#entry(this.actions.relocate(item, { folder, name: name ?? item.name }));
  }

  copy(path: string, folderPath: string, name?: string): Entry {
    const item = this.#item(path);
    return this.#entry(this.actions.copy(item, { folder: this.#folder(folderPath), name: name ?? item.name }));
  }

  /** Removes it for ever, or moves it to the trash. */
  remove(path: string, options: { trash?: boolean } = {}): void {
    const item = this.#item(path);
    if (options.trash) this.actions.trash(item);
    else this.actions.purge(item);
  }

  /** Folders first, each in the order of names. */
  list(path = '/'): Entry[] {
    const index = this.account.index(this.#folder(path).id);
    return [...index.allFolders(), ...index.listedFiles()].map((item) => this.#entry(item));
  }

  stat(path: string): Entry | undefined {
    const item = this.#find(split(path));
    return item && this.#entry(item);
  }

  byId(id: string): Entry | undefined {
    const item = this.account.items.get(id);
    return item && this.#entry(item);
  }

  setFolder(path: string, flags: FolderFlags): void {
    const folder = this.#folder(path);
    this.account.change(folder, () => Object.assign(folder, flags));
    if (flags.locked) folder.passwordProtected = true;
  }

  setModified(path: string, modified: number): void {
    const item = this.#item(path);
    this.account.change(item, () => Object.assign(item, { modified }));
  }

  /** Everything outside the trash, by path. */
  tree(): Entry[] {
    const entries = [...this.account.inside(this.account.root)].map((item) => this.#entry(item));
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  trash(): Entry[] {
    return [...this.account.trash.values()].map((item) => this.#entry(item));
  }

  #dated<T extends Item>(item: T, modified: number | undefined): T {
    if (modified !== undefined) this.account.change(item, () => Object.assign(item, { modified }));
    return item;
  }

  #folders(names: readonly string[]): FolderItem {
    let folder = this.account.root;
    for (const name of names) {
      const found = this.account.index(folder.id).named(name);
      if (found?.kind === 'file') throw new Error(`${this.account.path(found)} is a file`);
      folder = found ?? this.actions.createFolder(folder, name);
    }
    return folder;
  }

  #folder(path: string): FolderItem {
    const item = this.#item(path);
    if (item.kind !== 'folder') throw new Error(`${path} is no folder`);
    return item;
  }

  #item(path: string): Item {
    const item = this.#find(split(path));
    if (!item) throw notFound();
    return item;
  }

  #find(names: readonly string[]): Item | undefined {
    let item: Item = this.account.root;
    for (const name of names) {
      const found: Item | undefined = item.kind === 'folder' ? this.account.index(item.id).named(name) : undefined;
      if (!found) return undefined;
      item = found;
    }
    return item;
  }

  #entry(item: Item): Entry {
    const incomplete = item.kind === 'file' && isIncomplete(item);
    return {
      path: `/${this.account.names(item).join('/')}`,
      kind: item.kind,
      id: item.id,
      name: item.name,
      size: item.kind === 'file' ? item.size : 0,
      md5: item.kind === 'file' ? item.md5 : '',
      modified: item.modified,
      status: this.account.isTrashed(item) ? 'trashed' : incomplete ? 'incomplete' : 'normal',
    };
  }
}
