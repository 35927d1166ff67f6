import type { RemoteEntry } from '../providers/provider.js';
import type { Ino, Inode } from './inode.js';

/**
 * Files that were missing in the listing of their folder, and whose rows go on without them, since they hold content that is not
 * stored. If another client has moved such a file, the listing of another folder shows it again. Known until the mount ends; then the
 * upload finds out.
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

  /** The row that went on without this file, if it still does. */
  take(id: string): Inode | undefined {
    const noted = this.#noted.get(id);
    if (noted === undefined) return undefined;
    this.#noted.delete(id);
    const row = this.#rowOf(noted.ino);
    if (row === undefined || row.remote !== null || row.localSize === null) return undefined;
    // A name that was given here since is newer than the move.
    return row.parent === noted.parent && row.name === noted.name ? row : undefined;
  }
}
