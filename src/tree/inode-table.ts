/**
 * The inode table: every object that the mount has heard of, one SQLite row each.
 *
 * Callers get rows as immutable snapshots, which a bounded memory cache keeps. Invariant: a row whose object loses its name
 * keeps its number (`parent` null). So an object that another client moved is recognized when a listing shows it elsewhere,
 * and open files go on. `sweep` removes such rows when they cannot be needed any more.
 */
import { LRUCache } from 'lru-cache';
import { SyncmountError } from '../base/errors.js';
import { entriesPerTurn } from '../base/event-loop-turns.js';
import { type Sql, type Statement, transactionsOf } from '../base/sqlite.js';
import type { RemoteEntry } from '../providers/provider.js';
import { emptyOverlay, type Ino, type Inode, type Overlay } from './inode.js';
import { NameCache } from './name-cache.js';
import {
  type InodeRow,
  inodeOf,
  insertInode,
  isSamePlace,
  isSameRow,
  parametersOf,
  rowColumns,
  updateInode,
  updateInodeInPlace,
} from './rows.js';
import { XattrTable } from './xattr-table.js';

/** Snapshots kept in memory, about 600 bytes each: 20 MB at the most. */
const CACHED_INODES = 32_768;

/** Counts of subdirectories kept in memory, about 50 bytes each. */
const CACHED_COUNTS = 32_768;

/** Rows are numbered from 1. */
const NO_INODE: Ino = 0;

/** The changes in a directory since `watch`. */
export interface DirectoryWatch {
  /** Objects that came, went, or changed in any way. */
  readonly inos: Set<Ino>;
  /** Names that were given. */
  readonly names: Set<string>;
}

export class InodeTable {
  readonly sql: Sql;
  readonly xattrs: XattrTable;
  readonly #transaction: <T>(act: () => T) => T;
  readonly #cache = new LRUCache<Ino, Inode>({ max: CACHED_INODES });
  readonly #names: NameCache;
  readonly #subdirectories = new LRUCache<Ino, number>({ max: CACHED_COUNTS });
  readonly #byIno: Statement;
  readonly #byName: Statement;
  readonly #byRemote: Statement;
  readonly #children: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #updateInPlace: Statement;
  readonly #count: Statement;
  readonly #namesAfter: Statement;
  readonly #countUpTo: Statement;
  readonly #countDirectories: Statement;
  readonly #watches = new Map<Ino, Set<DirectoryWatch>>();
  /** By the id of a file: see `noteUnlisted`. */
  readonly #unlisted = new Map<string, Pick<Inode, 'ino' | 'parent' | 'name'>>();

  constructor(sql: Sql) {
    this.sql = sql;
    this.xattrs = new XattrTable(sql);
    this.#transaction = transactionsOf(sql);
    this.#byIno = sql.prepare(`SELECT ${rowColumns} FROM inode WHERE ino = ?`).raw();
    this.#byName = sql.prepare('SELECT ino FROM inode WHERE parent = ? AND name = ?').pluck();
    this.#byRemote = sql.prepare('SELECT ino FROM inode WHERE kind = ? AND remote_id = ?').pluck();
    this.#children = sql.prepare(`SELECT ${rowColumns} FROM inode WHERE parent = ? ORDER BY ino`).raw();
    this.#insert = sql.prepare(insertInode);
    this.#update = sql.prepare(updateInode);
    this.#updateInPlace = sql.prepare(updateInodeInPlace);
    const names = sql.prepare('SELECT name, ino FROM inode WHERE parent = ? LIMIT ?').raw();
    this.#names = new NameCache((directory, limit) => names.all(directory, limit) as [string, Ino][]);
    this.#namesAfter = sql
      .prepare('SELECT name, ino FROM inode WHERE parent = ? AND name > ? ORDER BY name LIMIT ?')
      .raw();
    this.#countUpTo = sql.prepare('SELECT COUNT(*) FROM (SELECT 1 FROM inode WHERE parent = ? LIMIT ?)').pluck();
    this.#countDirectories = sql.prepare('SELECT COUNT(*) FROM inode WHERE parent = ? AND kind = 1').pluck();
    this.#count = sql.prepare('SELECT COUNT(*) FROM inode WHERE parent IS NOT NULL').pluck();
  }

  get(ino: Ino): Inode | undefined {
    const cached = this.#cache.get(ino);
    if (cached !== undefined) return cached;
    const row = this.#byIno.get(ino) as InodeRow | undefined;
    if (row === undefined) return undefined;
    return this.#remember(inodeOf(row));
  }

  child(parent: Ino, name: string): Inode | undefined {
    const names = this.#names.namesIn(parent);
    const ino = names === undefined ? (this.#byName.get(parent, name) as Ino | undefined) : names.get(name);
    return ino === undefined ? undefined : this.get(ino);
  }

  byRemote(kind: RemoteEntry['kind'], id: string): Inode | undefined {
    const ino = this.#byRemote.get(kind === 'folder' ? 1 : 0, id) as Ino | undefined;
    return ino === undefined ? undefined : this.get(ino);
  }

  /**
   * The file is missing in the listing of its folder, and its row goes on without it, since it holds content that is not stored. If
   * another client has moved the file, the listing of another folder shows it again. Known until the mount ends; then the upload finds out.
   */
  noteUnlisted(id: string, { ino, parent, name }: Inode): void {
    this.#unlisted.set(id, { ino, parent, name });
  }

  /** The row that went on without this file, if it still does. */
  unlisted(id: string): Inode | undefined {
    const noted = this.#unlisted.get(id);
    if (noted === undefined) return undefined;
    this.#unlisted.delete(id);
    const row = this.get(noted.ino);
    if (row === undefined || row.remote !== null || row.localSize === null) return undefined;
    // A name that was given here since is newer than the move.
    return row.parent === noted.parent && row.name === noted.name ? row : undefined;
  }

  /** As `get`, for a scan of so many rows that they would push all others out of the memory cache. */
  peek(ino: Ino): Inode | undefined {
    const cached = this.#cache.peek(ino);
    if (cached !== undefined) return cached;
    const row = this.#byIno.get(ino) as InodeRow | undefined;
    return row === undefined ? undefined : inodeOf(row);
  }

  hasChildren(parent: Ino): boolean {
    return this.#countUpTo.get(parent, 1) === 1;
  }

  /** The number of directories in a directory, as far as they are known. A query at the first call only. */
  subdirectoriesOf(directory: Ino): number {
    const known = this.#subdirectories.get(directory);
    if (known !== undefined) return known;
    const count = this.#countDirectories.get(directory) as number;
    this.#subdirectories.set(directory, count);
    return count;
  }

  /** Has the directory more children than may be read at once? See `scanning`. */
  isLarge(parent: Ino): boolean {
    return this.#countUpTo.get(parent, entriesPerTurn + 1) === entriesPerTurn + 1;
  }

  /** At most `limit` names in a directory that come after `name` in the order of their bytes. */
  namesAfter(parent: Ino, name: string, limit: number): (readonly [string, Ino])[] {
    return this.#namesAfter.all(parent, name, limit) as [string, Ino][];
  }

  /** Records the changes in a directory until `unwatch`. */
  watch(directory: Ino): DirectoryWatch {
    const watch: DirectoryWatch = { inos: new Set(), names: new Set() };
    const others = this.#watches.get(directory);
    if (others === undefined) this.#watches.set(directory, new Set([watch]));
    else others.add(watch);
    return watch;
  }

  unwatch(directory: Ino, watch: DirectoryWatch): void {
    const watches = this.#watches.get(directory);
    watches?.delete(watch);
    if (watches?.size === 0) this.#watches.delete(directory);
  }

  /** Every child of a directory that is not large, ordered by inode number. */
  children(parent: Ino): Inode[] {
    return (this.#children.all(parent) as InodeRow[]).map((row) => this.#cache.get(row[0]) ?? inodeOf(row));
  }

  /** The inode and the directories above it, innermost first. Ends also where a damaged table has a cycle. */
  *upwards(ino: Ino): Generator<Inode> {
    const seen = new Set<Ino>();
    for (let at = this.get(ino); at !== undefined && !seen.has(at.ino); at = this.get(at.parent ?? NO_INODE)) {
      seen.add(at.ino);
      yield at;
    }
  }

  /** Is `ino` the directory itself, or anywhere below it? */
  isWithin(ino: Ino, directory: Ino): boolean {
    for (const at of this.upwards(ino)) if (at.ino === directory) return true;
    return false;
  }

  /** Is it the account's root? The root has no name, and lies in no folder at the provider either. */
  isRoot({ parent, remote }: Inode): boolean {
    return parent === null && remote !== null && remote.parentId === null;
  }

  /**
   * Call before `directory` is moved into `parent` where the table has `parent` below `directory`. Another client swapped the
   * two, so a directory on the way from `directory` down to `parent` lies elsewhere now. The child of `directory` on that way
   * loses its name until a listing shows it again. Answers that child as it was; undefined where there was no cycle.
   */
  breakCycle(directory: Ino, parent: Ino): Inode | undefined {
    for (const at of this.upwards(parent)) {
      if (at.parent !== directory) continue;
      this.update(at.ino, { parent: null });
      return at;
    }
    return undefined;
  }

  /** Every directory whose listing is known. */
  listedDirectories(): Ino[] {
    return this.sql.prepare('SELECT ino FROM inode WHERE kind = 1 AND listed_at IS NOT NULL').pluck().all() as Ino[];
  }

  /** Every directory with a file in it, or further below, whose content is not stored yet (by the journal). */
  directoriesOfUnstored(): Set<Ino> {
    const files = this.sql.prepare('SELECT ino FROM upload').pluck().all() as Ino[];
    return this.#withAncestors(new Set(files.flatMap((ino) => this.get(ino)?.parent ?? [])));
  }

  /** The number of objects that have a name. */
  count(): number {
    return this.#count.get() as number;
  }

  insert(fields: Partial<Omit<Inode, 'ino'>> & Pick<Inode, 'parent' | 'name' | 'kind'>): Inode {
    const whole = {
      remote: null,
      listedAt: null,
      confirmedAt: null,
      localSize: null,
      overlay: emptyOverlay,
      target: null,
      rdev: 0,
      ...fields,
    };
    const ino = Number(this.#insert.run(parametersOf(whole)).lastInsertRowid);
    this.#notify(ino, null, whole);
    return this.#remember({ ino, ...whole });
  }

  /** Changes fields of a row and answers the new snapshot. The row must exist. Throws `circle` where it would lie in itself. */
  update(ino: Ino, change: Partial<Omit<Inode, 'ino'>>): Inode {
    const before = this.get(ino);
    if (before === undefined) throw new Error(`inode ${ino} does not exist`);
    const { parent } = change;
    if (typeof parent === 'number' && parent !== before.parent) this.#requireTree(before, parent);
    const after = { ...before, ...change };
    const parameters = parametersOf(after);
    // A write that changes nothing costs as much as one that does.
    const old = parametersOf(before);
    if (!isSameRow(parameters, old))
      (isSamePlace(parameters, old) ? this.#updateInPlace : this.#update).run(parameters);
    this.#notify(ino, before, after);
    return this.#remember(after);
  }

  updateOverlay(ino: Ino, change: Partial<Overlay>): Inode {
    const before = this.get(ino);
    if (before === undefined) throw new Error(`inode ${ino} does not exist`);
    return this.update(ino, { overlay: { ...before.overlay, ...change } });
  }

  /** Runs `act` as one transaction. On an error the changes are rolled back and the memory caches dropped. */
  transaction<T>(act: () => T): T {
    try {
      return this.#transaction(act);
    } catch (error) {
      this.#cache.clear();
      this.#names.clear();
      this.#subdirectories.clear();
      throw error;
    }
  }

  /**
   * Removes rows without a name and all rows below them, and files that are not at the provider: the process died while it
   * made them. It spares the rows in `keep` and the directories above them. For the start of a mount, when no file is open.
   */
  sweep(keep: ReadonlySet<Ino>): void {
    const needed = this.#withAncestors(keep);
    const doomed = this.sql
      // The account's root has no name either, but it is at the provider, and in no folder there.
      .prepare(
        `WITH RECURSIVE doomed(ino) AS (
           SELECT ino FROM inode WHERE parent IS NULL AND (remote_id IS NULL OR remote_parent IS NOT NULL)
           UNION SELECT ino FROM inode WHERE kind = 0 AND remote_id IS NULL
           UNION SELECT inode.ino FROM inode JOIN doomed ON inode.parent = doomed.ino
         ) SELECT ino FROM doomed`,
      )
      .pluck()
      .all() as Ino[];
    const remove = this.sql.prepare('DELETE FROM inode WHERE ino = ?');
    this.transaction(() => {
      for (const ino of doomed) {
        if (needed.has(ino)) continue;
        remove.run(ino);
        this.xattrs.removeAll(ino);
        this.#cache.delete(ino);
      }
      this.#names.clear();
      this.#subdirectories.clear();
    });
  }

  #withAncestors(inos: ReadonlySet<Ino>): Set<Ino> {
    const all = new Set<Ino>();
    for (const ino of inos) for (const at of this.upwards(ino)) all.add(at.ino);
    return all;
  }

  #notify(ino: Ino, before: Inode | null, after: Omit<Inode, 'ino'>): void {
    this.#names.moved(ino, before, after);
    if (after.kind === 'directory' && before?.parent !== after.parent) {
      this.#countSubdirectory(before?.parent ?? null, -1);
      this.#countSubdirectory(after.parent, 1);
    }
    if (this.#watches.size === 0) return;
    for (const parent of new Set([before?.parent, after.parent]))
      for (const watch of this.#watches.get(parent ?? NO_INODE) ?? []) {
        watch.inos.add(ino);
        if (parent === after.parent) watch.names.add(after.name);
      }
  }

  #countSubdirectory(parent: Ino | null, change: number): void {
    const count = parent === null ? undefined : this.#subdirectories.peek(parent);
    if (parent !== null && count !== undefined) this.#subdirectories.set(parent, count + change);
  }

  /** Throws `circle` where a server would have the root in a directory, or a directory in itself. */
  #requireTree(inode: Inode, parent: Ino): void {
    const isCircle = inode.kind === 'directory' && this.isWithin(parent, inode.ino);
    if (isCircle || this.isRoot(inode))
      throw new SyncmountError('circle', `the service says that ${inode.name || '/'} is in itself`, {
        data: { ino: inode.ino, parent },
      });
  }

  #remember(inode: Inode): Inode {
    this.#cache.set(inode.ino, inode);
    return inode;
  }
}
