/**
 * The pinned files and folders: this machine keeps them whole while they are pinned. A pin belongs to the inode, so it follows renames.
 * The few pins are in memory, because each change of a row looks them up.
 */
import type { Sql, Statement } from '../base/sqlite.js';
import type { FurtherNames } from './further-names.js';
import type { Ino, Inode } from './inode.js';

/** The part of `InodeTable` that pins need. */
interface Tree {
  readonly further: Pick<FurtherNames, 'of'>;
  get(ino: Ino): Inode | undefined;
  upwards(ino: Ino): Iterable<Inode>;
  isRoot(inode: Inode): boolean;
  isShown(inode: Inode): boolean;
}

export class PinTable {
  readonly #add: Statement;
  readonly #remove: Statement;
  readonly #inos: Set<Ino>;

  constructor(sql: Sql) {
    // These rows are gone for good: inode numbers are not reused.
    sql.prepare('DELETE FROM pin WHERE ino NOT IN (SELECT ino FROM inode)').run();
    this.#add = sql.prepare('INSERT OR IGNORE INTO pin (ino, since) VALUES (?, ?)');
    this.#remove = sql.prepare('DELETE FROM pin WHERE ino = ?');
    this.#inos = new Set(sql.prepare('SELECT ino FROM pin ORDER BY since, ino').pluck().all() as Ino[]);
  }

  get isEmpty(): boolean {
    return this.#inos.size === 0;
  }

  get size(): number {
    return this.#inos.size;
  }

  all(): Ino[] {
    return [...this.#inos];
  }

  /** True if this inode itself is pinned. */
  has(ino: Ino): boolean {
    return this.#inos.has(ino);
  }

  /** True if the inode or a folder above one of its names is pinned, in the tree that programs see. */
  covers(tree: Tree, ino: Ino): boolean {
    if (this.isEmpty) return false;
    if (this.#isBelowPin(tree, ino)) return true;
    const inode = tree.get(ino);
    if (inode === undefined || inode.furtherNames === 0 || !tree.isShown(inode)) return false;
    return tree.further.of(ino).some(({ parent }) => this.#isBelowPin(tree, parent));
  }

  #isBelowPin(tree: Tree, ino: Ino): boolean {
    let isPinned = false;
    for (const at of tree.upwards(ino)) {
      isPinned ||= this.#inos.has(at.ino);
      // An inode that does not reach the root is out of sight.
      if (tree.isRoot(at)) return isPinned;
    }
    return false;
  }

  /** `now`: ms. False: it was pinned already. */
  add(ino: Ino, now: number): boolean {
    if (this.#inos.has(ino)) return false;
    this.#add.run(ino, now);
    this.#inos.add(ino);
    return true;
  }

  /** False: it was not pinned. */
  remove(ino: Ino): boolean {
    this.#remove.run(ino);
    return this.#inos.delete(ino);
  }
}
