/**
 * Table `link`: the further names of inodes (hard links). An inode's first name is in its own row, and is the name of its object at the
 * service.
 *
 * A further name is shown while its inode has its first name. If another client removes the object, all its names disappear; if a listing
 * shows it again elsewhere, they reappear. Meanwhile other entries may take them.
 */
import type { Sql, Statement } from '../base/sqlite.js';
import type { Ino } from './inode.js';

export interface FurtherName {
  /** Never reused: see `positionOf`. */
  readonly id: number;
  readonly parent: Ino;
  readonly name: string;
  readonly ino: Ino;
}

/** Lower positions in a listing are those of first names: their inode numbers. No table has so many rows. */
const FIRST_POSITION = 2 ** 48;

/** The position of a further name in its directory's listing. It stays the same while the name exists. */
export function positionOf({ id }: Pick<FurtherName, 'id'>): number {
  return FIRST_POSITION + id;
}

export class FurtherNames {
  readonly #sql: Sql;
  readonly #find: Statement;
  readonly #of: Statement;
  readonly #ofIn: Statement;
  readonly #newest: Statement;
  readonly #newestIn: Statement;
  readonly #after: Statement;
  readonly #insert: Statement;
  readonly #move: Statement;
  readonly #remove: Statement;
  /** The number of further names in each directory; null: not read yet. Most directories have none, and cost no query. */
  #counts: Map<Ino, number> | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#find = sql.prepare('SELECT id, parent, name, ino FROM link WHERE parent = ? AND name = ?');
    this.#of = sql.prepare('SELECT id, parent, name, ino FROM link WHERE ino = ? ORDER BY id');
    this.#ofIn = sql.prepare('SELECT id, parent, name, ino FROM link WHERE ino = ? AND parent = ? ORDER BY id');
    this.#newest = sql.prepare('SELECT id, parent, name, ino FROM link WHERE ino = ? ORDER BY id DESC LIMIT 1');
    this.#newestIn = sql.prepare(
      'SELECT id, parent, name, ino FROM link WHERE ino = ? AND parent = ? ORDER BY id DESC LIMIT 1',
    );
    this.#after = sql.prepare(
      'SELECT id, parent, name, ino FROM link WHERE parent = ? AND name > ? ORDER BY name LIMIT ?',
    );
    this.#insert = sql.prepare('INSERT INTO link (parent, name, ino) VALUES (?, ?, ?)');
    this.#move = sql.prepare('UPDATE link SET parent = ?, name = ? WHERE id = ?');
    this.#remove = sql.prepare('DELETE FROM link WHERE id = ?');
  }

  countIn(directory: Ino): number {
    return this.#countsNow().get(directory) ?? 0;
  }

  find(parent: Ino, name: string): FurtherName | undefined {
    return this.countIn(parent) === 0 ? undefined : (this.#find.get(parent, name) as FurtherName | undefined);
  }

  /** All further names of an inode, or those in one directory; oldest first. */
  of(ino: Ino, directory?: Ino): FurtherName[] {
    return (directory === undefined ? this.#of.all(ino) : this.#ofIn.all(ino, directory)) as FurtherName[];
  }

  /** The newest further name of an inode, anywhere or in one directory. */
  newestOf(ino: Ino, directory?: Ino): FurtherName | undefined {
    const found = directory === undefined ? this.#newest.get(ino) : this.#newestIn.get(ino, directory);
    return found as FurtherName | undefined;
  }

  /** At most `limit` further names in a directory that follow `name` in byte order. */
  after(parent: Ino, name: string, limit: number): FurtherName[] {
    return this.countIn(parent) === 0 ? [] : (this.#after.all(parent, name, limit) as FurtherName[]);
  }

  add(parent: Ino, name: string, ino: Ino): void {
    const counts = this.#countsNow();
    this.#insert.run(parent, name, ino);
    counts.set(parent, (counts.get(parent) ?? 0) + 1);
  }

  move({ id, parent }: FurtherName, to: Pick<FurtherName, 'parent' | 'name'>): void {
    const counts = this.#countsNow();
    this.#move.run(to.parent, to.name, id);
    this.#uncount(counts, parent);
    counts.set(to.parent, (counts.get(to.parent) ?? 0) + 1);
  }

  remove({ id, parent }: FurtherName): void {
    const counts = this.#countsNow();
    this.#remove.run(id);
    this.#uncount(counts, parent);
  }

  /** Removes further names if their inode or directory is gone. Answers the inodes that have lost some. */
  sweep(): Ino[] {
    if (this.#countsNow().size === 0) return [];
    const gone = 'ino NOT IN (SELECT ino FROM inode) OR parent NOT IN (SELECT ino FROM inode)';
    const inos = this.#sql.prepare(`SELECT DISTINCT ino FROM link WHERE ${gone}`).pluck().all() as Ino[];
    this.#sql.exec(`DELETE FROM link WHERE ${gone}`);
    this.forgetCounts();
    return inos;
  }

  /** Drops the counts after a rollback. */
  forgetCounts(): void {
    this.#counts = null;
  }

  #countsNow(): Map<Ino, number> {
    if (this.#counts === null) {
      const rows = this.#sql.prepare('SELECT parent, COUNT(*) FROM link GROUP BY parent').raw().all();
      this.#counts = new Map(rows as [Ino, number][]);
    }
    return this.#counts;
  }

  #uncount(counts: Map<Ino, number>, directory: Ino): void {
    const left = (counts.get(directory) ?? 0) - 1;
    if (left > 0) counts.set(directory, left);
    else counts.delete(directory);
  }
}
