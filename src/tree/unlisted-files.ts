import type { RemoteEntry } from '../providers/provider.js';
import type { Ino, Inode } from './inode.js';

/**
 * Files that were missing in the listing of their folder, although their rows hold content that is not stored yet. Such a row goes on
 * without an object. If another client has moved the file, the listing of another folder shows it, and the row gets it back. Remembered
 * until the mount ends; after that, the upload finds the file's new place.
 */
export class UnlistedFiles {
  readonly #rowOf: (ino: Ino) => Inode | undefined;
  /** By the id of the file. */
  readonly #noted = new Map<string, Pick<Inode, 'ino' | 'parent' | 'name'>>();

  constructor(rowOf: (ino: Ino) => Inode | undefined) {
    this.#rowOf = rowOf;
  }

  note(id: string, { ino, parent, name }: Inode): void {
    this.#noted.set(id, { ino, parent, name });
  }

  has({ kind, id }: Pick<RemoteEntry, 'kind' | 'id'>): boolean {
    return kind === 'file' && this.#noted.has(id);
  }

  /** The row that goes on without this file; undefined if none does. Forgets the file. */
  take(id: string): Inode | undefined {
    const noted = this.#noted.get(id);
    if (noted === undefined) return undefined;
    this.#noted.delete(id);
    const row = this.#rowOf(noted.ino);
    if (row === undefined || row.remote !== null || row.localSize === null) return undefined;
    // A rename here since then is newer than the other client's move.
    return row.parent === noted.parent && row.name === noted.name ? row : undefined;
  }
}
