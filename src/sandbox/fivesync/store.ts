/** Direct access to the account, as its owner has it elsewhere. It can do more than the API, such as renaming. */
import type { BlobStore } from '../content/blobs.js';
import { type Content, type Entry, iterable, PathStore, split } from '../store.js';
import { badRequest, notFound } from './errors.js';
import type { Files, Place } from './files.js';
import { directory, fileName, isBelow } from './paths.js';
import type { FileRecord } from './records.js';

export class FiveSyncStore extends PathStore {
  constructor(
    readonly files: Files,
    blobs: BlobStore,
  ) {
    super(blobs);
  }

  async putFile(path: string, content: Content, options: { modified?: number } = {}): Promise<Entry> {
    const file = this.files.put(placeOf(path), await this.blobs.write(iterable(content)));
    if (options.modified !== undefined) this.setModified(path, options.modified);
    return entryOf(file);
  }

  /** Takes a directory and a name: so the name may contain a slash, and with `duplicate` it may exist already. */
  async putFileIn(dir: string, name: string, content: Content, duplicate = false): Promise<Entry> {
    const place = { dir: directory(dir), name };
    const stored = await this.blobs.write(iterable(content));
    return entryOf(duplicate ? this.files.add(place, stored) : this.files.put(place, stored));
  }

  makeFolder(path: string): Entry {
    throw badRequest(`5sync has no folders of their own: ${path} exists only through the files in it`);
  }

  /** Renames a file. For a folder it changes every file in it and below it. */
  rename(path: string, name: string): Entry {
    const { dir } = placeOf(path);
    return this.#relocate(path, { dir, name: fileName(name) });
  }

  move(path: string, folderPath: string, name?: string): Entry {
    const own = placeOf(path).name;
    return this.#relocate(path, { dir: normal(folderPath), name: name ?? own });
  }

  copy(path: string, folderPath: string, name?: string): Entry {
    const file = this.#file(path);
    const place = { dir: normal(folderPath), name: name ?? file.name };
    this.blobs.retain(file.blob);
    return entryOf(this.files.put(place, file));
  }

  remove(path: string): void {
    const file = this.files.named(placeOf(path)).at(-1);
    const gone = file ? [file] : this.#below(normal(path));
    if (gone.length === 0) throw notFound();
    for (const each of gone) this.files.remove(each);
  }

  list(path = '/'): Entry[] {
    const top = normal(path);
    const names = new Set<string>();
    for (const dir of this.files.directories()) {
      if (dir === top || !isBelow(dir, top)) continue;
      names.add(dir.slice(top === '/' ? 1 : top.length + 1).split('/', 1)[0] ?? '');
    }
    const files = [...this.files.inDirectory(top)];
    if (files.length === 0 && names.size === 0 && top !== '/') throw notFound();
    const folders = [...names].sort().map((name) => folderEntry(`${top === '/' ? '' : top}/${name}`));
    return [...folders, ...files.sort((a, b) => (a.name < b.name ? -1 : 1)).map(entryOf)];
  }

  stat(path: string): Entry | undefined {
    const top = normal(path);
    const file = top === '/' ? undefined : this.files.named(placeOf(path)).at(-1);
    if (file) return entryOf(file);
    for (const dir of this.files.directories()) if (isBelow(dir, top)) return folderEntry(top);
    return top === '/' ? folderEntry(top) : undefined;
  }

  byId(id: string): Entry | undefined {
    const file = this.files.byId.get(id);
    return file && entryOf(file);
  }

  setModified(path: string, modified: number): void {
    const file = this.#file(path);
    this.files.change(file, () => Object.assign(file, { modified }));
  }

  /** All files, and the folders that their paths imply. */
  tree(): Entry[] {
    const folders = new Set<string>();
    for (const dir of this.files.directories()) {
      const names = split(dir);
      for (let depth = 1; depth <= names.length; depth++) folders.add(`/${names.slice(0, depth).join('/')}`);
    }
    const entries = [...[...folders].map(folderEntry), ...[...this.files.byId.values()].map(entryOf)];
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** "This action cannot be undone." */
  trash(): Entry[] {
    return [];
  }

  protected contentOf(path: string): FileRecord {
    return this.#file(path);
  }

  #file(path: string): FileRecord {
    const file = this.files.named(placeOf(path)).at(-1);
    if (!file) throw notFound();
    return file;
  }

  #below(top: string): FileRecord[] {
    return this.files.list(undefined).filter((file) => isBelow(file.dir, top));
  }

  #relocate(path: string, place: Place): Entry {
    const file = this.files.named(placeOf(path)).at(-1);
    if (file) {
      this.files.change(file, () => Object.assign(file, place));
      return entryOf(file);
    }
    const from = normal(path);
    const to = `${place.dir === '/' ? '' : place.dir}/${place.name}`;
    const inside = [...this.#below(from)];
    if (inside.length === 0) throw notFound();
    for (const each of inside)
      this.files.change(each, () => {
        each.dir = `${to}${each.dir.slice(from.length)}`;
      });
    return folderEntry(to);
  }
}

function placeOf(path: string): Place {
  const names = split(path);
  const name = names.pop();
  if (name === undefined) throw badRequest(`${path} is no path of a file`);
  return { dir: `/${names.join('/')}`, name };
}

const normal = (path: string) => `/${split(path).join('/')}`;

function entryOf({ dir, id, name, size, md5, modified }: FileRecord): Entry {
  const path = `${dir === '/' ? '' : dir}/${name}`;
  return { path, kind: 'file', id, name, size, md5, modified, status: 'normal' };
}

function folderEntry(path: string): Entry {
  const name = split(path).at(-1) ?? '';
  return { path, kind: 'folder', id: '', name, size: 0, md5: '', modified: 0, status: 'normal' };
}
