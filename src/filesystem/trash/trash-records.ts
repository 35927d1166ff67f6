/**
 * This machine's knowledge of the service's trash: one row for each object, with the name that it has in `files/`, and the small files
 * that programs have written beside them (`info/NAME.trashinfo`).
 */
import type { Sql, Statement } from '../../base/sqlite.js';
import type { RemoteEntry } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';

export interface TrashItem {
  readonly entry: RemoteEntry;
  /** Its name in `files/`. */
  readonly name: string;
  /** The names from the account's root to its old place; null if nobody knows. */
  readonly path: readonly string[] | null;
  /** When it was removed here, or otherwise when it was first seen in the trash; ms. */
  readonly since: number;
  /** The row that keeps its attributes, and those of the objects in it; null if there is none. */
  readonly ino: Ino | null;
}

/** The directories of the trash that programs write small files into: itself, and `info/`. */
export type NoteFolder = 'top' | 'info';

export interface Note {
  readonly name: string;
  readonly content: Uint8Array;
  /** When it was last written, ms. */
  readonly since: number;
}

interface ItemRow {
  readonly name: string;
  readonly path: string | null;
  readonly since: number;
  readonly ino: number | null;
  readonly entry: string;
}

export class TrashRecords {
  readonly #all: Statement;
  readonly #byName: Statement;
  readonly #byId: Statement;
  readonly #put: Statement;
  readonly #remove: Statement;
  readonly #notes: Statement;
  readonly #note: Statement;
  readonly #putNote: Statement;
  readonly #removeNote: Statement;

  constructor(sql: Sql) {
    const columns = 'SELECT name, path, since, ino, entry FROM trash';
    this.#all = sql.prepare(`${columns} ORDER BY since, name`);
    this.#byName = sql.prepare(`${columns} WHERE name = ?`);
    this.#byId = sql.prepare(`${columns} WHERE kind = ? AND id = ?`);
    this.#put = sql.prepare(
      'INSERT OR REPLACE INTO trash (kind, id, name, path, since, ino, entry) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    this.#remove = sql.prepare('DELETE FROM trash WHERE kind = ? AND id = ?');
    this.#notes = sql.prepare('SELECT name, content, since FROM trash_note WHERE folder = ? ORDER BY name');
    this.#note = sql.prepare('SELECT name, content, since FROM trash_note WHERE folder = ? AND name = ?');
    this.#putNote = sql.prepare('INSERT OR REPLACE INTO trash_note (folder, name, content, since) VALUES (?, ?, ?, ?)');
    this.#removeNote = sql.prepare('DELETE FROM trash_note WHERE folder = ? AND name = ?');
  }

  /** All objects, the earliest removed first. */
  all(): TrashItem[] {
    return (this.#all.all() as ItemRow[]).map(itemOf);
  }

  named(name: string): TrashItem | undefined {
    const row = this.#byName.get(name) as ItemRow | undefined;
    return row === undefined ? undefined : itemOf(row);
  }

  of({ kind, id }: Pick<RemoteEntry, 'kind' | 'id'>): TrashItem | undefined {
    const row = this.#byId.get(kind, id) as ItemRow | undefined;
    return row === undefined ? undefined : itemOf(row);
  }

  put({ entry, name, path, since, ino }: TrashItem): void {
    const names = path === null ? null : JSON.stringify(path);
    this.#put.run(entry.kind, entry.id, name, names, since, ino, JSON.stringify(entry));
  }

  remove({ kind, id }: Pick<RemoteEntry, 'kind' | 'id'>): void {
    this.#remove.run(kind, id);
  }

  notes(folder: NoteFolder): Note[] {
    return this.#notes.all(folder) as Note[];
  }

  note(folder: NoteFolder, name: string): Note | undefined {
    return this.#note.get(folder, name) as Note | undefined;
  }

  putNote(folder: NoteFolder, { name, content, since }: Note): void {
    this.#putNote.run(folder, name, content, since);
  }

  removeNote(folder: NoteFolder, name: string): void {
    this.#removeNote.run(folder, name);
  }
}

function itemOf({ name, path, since, ino, entry }: ItemRow): TrashItem {
  return {
    entry: JSON.parse(entry) as RemoteEntry,
    name,
    path: path === null ? null : (JSON.parse(path) as string[]),
    since,
    ino,
  };
}
