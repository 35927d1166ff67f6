/** One folder's entries: by name for conflicts, in order for pages. */
import { keptName } from '../../content/stored-names.js';
import type { Readings } from '../options.js';
import type { FileItem, FolderItem, Item } from './items.js';
import { isIncomplete } from './items.js';

export class FolderIndex {
  #folders = new Map<string, FolderItem>();
  #files = new Map<string, FileItem>();
  /** Several only if a test has added a duplicate. */
  #byName = new Map<string, Item[]>();
  #incomplete = 0;
  /** Pages are slices of arrays sorted by name. A change discards the arrays, and the next page builds them again. */
  #folderPage: FolderItem[] | undefined;
  #filePage: FileItem[] | undefined;
  #filePageWithIncomplete = false;
  #before = { files: 0, folders: 0 };

  constructor(readonly readings: Readings) {}

  add(item: Item): void {
    this.#remember();
    if (item.kind === 'folder') this.#folders.set(item.id, item);
    else this.#files.set(item.id, item);
    if (item.kind === 'file' && isIncomplete(item)) this.#incomplete += 1;
    const key = this.#key(item.name);
    const same = this.#byName.get(key);
    if (same) same.push(item);
    else this.#byName.set(key, [item]);
  }

  /** The item must still have the name and state with which it was added. */
  remove(item: Item): void {
    this.#remember();
    if (item.kind === 'folder') this.#folders.delete(item.id);
    else if (this.#files.delete(item.id) && isIncomplete(item)) this.#incomplete -= 1;
    const key = this.#key(item.name);
    const left = (this.#byName.get(key) ?? []).filter((other) => other !== item);
    if (left.length > 0) this.#byName.set(key, left);
    else this.#byName.delete(key);
  }

  /** The item with this name. An incomplete file counts only if it occupies its name. */
  named(name: string): Item | undefined {
    const items = this.#byName.get(this.#key(name));
    return items?.find((item) => item.kind === 'folder' || !isIncomplete(item) || this.readings.incompleteHoldsName);
  }

  allFolders(): FolderItem[] {
    this.#folderPage ??= [...this.#folders.values()].sort(byName);
    return this.#folderPage;
  }

  allFiles(): Iterable<FileItem> {
    return this.#files.values();
  }

  /** The files of a listing. */
  listedFiles(): FileItem[] {
    const withIncomplete = this.readings.incompleteListed;
    if (!this.#filePage || this.#filePageWithIncomplete !== withIncomplete) {
      const all = [...this.#files.values()].sort(byName);
      this.#filePage = withIncomplete || this.#incomplete === 0 ? all : all.filter((file) => !isIncomplete(file));
      this.#filePageWithIncomplete = withIncomplete;
    }
    return this.#filePage;
  }

  get fileCount(): number {
    return this.#files.size;
  }

  /** The counts of a FolderResponse. */
  counts(): { files: number; folders: number } {
    if (this.readings.counts === 'zero') return { files: 0, folders: 0 };
    return this.readings.counts === 'lagging' ? this.#before : this.#counts();
  }

  #counts(): { files: number; folders: number } {
    const hidden = this.readings.incompleteListed ? 0 : this.#incomplete;
    return { files: this.#files.size - hidden, folders: this.#folders.size };
  }

  #remember(): void {
    this.#before = this.#counts();
    this.#folderPage = undefined;
    this.#filePage = undefined;
  }

  #key(name: string): string {
    const kept = keptName(name, this.readings.storedNames);
    return this.readings.nameCase === 'insensitive' ? kept.toLowerCase() : kept;
  }
}

/** A stable order, so that consecutive pages fit together. */
function byName(a: Item, b: Item): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
