/** The account's files, with all indexes that requests need, and the operations that change them. */
import { randomBytes } from 'node:crypto';
import type { BlobStore, StoredContent } from '../content/blobs.js';
import { AskedNames, keptName } from '../content/stored-names.js';
import type { Keeper } from '../journal.js';
import type { Clock } from './clock.js';
import { forbidden, nameTaken } from './errors.js';
import type { Feed } from './feed.js';
import type { FiveSyncReadings, FiveSyncSettings } from './options.js';
import { isBelow } from './paths.js';
import type { FileRecord, Rec } from './records.js';

export interface Place {
  dir: string;
  name: string;
}

export type Order = 'name' | 'created' | 'size';

const orders: Record<Order, (a: FileRecord, b: FileRecord) => number> = {
  name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.order - b.order),
  created: (a, b) => a.order - b.order,
  size: (a, b) => a.size - b.size || a.order - b.order,
};

/** Invariant: indexes and sums match the files, and every change is in the feed and has been given to the keeper. */
export class Files {
  readonly byId = new Map<string, FileRecord>();
  usedBytes = 0;
  readonly asked: AskedNames<FileRecord>;
  #dirs = new Map<string, Set<FileRecord>>();
  #names = new Map<string, FileRecord[]>();
  /** Pages are slices of sorted arrays. A change discards the arrays, and the next page builds them again. */
  #sorted = new Map<Order, FileRecord[]>();
  #order = 0;

  constructor(
    loaded: Iterable<FileRecord>,
    readonly feed: Feed,
    readonly blobs: BlobStore,
    readonly clock: Clock,
    readonly readings: FiveSyncReadings,
    readonly settings: FiveSyncSettings,
    readonly keeper: Keeper<Rec>,
  ) {
    this.asked = new AskedNames(readings);
    for (const file of loaded) {
      this.#enter(file);
      this.#order = Math.max(this.#order, file.order);
    }
  }

  /** The files with a name, oldest first. Several if the server makes duplicates. */
  named(place: Place): readonly FileRecord[] {
    return this.#names.get(keyOf(this.#kept(place))) ?? [];
  }

  directories(): Iterable<string> {
    return this.#dirs.keys();
  }

  inDirectory(dir: string): Iterable<FileRecord> {
    return this.#dirs.get(dir) ?? [];
  }

  /** All files, or those that pass the path filter. */
  list(dir: string | undefined, order: Order = 'created'): readonly FileRecord[] {
    const compare = this.readings.order === 'ascending' ? orders[order] : reversed(orders[order]);
    if (dir !== undefined && this.readings.pathFilter === 'exact') return [...this.inDirectory(dir)].sort(compare);
    let all = this.#sorted.get(order);
    if (!all) {
      all = [...this.byId.values()].sort(compare);
      this.#sorted.set(order, all);
    }
    return dir === undefined ? all : all.filter((file) => isBelow(file.dir, dir));
  }

  assertRoom(bytes: number): void {
    if (this.usedBytes + bytes > this.settings.quotaBytes) throw forbidden('The storage space of the plan is used up.');
  }

  /** Makes stored content a file. Takes over the content's reference, and releases it if the file is refused. */
  put(place: Place, content: StoredContent, encrypted = true): FileRecord {
    const old = this.named(place).at(-1);
    const { existingName } = this.readings;
    try {
      this.assertFree(place);
      const isReplaced = existingName === 'new-version' || existingName === 'new-id';
      this.assertRoom(content.size - (old && isReplaced ? old.size : 0));
    } catch (error) {
      this.blobs.release(content.blob);
      throw error;
    }
    if (!old || existingName !== 'new-version') {
      if (old && existingName === 'new-id') this.remove(old);
      return this.add(old && existingName === 'renamed' ? this.#free(place) : place, content, encrypted);
    }
    const before = old.blob;
    this.change(old, () => {
      Object.assign(old, { size: content.size, md5: content.md5, blob: content.blob, encrypted });
      old.versions += 1;
      old.modified = this.clock.stamp();
    });
    this.blobs.release(before);
    return old;
  }

  /** Throws if the server refuses uploads to this name. */
  assertFree(place: Place): void {
    const { existingName } = this.readings;
    if (this.named(place).length === 0) return;
    if (existingName === '409' || existingName === '400' || existingName === '403')
      throw nameTaken(Number(existingName));
  }

  /** `report (1).pdf` */
  #free({ dir, name }: Place): Place {
    const [, stem = name, extension = ''] = /^(.+?)(\.[^.]*)?$/.exec(name) ?? [];
    for (let n = 1; ; n++) {
      const other = { dir, name: `${stem} (${n})${extension}` };
      if (this.named(other).length === 0) return other;
    }
  }

  /** Adds a new file, also if the name exists already. */
  add(place: Place, content: StoredContent, encrypted = true): FileRecord {
    const now = this.clock.stamp();
    this.#order += 1;
    const file: FileRecord = {
      kind: 'file',
      id: this.#newId(),
      dir: this.#kept(place).dir,
      name: place.name,
      ...{ size: content.size, md5: content.md5, blob: content.blob, encrypted },
      ...{ versions: 1, created: now, modified: now, order: this.#order },
    };
    this.asked.keep(file);
    this.#enter(file);
    this.keeper.put(file);
    this.feed.add(file, 'created');
    return file;
  }

  /** Changes a file in place, and updates indexes, sums and feed. */
  change(file: FileRecord, change: () => void): void {
    this.#leave(file);
    change();
    this.#enter(file);
    this.keeper.put(file);
    this.feed.add(file, 'modified');
  }

  /** "Permanently delete a file." */
  remove(file: FileRecord): void {
    this.#leave(file);
    this.keeper.remove(file.id);
    this.blobs.release(file.blob);
    this.feed.add(file, 'deleted');
  }

  #kept({ dir, name }: Place): Place {
    const { storedNames } = this.readings;
    const steps = dir.split('/').map((step) => (step === '' ? '' : keptName(step, storedNames)));
    return { dir: steps.join('/'), name: keptName(name, storedNames) };
  }

  #enter(file: FileRecord): void {
    this.byId.set(file.id, file);
    this.usedBytes += file.size;
    const dir = this.#dirs.get(file.dir);
    if (dir) dir.add(file);
    else this.#dirs.set(file.dir, new Set([file]));
    const key = keyOf(file);
    const same = this.#names.get(key);
    if (same) same.push(file);
    else this.#names.set(key, [file]);
    this.#sorted.clear();
  }

  #leave(file: FileRecord): void {
    this.byId.delete(file.id);
    this.usedBytes -= file.size;
    const dir = this.#dirs.get(file.dir);
    dir?.delete(file);
    if (dir?.size === 0) this.#dirs.delete(file.dir);
    const key = keyOf(file);
    const left = (this.#names.get(key) ?? []).filter((other) => other !== file);
    if (left.length > 0) this.#names.set(key, left);
    else this.#names.delete(key);
    this.#sorted.clear();
  }

  #newId(): string {
    for (;;) {
      const id = `f_${randomBytes(5).readUIntBE(0, 5).toString(36).padStart(8, '0')}`;
      if (!this.byId.has(id)) return id;
    }
  }
}

const reversed =
  (compare: (a: FileRecord, b: FileRecord) => number) =>
  (a: FileRecord, b: FileRecord): number =>
    compare(b, a);

function keyOf({ dir, name }: Place): string {
  return `${dir}\0${name}`;
}
