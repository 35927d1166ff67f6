/** The account's items, with all indexes that requests need, so that no request scans. */
import { randomBytes } from 'node:crypto';
import { AskedNames } from '../../content/stored-names.js';
import type { Keeper } from '../../journal.js';
import type { Readings } from '../options.js';
import { FolderIndex } from './folder-index.js';
import type { FileItem, FolderItem, Item } from './items.js';
import { isIncomplete } from './items.js';

/**
 * Invariants: every item that is not in the trash, nor inside a trashed folder, is in its folder's index. Counts and used
 * bytes match `items`. Every change has been given to the keeper.
 */
export class Account {
  readonly items = new Map<string, Item>();
  /** Trashed items, without the items inside them. */
  readonly trash = new Map<string, Item>();
  readonly root: FolderItem;
  usedBytes = 0;
  fileCount = 0;
  folderCount = 0;
  readonly asked: AskedNames<Item>;
  #indexes = new Map<string, FolderIndex>();
  #uploads = new Map<string, FileItem>();
  #uploadOrder: FileItem[] | undefined;
  #sequence = 0;

  constructor(
    loaded: Iterable<Item>,
    rootName: string,
    readonly readings: Readings,
    readonly now: () => number,
    readonly keeper: Keeper<Item>,
  ) {
    this.asked = new AskedNames(readings);
    const items = [...loaded];
    for (const item of items) this.items.set(item.id, item);
    const root = items.find((item): item is FolderItem => item.kind === 'folder' && item.parentId === null);
    this.root = root ?? newFolder(this.newId('folder'), rootName, null, now());
    for (const item of items) this.#count(item, 1);
    if (!root) this.add(this.root);
    const files = items.filter((item) => item.kind === 'file').sort((a, b) => a.uploaded - b.uploaded);
    for (const item of [...items.filter((item) => item.kind === 'folder'), ...files]) this.#enter(item);
    this.#sequence = files.at(-1)?.uploaded ?? 0;
  }

  newId(kind: Item['kind']): string {
    // Of the length in the documents' examples.
    const bytes = kind === 'folder' ? 6 : 9;
    for (;;) {
      const id = randomBytes(bytes)
        .toString('base64url')
        .slice(0, kind === 'folder' ? 8 : 10);
      if (!this.items.has(id)) return id;
    }
  }

  file(id: string): FileItem | undefined {
    const item = this.items.get(id);
    return item?.kind === 'file' ? item : undefined;
  }

  folder(id: string): FolderItem | undefined {
    const item = this.items.get(id);
    return item?.kind === 'folder' ? item : undefined;
  }

  index(folderId: string): FolderIndex {
    let index = this.#indexes.get(folderId);
    if (!index) {
      index = new FolderIndex(this.readings);
      this.#indexes.set(folderId, index);
    }
    return index;
  }

  parent(item: Item): FolderItem | undefined {
    return item.parentId === null ? undefined : this.folder(item.parentId);
  }

  /** The item and the folders above it, innermost first. */
  *upwards(item: Item): Generator<Item> {
    for (let at: Item | undefined = item; at; at = this.parent(at)) yield at;
  }

  isTrashed(item: Item): boolean {
    for (const at of this.upwards(item)) if (at.trashed) return true;
    return false;
  }

  /** The names on the path from the root (without it) to the item. */
  names(item: Item): string[] {
    const names: string[] = [];
    for (const at of this.upwards(item)) if (at.parentId !== null) names.unshift(at.name);
    return names;
  }

  /** "Path … starting at the root". It includes the root's own name: `/My 4Sync/Playlists`. */
  path(item: Item): string {
    return `/${[this.root.name, ...this.names(item)].join('/')}`;
  }

  /** Adds a new item. */
  add(item: Item): void {
    this.asked.keep(item);
    this.items.set(item.id, item);
    this.#count(item, 1);
    this.#enter(item);
    this.touchFolder(item.parentId);
    this.keeper.put(item);
  }

  /** Changes an item in place, and updates indexes and sums. */
  change(item: Item, change: () => void): void {
    const from = item.parentId;
    const trashed = item.trashed;
    const moves = this.#leave(item);
    this.#count(item, -1);
    change();
    this.asked.keep(item);
    this.#count(item, 1);
    this.#enter(item);
    if (moves && (from !== item.parentId || trashed !== item.trashed)) this.touchFolder(from);
    if (from !== item.parentId || trashed !== item.trashed) this.touchFolder(item.parentId);
    this.keeper.put(item);
  }

  /** Removes one item for ever. The caller releases its content. */
  remove(item: Item): void {
    this.#leave(item);
    this.#count(item, -1);
    this.items.delete(item.id);
    this.#indexes.delete(item.id);
    this.touchFolder(item.parentId);
    this.keeper.remove(item.id);
  }

  /** Everything inside a folder, deepest last, except items that were trashed themselves. */
  *inside(folder: FolderItem): Generator<Item> {
    const index = this.index(folder.id);
    for (const child of index.allFolders()) {
      yield child;
      yield* this.inside(child);
    }
    yield* index.allFiles();
  }

  nextUpload(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** Complete files outside the trash, oldest upload first. */
  filesByUpload(): readonly FileItem[] {
    this.#uploadOrder ??= [...this.#uploads.values()].sort((a, b) => a.uploaded - b.uploaded);
    return this.#uploadOrder;
  }

  touchFolder(id: string | null): void {
    const folder = id === null ? undefined : this.folder(id);
    if (!folder || !this.readings.contentChangesFolderModified) return;
    folder.modified = this.now();
    this.keeper.put(folder);
  }

  #enter(item: Item): void {
    if (item.trashed) {
      this.trash.set(item.id, item);
      return;
    }
    if (item.parentId !== null) this.index(item.parentId).add(item);
    if (item.kind === 'file' && !isIncomplete(item)) {
      this.#uploads.set(item.id, item);
      this.#uploadOrder = undefined;
    }
  }

  #leave(item: Item): boolean {
    if (this.trash.delete(item.id)) return false;
    if (item.kind === 'file' && this.#uploads.delete(item.id)) this.#uploadOrder = undefined;
    if (item.parentId !== null) this.index(item.parentId).remove(item);
    return true;
  }

  #count(item: Item, sign: 1 | -1): void {
    if (item.kind === 'folder') {
      if (item.parentId !== null) this.folderCount += sign;
      return;
    }
    this.fileCount += sign;
    // An upload under way already counts.
    this.usedBytes += sign * (item.size + (item.upload && !isIncomplete(item) ? item.upload.size : 0));
  }
}

export function newFolder(id: string, name: string, parentId: string | null, now: number): FolderItem {
  return {
    kind: 'folder',
    id,
    name,
    parentId,
    modified: now,
    description: '',
    access: 'private',
    permissions: 'write',
    userPermissions: 'owner',
    passwordProtected: false,
    locked: false,
    hasMembers: false,
  };
}
