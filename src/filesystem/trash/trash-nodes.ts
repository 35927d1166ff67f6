/**
 * Inode numbers for the objects in the trash directories. They are far above those of the inode table, valid while the kernel has a
 * reference, and not remembered beyond the mount.
 */
import type { Ino } from '../../tree/inode.js';
import type { NoteFolder } from './trash-records.js';

/**
 * Above every number of the inode table, and a safe integer also after an addition. Over libfuse 2, `st_ino` has only the low 32 bits,
 * which begin at 2^31: no account has so many objects.
 */
const FIRST: Ino = 2 ** 48 + 2 ** 31;

/** The directories of one user's trash. gvfs moves objects to `expunged` before it deletes them. */
export type TrashFolder = 'top' | 'files' | 'info' | 'expunged';

export type TrashNode = { readonly uid: number } & (
  | { readonly type: 'folder'; readonly folder: TrashFolder }
  /** An object in the trash. */
  | {
      readonly type: 'item';
      readonly kind: 'file' | 'folder';
      readonly id: string;
      readonly folder: 'files' | 'expunged';
    }
  /** A small file that a program has written, or a made-up info file. */
  | { readonly type: 'note'; readonly folder: NoteFolder; readonly name: string }
  /** If the service has no trash: no directory, which tells programs so. */
  | { readonly type: 'none' }
);

export class TrashNodes {
  readonly #inos = new Map<string, Ino>();
  readonly #nodes = new Map<Ino, TrashNode>();
  #next = FIRST;

  isOurs(ino: Ino): boolean {
    return ino >= FIRST;
  }

  get(ino: Ino): TrashNode | undefined {
    return ino < FIRST ? undefined : this.#nodes.get(ino);
  }

  inoOf(node: TrashNode): Ino {
    const key = JSON.stringify(node, Object.keys(node).sort());
    const known = this.#inos.get(key);
    if (known !== undefined) return known;
    const ino = this.#next++;
    this.#inos.set(key, ino);
    this.#nodes.set(ino, node);
    return ino;
  }
}
