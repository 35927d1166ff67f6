/**
 * The inode table: every object that the mount knows, one SQLite row each.
 *
 * Callers get rows as immutable snapshots, which a bounded memory cache keeps. Invariant: if an object loses its name, its row keeps its
 * number, with `parent` null. So open files stay usable, and an object that another client moved is recognized when a listing shows it
 * elsewhere. `sweep` removes such rows when nothing needs them any more.
 */
import { SyncmountError } from '../base/errors.js';
import { entriesPerTurn } from '../base/event-loop-turns.js';
import { lruOf } from '../base/lru.js';
import { type Sql, type Statement, transactionsOf } from '../base/sqlite.js';
import type { RemoteEntry } from '../providers/provider.js';
import { type DirectoryWatch, DirectoryWatches } from './directory-watches.js';
import { type FurtherName, FurtherNames } from './further-names.js';
import { type Ino, type Inode, isFirstName, listedInode, newInode, type Overlay } from './inode.js';
import { type FirstAttributes, type ListedRow, ListedRows } from './listed-rows.js';
import { NameCache, type Named } from './name-cache.js';
import { PinTable } from './pin-table.js';
import { RowUpdates } from './row-updates.js';
import { type InodeRow, inodeOf, insertInode, parametersOf, rowColumns } from './rows.js';
import { SubdirectoryCounts } from './subdirectory-counts.js';
import { sweepRows } from './sweeping.js';
import { UnlistedFiles } from './unlisted-files.js';
import { XattrTable } from './xattr-table.js';

/** Snapshots kept in memory, about 1 KB each: at most 16 MB. A walk needs those of the directories that are listed ahead of it. */
const CACHED_INODES = 16_384;

/** Rows are numbered from 1. */
const NO_INODE: Ino = 0;
export class InodeTable {
  readonly sql: Sql;
  /** Called after each change of a row, in the transaction that makes it. `before` is null for a new row. */
  onChange: ((ino: Ino, before: Inode | null, after: Omit<Inode, 'ino'>) => void) | null = null;
  /** Called like `onChange`, for pins. Null while nothing is pinned. */
  onContentChange: ((ino: Ino, before: Inode | null, after: Omit<Inode, 'ino'>) => void) | null = null;
  /** Called in the transaction in which an inode gets (`given`), loses (`left`) or moves a further name. */
  onFurtherName: ((ino: Ino, left: Named | null, given: Named | null) => void) | null = null;
  /** Answers first attributes for new rows of a listing. Null: rows have only the listing's. */
  firstAttributes: ((parent: Ino, rows: readonly ListedRow[]) => FirstAttributes | null) | null = null;
  /** Inodes that this mount named or stored while their directory was being listed: no listing has shown their present names yet. */
  readonly unlistedNames = new Set<Ino>();
  /** The number of changes of rows and names since the mount began. */
  changes = 0;
  /** True while changes come from a listing, and not from this machine. */
  isMerging = false;
  readonly xattrs: XattrTable;
  readonly pins: PinTable;
  /** For reading only: changes go through the methods here. Includes names of inodes that are out of sight (`isShown`). */
  readonly further: FurtherNames;
  readonly #transaction: <T>(act: () => T) => T;
  readonly #cache = lruOf<Ino, Inode>(CACHED_INODES);
  readonly #names: NameCache;
  readonly #subdirectories: SubdirectoryCounts;
  readonly #listedRows: ListedRows;
  readonly #byIno: Statement;
  readonly #byName: Statement;
  readonly #byRemote: Statement;
  readonly #children: Statement;
  readonly #childInos: Statement;
  readonly #insert: Statement;
  readonly #updates: RowUpdates;
  readonly #highest: Statement;
  readonly #namesAfter: Statement;
  readonly #countUpTo: Statement;
  readonly #watches = new DirectoryWatches();
  readonly unchanged = this.#watches.unchanged;
  readonly unlisted = new UnlistedFiles((ino) => this.get(ino));

  constructor(sql: Sql) {
    this.sql = sql;
    this.xattrs = new XattrTable(sql);
    this.pins = new PinTable(sql);
    this.#subdirectories = new SubdirectoryCounts(sql);
    this.#listedRows = new ListedRows(sql);
    this.#transaction = transactionsOf(sql);
    this.#byIno = sql.prepare(`SELECT ${rowColumns} FROM inode WHERE ino = ?`).raw();
    this.#byName = sql.prepare('SELECT ino FROM inode WHERE parent = ? AND name = ?').pluck();
    this.#byRemote = sql.prepare('SELECT ino FROM inode WHERE kind = ? AND remote_id = ?').pluck();
    this.#children = sql.prepare(`SELECT ${rowColumns} FROM inode WHERE parent = ? ORDER BY ino`).raw();
    this.#childInos = sql.prepare('SELECT ino FROM inode WHERE parent = ? ORDER BY ino').pluck();
    this.#insert = sql.prepare(insertInode);
    this.#updates = new RowUpdates(sql);
    this.further = new FurtherNames(sql);
    // First names come later in the result, because they hide further names that are out of sight.
    const names = sql
      .prepare(
        'SELECT name, ino FROM link WHERE parent = @in UNION ALL SELECT name, ino FROM inode WHERE parent = @in LIMIT @most',
      )
      .raw();
    this.#names = new NameCache((directory, most) => names.all({ in: directory, most }) as [string, Ino][]);
    this.#namesAfter = sql
      .prepare('SELECT name, ino FROM inode WHERE parent = ? AND name > ? ORDER BY name LIMIT ?')
      .raw();
    this.#countUpTo = sql.prepare('SELECT COUNT(*) FROM (SELECT 1 FROM inode WHERE parent = ? LIMIT ?)').pluck();
    this.#highest = sql.prepare('SELECT MAX(ino) FROM inode').pluck();
  }

  get(ino: Ino): Inode | undefined {
    const cached = this.#cache.get(ino);
    if (cached !== undefined) return cached;
    const inode = this.#read(ino);
    return inode === undefined ? undefined : this.#remember(inode);
  }

  child(parent: Ino, name: string): Inode | undefined {
    const names = this.#names.namesIn(parent);
    const ino = names === undefined ? this.#inoNamed(parent, name) : names.get(name);
    const inode = ino === undefined ? undefined : this.get(ino);
    return inode === undefined || isFirstName(inode, parent, name) || this.isShown(inode) ? inode : undefined;
  }

  #inoNamed(parent: Ino, name: string): Ino | undefined {
    return (this.#byName.get(parent, name) as Ino | undefined) ?? this.further.find(parent, name)?.ino;
  }

  /** True if the inode is in the tree. Else another client has removed its object, or a directory above it. */
  isShown(inode: Inode): boolean {
    for (const at of this.upwards(inode.ino)) if (this.isRoot(at)) return true;
    return false;
  }

  /** True if the name is in use, also by a further name of an inode that is out of sight. */
  isTaken(parent: Ino, name: string): boolean {
    return this.#inoNamed(parent, name) !== undefined;
  }

  /** Gives an inode a further name. The place must be free. */
  addName(ino: Ino, parent: Ino, name: string): Inode {
    this.#clearPlace(ino, parent, name);
    this.further.add(parent, name, ino);
    this.#moved(ino, null, { parent, name });
    const inode = this.update(ino, { furtherNames: this.#required(ino).furtherNames + 1 });
    this.onFurtherName?.(ino, null, { parent, name });
    return inode;
  }

  /** Removes a further name. */
  removeName(found: FurtherName): Inode {
    this.further.remove(found);
    this.#moved(found.ino, found, { parent: null, name: found.name });
    this.onFurtherName?.(found.ino, found, null);
    return this.update(found.ino, { furtherNames: this.#required(found.ino).furtherNames - 1 });
  }

  /** Moves a further name to a free place. It keeps its position in listings. */
  moveName(found: FurtherName, parent: Ino, name: string): void {
    this.#clearPlace(found.ino, parent, name);
    this.further.move(found, { parent, name });
    this.#moved(found.ino, found, { parent, name });
    this.onFurtherName?.(found.ino, found, { parent, name });
    this.onContentChange?.(found.ino, null, this.#required(found.ino));
  }

  /** Frees a place for a new name of an inode. Removes a further name that is there, which must be out of sight or the inode's own. */
  #clearPlace(ino: Ino, parent: Ino, name: string): void {
    const found = this.further.find(parent, name);
    if (found === undefined) return;
    if (found.ino !== ino && this.isShown(this.#required(found.ino))) throw new Error(`${name} is taken in ${parent}`);
    this.removeName(found);
  }

  #required(ino: Ino): Inode {
    const inode = this.get(ino);
    if (inode === undefined) throw new Error(`inode ${ino} does not exist`);
    return inode;
  }

  byRemote(kind: RemoteEntry['kind'], id: string): Inode | undefined {
    const ino = this.#byRemote.get(kind === 'folder' ? 1 : 0, id) as Ino | undefined;
    return ino === undefined ? undefined : this.get(ino);
  }

  /** Like `get`, for scans of so many rows that they would evict all others from the memory cache. */
  peek(ino: Ino): Inode | undefined {
    return this.#cache.peek(ino) ?? this.#read(ino);
  }

  #read(ino: Ino): Inode | undefined {
    const row = this.#byIno.get(ino);
    return row === undefined ? undefined : inodeOf(row as InodeRow);
  }

  hasChildren(parent: Ino): boolean {
    if (this.#countUpTo.get(parent, 1) === 1) return true;
    return this.further.after(parent, '', Number.MAX_SAFE_INTEGER).some(({ ino }) => this.isShown(this.#required(ino)));
  }

  /** The number of known directories in a directory. Only the first call costs a query. */
  subdirectoriesOf(directory: Ino): number {
    return this.#subdirectories.of(directory);
  }

  /** True if the directory has more children than may be read at once. See `scanning`. */
  isLarge(parent: Ino): boolean {
    if (this.further.countIn(parent) > entriesPerTurn) return true;
    return this.#countUpTo.get(parent, entriesPerTurn + 1) === entriesPerTurn + 1;
  }

  /** At most `limit` first names in a directory that follow `name` in byte order. */
  namesAfter(parent: Ino, name: string, limit: number): (readonly [string, Ino])[] {
    return this.#namesAfter.all(parent, name, limit) as [string, Ino][];
  }

  /** Records the changes in a directory until `unwatch`. */
  watch(directory: Ino): DirectoryWatch {
    return this.#watches.watch(directory);
  }

  unwatch(directory: Ino, watch: DirectoryWatch): void {
    this.#watches.unwatch(directory, watch);
  }

  /** The inodes with their first name in a directory, which must not be large; ordered by inode number. */
  children(parent: Ino): Inode[] {
    const inos = this.#childInos.all(parent) as Ino[];
    // The usual case after a listing. Else one query for all rows is faster than one for each.
    if (inos.every((ino) => this.#cache.has(ino))) return inos.map((ino) => this.#required(ino));
    return (this.#children.all(parent) as InodeRow[]).map((row) => this.#cache.get(row[0]) ?? inodeOf(row));
  }

  /** The inode and the directories above it, innermost first. Ends even if a damaged table has a cycle. */
  *upwards(ino: Ino): Generator<Inode> {
    const seen = new Set<Ino>();
    for (let at = this.get(ino); at !== undefined && !seen.has(at.ino); at = this.get(at.parent ?? NO_INODE)) {
      seen.add(at.ino);
      yield at;
    }
  }

  /** True if `ino` is the directory itself, or anywhere below it. */
  isWithin(ino: Ino, directory: Ino): boolean {
    for (const at of this.upwards(ino)) if (at.ino === directory) return true;
    return false;
  }

  /** True for the account's root: it has no name, and is in no folder at the provider. */
  isRoot({ parent, remote }: Inode): boolean {
    return parent === null && remote !== null && remote.parentId === null;
  }

  /**
   * Call before `directory` is moved into `parent` if the table has `parent` below `directory`. Another client has swapped the two, so
   * a directory on the way from `directory` down to `parent` is elsewhere now. The child of `directory` on that way loses its name until
   * a listing shows it again. Answers that child as it was; undefined if there was no cycle.
   */
  breakCycle(directory: Ino, parent: Ino): Inode | undefined {
    for (const at of this.upwards(parent)) {
      if (at.parent !== directory) continue;
      this.update(at.ino, { parent: null });
      return at;
    }
    return undefined;
  }

  /** All directories with a listing. */
  listedDirectories(): Ino[] {
    return this.sql.prepare('SELECT ino FROM inode WHERE kind = 1 AND listed_at IS NOT NULL').pluck().all() as Ino[];
  }

  /** All directories above a file with content that is not stored yet, by the journal. */
  directoriesOfUnstored(): Set<Ino> {
    const files = this.sql.prepare('SELECT ino FROM upload').pluck().all() as Ino[];
    return this.#withAncestors(new Set(files.flatMap((ino) => this.get(ino)?.parent ?? [])));
  }

  /** An upper bound of the number of objects: the highest inode number. Counting a million takes longer than `df` may. */
  countAtMost(): number {
    return this.latestIno();
  }

  /** The highest inode number. Later inserts get higher numbers. */
  latestIno(): Ino {
    return (this.#highest.get() as number | null) ?? NO_INODE;
  }

  insert(fields: Partial<Omit<Inode, 'ino'>> & Pick<Inode, 'parent' | 'name' | 'kind'>): Inode {
    const whole = { ...newInode, ...fields };
    if (whole.parent !== null) this.#clearPlace(NO_INODE, whole.parent, whole.name);
    const ino = Number(this.#insert.run(parametersOf(whole)).lastInsertRowid);
    return this.#inserted({ ino, ...whole });
  }

  /**
   * Inserts new objects of a listing. Answers those that were not inserted because the table knows them, in any directory. No entry of
   * the directory may have one of the names.
   */
  insertListed(parent: Ino, rows: readonly ListedRow[]): ListedRow[] {
    const first = this.firstAttributes?.(parent, rows);
    const overlays = first?.overlays ?? [];
    const inos = this.#listedRows.insert(parent, rows, overlays);
    const known = rows.filter(({ name, entry }, at) => {
      const ino = inos[at];
      if (ino === undefined) return true;
      this.#inserted(listedInode(ino, parent, name, entry, overlays[at] ?? undefined));
      return false;
    });
    first?.inserted(inos);
    return known;
  }

  #inserted(made: Inode): Inode {
    this.#notify(made.ino, null, made);
    this.#remember(made);
    this.onChange?.(made.ino, null, made);
    this.onContentChange?.(made.ino, null, made);
    return made;
  }

  /** Changes fields of a row and answers the new snapshot. The row must exist. Throws `circle` if it would be in itself. */
  update(ino: Ino, change: Partial<Omit<Inode, 'ino'>>): Inode {
    const { parent } = change;
    if (typeof parent === 'number' && parent !== this.#required(ino).parent)
      this.#requireTree(this.#required(ino), parent);
    if (parent !== undefined || change.name !== undefined) this.#toPlace(ino, change);
    const before = this.#required(ino);
    const after = { ...before, ...change };
    this.#updates.write(before, after, change);
    this.#notify(ino, before, after);
    this.#remember(after);
    this.onChange?.(ino, before, after);
    this.onContentChange?.(ino, before, after);
    return after;
  }

  /** Frees the place of an inode's new first name. If that was a further name of the inode, it is one no longer. */
  #toPlace(ino: Ino, change: Partial<Pick<Inode, 'parent' | 'name'>>): void {
    const before = this.#required(ino);
    const { parent = before.parent, name = before.name } = change;
    if (parent !== null && !isFirstName(before, parent, name)) this.#clearPlace(ino, parent, name);
  }

  updateOverlay(ino: Ino, change: Partial<Overlay>): Inode {
    return this.update(ino, { overlay: { ...this.#required(ino).overlay, ...change } });
  }

  /** Runs `act` as one transaction. An error rolls the changes back and drops the memory caches. */
  transaction<T>(act: () => T): T {
    try {
      return this.#transaction(act);
    } catch (error) {
      this.#cache.clear();
      this.#names.clear();
      this.#subdirectories.clear();
      this.further.forgetCounts();
      throw error;
    }
  }

  /**
   * Removes rows without a name and all rows below them, and files that the service does not have: the process died while it made them. It
   * spares the rows in `keep` and the directories above them. For the start of a mount, when no file is open.
   */
  sweep(keep: ReadonlySet<Ino>): void {
    const needed = this.#withAncestors(keep);
    this.transaction(() => sweepRows(this.sql, this, needed));
    this.#cache.clear();
    this.#names.clear();
    this.#subdirectories.clear();
  }

  #withAncestors(inos: ReadonlySet<Ino>): Set<Ino> {
    const all = new Set<Ino>();
    for (const ino of inos) for (const at of this.upwards(ino)) all.add(at.ino);
    return all;
  }

  #notify(ino: Ino, before: Inode | null, after: Omit<Inode, 'ino'>): void {
    this.#moved(ino, before, after);
    this.#subdirectories.moved(after.kind, before?.parent ?? null, after.parent);
  }

  /** Tells the caches and watches that a name was added, removed, moved or changed. */
  #moved(ino: Ino, before: Named | null, after: Named): void {
    this.changes++;
    this.#names.moved(ino, before, after);
    if (this.#watches.isEmpty) return;
    if (before?.parent != null && before.parent !== after.parent) this.#watches.changed(before.parent, ino, null);
    if (after.parent !== null) this.#watches.changed(after.parent, ino, after.name);
  }

  /** Throws `circle` if a server puts the root into a directory, or a directory into itself. */
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
