/**
 * The account's files in memory, as a tree by path. Invariant: a folder exists while something holds it. That is a file in
 * or below it, or a `mkdir` of this mount.
 */
import { forEachInTurns, mapInTurns } from '../../base/event-loop-turns.js';
import { collisionKey, mayCollide } from '../names.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../provider.js';
import { baseName, type FileRecord, fileOf, parentPath, rootPath } from './entities.js';

class Folder {
  readonly files = new Map<string, FileRecord>();
  /** Ids of the files by `collisionKey`. Made by the first call of `alike`. */
  #alike: Map<string, Set<string>> | undefined;
  readonly folders = new Set<string>();
  /** Reference count: files in and below the folder, and local folders. */
  holds = 0;

  put(record: FileRecord): void {
    this.files.set(record.id, record);
    this.#note(record);
  }

  remove({ id, name }: FileRecord): void {
    this.files.delete(id);
    this.#alike?.get(collisionKey(name))?.delete(id);
  }

  /** Files whose names the service may take to be this one. */
  alike(name: string): FileRecord[] {
    if (this.#alike === undefined) {
      this.#alike = new Map();
      for (const record of this.files.values()) this.#note(record);
    }
    const same = [...(this.#alike.get(collisionKey(name)) ?? [])].flatMap((id) => this.files.get(id) ?? []);
    return same.filter((record) => mayCollide(record.name, name));
  }

  #note({ id, name }: FileRecord): void {
    if (this.#alike === undefined) return;
    const key = collisionKey(name);
    const ids = this.#alike.get(key);
    if (ids === undefined) this.#alike.set(key, new Set([id]));
    else ids.add(id);
  }
}

export class FileIndex {
  readonly #files = new Map<string, FileRecord>();
  readonly #folders = new Map<string, Folder>([[rootPath, new Folder()]]);
  /** Folders that this mount made or emptied: they exist without a file. */
  readonly #local = new Set<string>();
  /** Hidden files by id: while they have this size and time, they are known but in no folder. */
  readonly #hidden = new Map<string, Pick<FileRecord, 'size' | 'modified'>>();

  get size(): number {
    return this.#files.size;
  }

  ids(): IterableIterator<string> {
    return this.#files.keys();
  }

  file(id: string): FileRecord | undefined {
    return this.#files.get(id);
  }

  hasFolder(path: string): boolean {
    return this.#folders.has(path);
  }

  /** Files of one name in one folder. The service may allow more than one. */
  named(folder: string, name: string): FileRecord[] {
    const found: FileRecord[] = [];
    for (const record of this.#folders.get(folder)?.files.values() ?? []) if (record.name === name) found.push(record);
    return found;
  }

  /** Files in a folder whose names the service may take to be this one, including those with exactly this name. */
  alike(folder: string, name: string): FileRecord[] {
    return this.#folders.get(folder)?.alike(name) ?? [];
  }

  /** The files of this name. If there are none: those of names that the service may take to be this one. */
  namedOrAlike(folder: string, name: string): FileRecord[] {
    const named = this.named(folder, name);
    return named.length > 0 ? named : this.alike(folder, name);
  }

  /** True if a file lies directly in the folder: then the service has kept the folder's path as it is. */
  hasFiles(folder: string): boolean {
    return (this.#folders.get(folder)?.files.size ?? 0) > 0;
  }

  /** Other folders whose paths the service may take to be this one. */
  alikeFolders(path: string): string[] {
    let found = [rootPath];
    for (const name of path.split('/').slice(1))
      found = found.flatMap((at) =>
        [...(this.#folders.get(at)?.folders ?? [])].filter((child) => mayCollide(baseName(child), name)),
      );
    return found.filter((other) => other !== path);
  }

  /** Adds or updates a file. Returns the folders whose listing changed. */
  put(record: FileRecord): string[] {
    const old = this.#files.get(record.id);
    if (old !== undefined && same(old, record)) return [];
    const touched = old === undefined ? [] : this.remove(record.id);
    this.#files.set(record.id, record);
    if (this.#isHidden(record)) return touched;
    touched.push(...this.#hold(record.folder), record.folder);
    this.#folders.get(record.folder)?.put(record);
    return touched;
  }

  /** Returns the folders whose listing changed. `keepFolder`: this mount removed the file, and POSIX keeps the folder. */
  remove(id: string, keepFolder = false): string[] {
    const record = this.#files.get(id);
    if (record === undefined) return [];
    if (this.#isHidden(record)) {
      this.#files.delete(id);
      return [];
    }
    if (keepFolder && record.folder !== rootPath) this.addLocal(record.folder);
    this.#files.delete(id);
    this.#folders.get(record.folder)?.remove(record);
    return [record.folder, ...this.#release(record.folder)];
  }

  /** From now on, no folder shows this version of the file or exists because of it. The folder that it was in stays. */
  hide({ id, size, modified }: Pick<RemoteFile, 'id' | 'size' | 'modified'>): void {
    const known = this.#files.get(id);
    this.remove(id, true);
    this.#hidden.set(id, { size, modified });
    if (known !== undefined) this.put(known);
  }

  #isHidden({ id, size, modified }: FileRecord): boolean {
    const hidden = this.#hidden.get(id);
    return hidden !== undefined && hidden.size === size && hidden.modified === modified;
  }

  addLocal(path: string): void {
    if (path === rootPath || this.#local.has(path)) return;
    this.#local.add(path);
    this.#hold(path);
  }

  /** Removes a local folder and the local folders below it. */
  removeLocal(path: string): void {
    for (const local of [...this.#local]) {
      if (local !== path && !local.startsWith(`${path}/`)) continue;
      this.#local.delete(local);
      this.#release(local);
    }
  }

  /**
   * Replaces the files by those of a new crawl. Files for which `isOurs` returns true are skipped, and local folders stay.
   * The replacement takes several turns of the event loop; files that are in both sets are present all the time.
   */
  async replaceAll(records: Iterable<FileRecord>, isOurs: (id: string) => boolean = () => false): Promise<void> {
    const next = new Map<string, FileRecord>();
    await forEachInTurns(records, (record) => next.set(record.id, record));
    await forEachInTurns(next.values(), (record) => {
      if (!isOurs(record.id)) this.put(record);
    });
    await forEachInTurns(this.#files.keys(), (id) => {
      if (!next.has(id) && !isOurs(id)) this.remove(id);
    });
  }

  /** Files in a folder and below it. */
  below(path: string): FileRecord[] {
    const folder = this.#folders.get(path);
    if (folder === undefined) return [];
    return [...folder.files.values(), ...[...folder.folders].flatMap((child) => this.below(child))];
  }

  folder(path: string): RemoteFolder {
    const folder = this.#folders.get(path);
    let modified = 0;
    for (const file of folder?.files.values() ?? []) modified = Math.max(modified, file.modified);
    return {
      kind: 'folder',
      id: path,
      parentId: parentPath(path),
      name: baseName(path),
      modified,
      access: 'write',
      fileCount: folder?.files.size ?? 0,
      folderCount: folder?.folders.size ?? 0,
    };
  }

  /** Lists a folder. A file that changes during the call may occur twice; then the later entry is right. */
  async list(path: string): Promise<RemoteEntry[]> {
    const folder = this.#folders.get(path);
    if (folder === undefined) return [];
    const entries: RemoteEntry[] = await mapInTurns(folder.folders, (child) => this.folder(child));
    await forEachInTurns(folder.files.values(), (record) => entries.push(fileOf(record)));
    return entries;
  }

  #hold(path: string): string[] {
    const touched: string[] = [];
    for (let at: string | null = path; at !== null; at = parentPath(at)) {
      let folder = this.#folders.get(at);
      const parent = parentPath(at);
      if (folder === undefined) {
        folder = new Folder();
        this.#folders.set(at, folder);
        if (parent !== null) touched.push(parent);
      }
      folder.holds += 1;
    }
    // A second pass, because now every parent exists.
    for (let at: string | null = path; at !== null; at = parentPath(at)) {
      const parent = parentPath(at);
      if (parent !== null) this.#folders.get(parent)?.folders.add(at);
    }
    return touched;
  }

  #release(path: string): string[] {
    const touched: string[] = [];
    for (let at: string | null = path; at !== null; at = parentPath(at)) {
      const folder = this.#folders.get(at);
      if (folder === undefined) continue;
      folder.holds -= 1;
      const parent = parentPath(at);
      if (folder.holds > 0 || parent === null) continue;
      this.#folders.delete(at);
      this.#folders.get(parent)?.folders.delete(at);
      touched.push(parent);
    }
    return touched;
  }
}

function same(a: FileRecord, b: FileRecord): boolean {
  return (
    a.folder === b.folder &&
    a.name === b.name &&
    a.size === b.size &&
    a.modified === b.modified &&
    a.created === b.created
  );
}
