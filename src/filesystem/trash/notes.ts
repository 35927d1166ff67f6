/**
 * Small files that programs write into a trash directory: `info/NAME.trashinfo`, and temporary files beside them. They never go to
 * the service. A close or fsync stores them in the state database.
 */
import type { Clock } from '../../base/clock.js';
import type { HandleId, OpenFlags } from '../api.js';
import { FsError } from '../core/fs-error.js';
import type { NoteFolder, TrashRecords } from './trash-records.js';

/** Bytes. An info file has some hundred, `directorysizes` some dozen for each directory in the trash. */
const LARGEST_NOTE = 1024 * 1024;

/** Above the handles of files. */
const FIRST_HANDLE: HandleId = 2 ** 48;

interface OpenNote {
  readonly folder: NoteFolder;
  /** Null: removed while open. */
  name: string | null;
  content: Buffer;
  isDirty: boolean;
  handles: number;
}

export class Notes {
  readonly #records: TrashRecords;
  readonly #clock: Clock;
  readonly #open = new Map<string, OpenNote>();
  readonly #handles = new Map<HandleId, { readonly note: OpenNote; readonly append: boolean }>();
  #nextHandle = FIRST_HANDLE;

  constructor(records: TrashRecords, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  isHandle(id: HandleId): boolean {
    return id >= FIRST_HANDLE;
  }

  /** Bytes; undefined if no program has written such a file. */
  size(folder: NoteFolder, name: string): number | undefined {
    return this.#open.get(keyOf(folder, name))?.content.length ?? this.#records.note(folder, name)?.content.length;
  }

  /** Opens a file; `otherwise` is its content if no program has written one. */
  open(folder: NoteFolder, name: string, flags: OpenFlags, otherwise: Uint8Array): HandleId {
    const key = keyOf(folder, name);
    let note = this.#open.get(key);
    if (note === undefined) {
      const content = Buffer.from(this.#records.note(folder, name)?.content ?? otherwise);
      note = { folder, name, content, isDirty: false, handles: 0 };
      this.#open.set(key, note);
    }
    note.handles++;
    if (flags.truncate) this.#resize(note, 0);
    const handle = this.#nextHandle++;
    this.#handles.set(handle, { note, append: flags.append });
    return handle;
  }

  create(folder: NoteFolder, name: string, flags: OpenFlags): HandleId {
    this.#records.putNote(folder, { name, content: new Uint8Array(), since: this.#clock.now() });
    return this.open(folder, name, flags, new Uint8Array());
  }

  read(id: HandleId, into: Uint8Array, offset: number): number {
    const part = this.#note(id).content.subarray(offset, offset + into.length);
    into.set(part);
    return part.length;
  }

  write(id: HandleId, data: Uint8Array, offset: number, isCall: boolean): number {
    const note = this.#note(id);
    const at = this.#handles.get(id)?.append && isCall ? note.content.length : offset;
    if (at + data.length > note.content.length) this.#resize(note, at + data.length);
    note.content.set(data, at);
    note.isDirty = true;
    return data.length;
  }

  /** Stores the file. A removed file stays removed. */
  store(id: HandleId): void {
    this.#store(this.#note(id));
  }

  release(id: HandleId): void {
    const note = this.#note(id);
    this.#store(note);
    this.#handles.delete(id);
    if (--note.handles === 0 && note.name !== null) this.#open.delete(keyOf(note.folder, note.name));
  }

  /** Sets the length of a file, open or not. */
  truncate(folder: NoteFolder, name: string, size: number, otherwise: Uint8Array): void {
    const flags = { read: false, write: true, append: false, truncate: false, exclusive: false };
    const handle = this.open(folder, name, flags, otherwise);
    this.#resize(this.#note(handle), size);
    this.release(handle);
  }

  remove(folder: NoteFolder, name: string): void {
    const open = this.#open.get(keyOf(folder, name));
    if (open !== undefined) open.name = null;
    this.#open.delete(keyOf(folder, name));
    this.#records.removeNote(folder, name);
  }

  /** Gives a file another name, and removes the file that has that name. */
  rename(folder: NoteFolder, name: string, newName: string, otherwise: Uint8Array): void {
    if (name === newName) return;
    const open = this.#open.get(keyOf(folder, name));
    const content = open?.content ?? this.#records.note(folder, name)?.content ?? otherwise;
    this.#open.delete(keyOf(folder, name));
    this.remove(folder, newName);
    this.#records.removeNote(folder, name);
    this.#records.putNote(folder, { name: newName, content, since: this.#clock.now() });
    if (open === undefined) return;
    open.name = newName;
    this.#open.set(keyOf(folder, newName), open);
  }

  #note(id: HandleId): OpenNote {
    const note = this.#handles.get(id)?.note;
    if (note === undefined) throw new FsError('EBADF', `no open file ${id}`);
    return note;
  }

  #store({ folder, name, content, isDirty }: OpenNote): void {
    if (!isDirty || name === null) return;
    this.#records.putNote(folder, { name, content, since: this.#clock.now() });
    const open = this.#open.get(keyOf(folder, name));
    if (open !== undefined) open.isDirty = false;
  }

  #resize(note: OpenNote, size: number): void {
    if (size > LARGEST_NOTE) throw new FsError('EFBIG', 'the trash takes small files only; move others there');
    const resized = Buffer.alloc(size);
    note.content.copy(resized);
    note.content = resized;
    note.isDirty = true;
  }
}

function keyOf(folder: NoteFolder, name: string): string {
  return `${folder}/${name}`;
}
