/**
 * Merges the provider's listing of a directory into its rows, in pieces. Each piece is a transaction, and other requests have
 * a turn between two pieces. Each entry is counted up to ten times, so a listing of fifty entries is one piece.
 *
 * Invariant: between pieces, and after a crash there, each object is as the old listing had it or as the new one has it.
 *
 * - A name that is in both listings exists all the time: an object gets its new name in the piece in which the present holder
 *   loses it, and so on along the whole chain of names that pass from object to object.
 * - A change that this mount makes meanwhile wins: each piece reads the rows as they are by then (`DirectoryWatch`), and skips
 *   objects that this mount has changed (`LocalChanges`).
 * - The directory counts as listed only with the last piece.
 */
import { inTurns, Pieces } from '../base/event-loop-turns.js';
import { mayBecome } from '../providers/names.js';
import type { RemoteEntry } from '../providers/provider.js';
import type { DirectoryWatch } from './directory-watches.js';
import { type Ino, type Inode, isFirstName } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { listedEntries } from './listed-entries.js';
import type { ListedRow } from './listed-rows.js';
import { keyOf, type ListingChanges, newRow, type RequestTime, rowChanges } from './listing.js';
import { assigningLocalNames, candidate, type GivenName } from './local-names.js';
import { asPieceOfMerge } from './merge-piece.js';
import { furtherNamesIn, scanning } from './scan.js';
import { isUnusual, listedName } from './silent-renames.js';

/**
 * Merges a complete listing into the table; `listedAt` is written to the directory's row with the last piece. Whatever the listing says, it keeps files with content
 * that is not stored yet, and directories with such a file below them. With `impliesFolders` it keeps every directory: such a
 * provider has folders only through the files in them, so an empty one exists only here.
 */
export async function mergeListing(
  table: InodeTable,
  parent: Ino,
  answer: readonly RemoteEntry[],
  order: RequestTime,
  listedAt: number,
  impliesFolders = false,
  signal?: AbortSignal,
): Promise<ListingChanges> {
  return await inTurns(merging(table, parent, answer, order, listedAt, impliesFolders), (piece) => {
    signal?.throwIfAborted();
    return asPieceOfMerge(table, piece);
  });
}

/** `mergeListing` for a caller that runs the pieces itself; each must be a transaction. */
export function* merging(
  table: InodeTable,
  parent: Ino,
  answer: readonly RemoteEntry[],
  order: RequestTime,
  listedAt: number,
  impliesFolders = false,
  pieces = new Pieces(),
): Generator<void, ListingChanges> {
  const merge = new Merge(table, parent, order, impliesFolders, pieces);
  try {
    return yield* merge.run(answer, listedAt);
  } finally {
    merge.end();
  }
}

class Merge {
  readonly #table: InodeTable;
  readonly #parent: Ino;
  readonly #requested: RequestTime;
  readonly #impliesFolders: boolean;
  readonly #pieces: Pieces;

  readonly #names = new Set<string>();
  readonly #attributes: Ino[] = [];
  readonly #contents: Ino[] = [];
  readonly #elsewhere: { parent: Ino; name: string }[] = [];
  readonly #doubtful: Ino[] = [];
  readonly #lost = new Set<Ino>();

  /** The listed entries, by key. */
  #present: ReadonlyMap<string, RemoteEntry> = new Map();
  /** The rows before the merge, by key, and their names. `#current` answers a row as it is by now. */
  readonly #before = new Map<string, Inode>();
  readonly #namesBefore = new Set<string>();
  /** Changes since the rows were read. */
  #watch: DirectoryWatch | null = null;
  /** Names of files that wait to be stored. */
  readonly #pending: string[] = [];
  /** The planned local names of the listed entries, by key; and for each name in use, the entry that gets it. */
  #plan: ReadonlyMap<string, string> = new Map();
  readonly #nextHolders = new Map<string, RemoteEntry>();
  readonly #done = new Set<string>();
  /** Objects that get a new row: they wait until the piece ends, or another entry is merged. */
  readonly #arriving: ListedRow[] = [];
  /** Names that this step is about to give. */
  readonly #placing = new Set<string>();
  /** Directories with content below them that is not stored yet; read anew in each piece that needs them. */
  #withUnstored: ReadonlySet<Ino> | null = null;

  constructor(table: InodeTable, parent: Ino, order: RequestTime, impliesFolders: boolean, pieces: Pieces) {
    this.#pieces = pieces;
    this.#table = table;
    this.#parent = parent;
    this.#requested = order;
    this.#impliesFolders = impliesFolders;
  }

  end(): void {
    if (this.#watch !== null) this.#table.unwatch(this.#parent, this.#watch);
  }

  *run(answer: readonly RemoteEntry[], listedAt: number): Generator<void, ListingChanges> {
    const [table, parent] = [this.#table, this.#parent];
    this.#present = yield* listedEntries(table, parent, answer, this.#pieces);
    const isLarge = table.isLarge(parent);
    const before = isLarge ? yield* scanning(table, parent, (child) => child, this.#pieces) : table.children(parent);
    this.#watch = table.watch(parent);
    for (const child of before) {
      yield* this.#next();
      this.#retain(this.#current(child));
    }
    for (const entry of this.#present.values()) {
      yield* this.#next();
      this.#adoptRecreated(entry);
    }
    yield* this.#makePlan(before);
    for (const [key, entry] of this.#present) {
      yield* this.#next();
      if (!this.#arrives(key, entry)) this.#mergeChain(entry);
    }
    this.#insertArriving();
    for (const child of before) {
      yield* this.#next();
      const current = this.#current(child);
      if (this.#isGone(current) && !this.#lost.has(current.ino) && !this.#isEmptyHere(current)) this.#detach(current);
    }
    table.update(parent, { listedAt });
    return {
      names: this.#names,
      attributes: this.#attributes,
      contents: this.#contents,
      elsewhere: this.#elsewhere,
      doubtful: this.#doubtful.filter((ino) => ino !== parent),
      lost: [...this.#lost],
      at: table.changes,
    };
  }

  *#next(): Generator<void, void> {
    if (!this.#pieces.isFull()) return;
    this.#insertArriving();
    this.#withUnstored = null;
    yield;
  }

  #changedHere = ({ kind, id }: Pick<RemoteEntry, 'kind' | 'id'>): boolean =>
    this.#requested.changes.changedSince(kind, id, this.#requested.since);

  /** The row as it is by now. */
  #current = (child: Inode): Inode =>
    this.#watch?.inos.has(child.ino) === true ? (this.#table.peek(child.ino) ?? child) : child;

  /** The row was in the old listing of this directory and is not in the new one. */
  #isGone({ parent, remote }: Inode): boolean {
    return (
      parent === this.#parent && remote !== null && !this.#present.has(keyOf(remote)) && !this.#changedHere(remote)
    );
  }

  #isEmptyHere = ({ remote }: Inode): boolean =>
    this.#impliesFolders && remote?.kind === 'folder' && !this.#present.has(keyOf(remote));

  /** Retains a row that is gone at the provider where it holds content that is not stored yet. True where it does. */
  #retain(child: Inode): boolean {
    if (!this.#isGone(child)) return false;
    if (child.localSize !== null) {
      // Removed elsewhere while we hold newer content: it is ours now, and will be stored as a new file.
      if (child.remote !== null) this.#table.unlisted.note(child.remote.id, child);
      this.#table.update(child.ino, { remote: null });
      return true;
    }
    if (child.kind !== 'directory' || this.#impliesFolders) return false;
    this.#withUnstored ??= this.#table.directoriesOfUnstored();
    if (!this.#withUnstored.has(child.ino)) return false;
    this.#lost.add(child.ino);
    return true;
  }

  /** Takes the name of a row that is gone at the provider. False where the row is retained. */
  #detach(child: Inode): boolean {
    if (this.#retain(child)) return false;
    this.#names.add(child.name);
    // Its further names are out of sight with it.
    if (child.furtherNames > 0) this.#elsewhere.push(...this.#table.further.of(child.ino));
    this.#table.update(child.ino, { parent: null });
    return true;
  }

  /** A folder of the name of a retained directory was created at the provider since: the directory becomes that folder. */
  #adoptRecreated(entry: RemoteEntry): void {
    if (entry.kind !== 'folder') return;
    const waiting = this.#table.child(this.#parent, entry.name);
    if (waiting?.kind !== 'directory' || waiting.remote !== null) return;
    if (this.#table.byRemote('folder', entry.id) === undefined) this.#table.update(waiting.ino, { remote: entry });
  }

  /** Plans the name of each object. Names of objects that the provider does not know yet, or that we changed since, are taken. */
  *#makePlan(before: readonly Inode[]): Generator<void, void> {
    const taken = new Set<string>();
    const given = new Map<string, GivenName>();
    for (const child of before) {
      yield* this.#next();
      const current = this.#current(child);
      if (current.parent !== this.#parent) continue;
      const { remote, name, kind, ino } = current;
      this.#namesBefore.add(name);
      if (kind === 'file' && remote === null) this.#pending.push(name);
      if (remote !== null) this.#before.set(keyOf(remote), current);
      const remoteName = listedName(this.#table, current, this.#present, this.#impliesFolders);
      const isOurs = remote === null || this.#changedHere(remote);
      if (isOurs) this.#table.unseenNames.add(ino);
      if (isOurs || this.#isEmptyHere(current) || this.#lost.has(ino)) taken.add(name);
      else given.set(keyOf(remote), { local: name, remote: remoteName });
    }
    const listed: { id: string; name: string }[] = [];
    const hasLinks = this.#table.further.countIn(this.#parent) > 0;
    for (const { name } of yield* furtherNamesIn(this.#table, this.#parent)) {
      taken.add(name);
      this.#namesBefore.add(name);
    }
    for (const [key, entry] of this.#present) {
      yield* this.#next();
      if (hasLinks && this.#isOwnFurtherName(entry)) {
        taken.delete(entry.name);
        given.set(key, { local: entry.name, remote: entry.name });
      }
      if (!this.#changedHere(entry) && !this.#isPending(entry)) listed.push({ id: key, name: entry.name });
    }
    this.#plan = yield* assigningLocalNames(listed, given, taken, this.#pieces);
    // It may have yielded.
    this.#withUnstored = null;
    for (const [key, name] of this.#plan) {
      yield* this.#next();
      const entry = this.#present.get(key);
      if (entry !== undefined && this.#namesBefore.has(name)) this.#nextHolders.set(name, entry);
    }
  }

  /**
   * Has the object got a further name of its inode as its own? Then the first name went, and the process died before it knew that the
   * object has the next one; or another client has moved it just there.
   */
  #isOwnFurtherName(entry: RemoteEntry): boolean {
    const link = entry.kind === 'file' ? this.#table.further.find(this.#parent, entry.name) : undefined;
    return link !== undefined && this.#known(entry)?.ino === link.ino;
  }

  /**
   * Does a local file wait to be stored under this name, or one that the service may keep so? Then the listed object is either that very upload, whose answer is
   * still under way, or another client's file, which the upload will meet as a conflict.
   */
  #isPending(entry: RemoteEntry): boolean {
    if (entry.kind !== 'file' || !(this.#pending.length > 0 || this.#watch?.names.has(entry.name) === true))
      return false;
    const holder = this.#table.child(this.#parent, entry.name);
    if (holder === undefined && this.#table.byRemote('file', entry.id) === undefined)
      return this.#pending.some((name) => isUnusual(name) && mayBecome(name, entry.name));
    if (holder === undefined || holder.remote !== null || holder.kind !== 'file') return false;
    if (!isFirstName(holder, this.#parent, entry.name)) return false;
    return this.#table.byRemote('file', entry.id)?.parent !== this.#parent;
  }

  /** The row of a listed object: here, elsewhere, or none yet. */
  #known(entry: RemoteEntry): Inode | undefined {
    const here = this.#before.get(keyOf(entry));
    const current = here === undefined ? undefined : this.#current(here);
    // A query costs a third of an entry's merge: rows that were here before need none.
    const isThat = current?.remote != null && keyOf(current.remote) === keyOf(entry);
    if (isThat) return current;
    const row = this.#table.byRemote(entry.kind, entry.id);
    return row === undefined && entry.kind === 'file' ? this.#table.unlisted.take(entry.id) : row;
  }

  /** Is the object as good as certainly new here, and its name free? Then it is inserted together with others like it. */
  #arrives(key: string, entry: RemoteEntry): boolean {
    const name = this.#plan.get(key);
    if (name === undefined || this.#done.has(key) || this.#before.has(key)) return false;
    if (this.#isNameKnown(name) || this.#isNameKnown(entry.name)) return false;
    if (this.#changedHere(entry) || this.#table.unlisted.has(entry)) return false;
    this.#arriving.push({ name, entry });
    return true;
  }

  #insertArriving(): void {
    if (this.#arriving.length === 0) return;
    const arriving = this.#arriving.splice(0);
    const known = new Set(this.#table.insertListed(this.#parent, arriving));
    for (const row of arriving) {
      if (known.has(row)) continue;
      this.#done.add(keyOf(row.entry));
      this.#names.add(row.name);
    }
    // Objects that lay elsewhere until now.
    for (const { entry } of known) this.#mergeChain(entry);
  }

  /** Merges an entry, then the entries whose names it takes and the entries that get its name, and so on. */
  #mergeChain(first: RemoteEntry): void {
    this.#insertArriving();
    const table = this.#table;
    const parent = this.#parent;
    // Names move in two steps, so that two rows never hold one name.
    const moves: { readonly inode: Inode; readonly local: string }[] = [];
    const chain = [first];
    for (const entry of chain) {
      if (this.#done.has(keyOf(entry))) continue;
      this.#done.add(keyOf(entry));
      if (this.#changedHere(entry) || this.#isPending(entry)) continue;
      const known = this.#known(entry);
      const local = this.#nameFor(entry, known, chain);
      if (known === undefined && this.#holder(local) === undefined) {
        table.insert({ ...newRow(entry), parent, name: local });
        this.#names.add(local);
        continue;
      }
      if (known === undefined) {
        this.#placing.add(local);
        moves.push({ inode: table.insert(newRow(entry)), local });
        continue;
      }
      if (known.parent !== parent || known.name !== local) {
        this.#takeName(known, chain);
        this.#placing.add(local);
        moves.push({ inode: known, local });
      }
      const change = rowChanges(known, entry);
      if (change === null) continue;
      table.update(known.ino, change.fields);
      this.#attributes.push(known.ino);
      if (change.content) this.#contents.push(known.ino);
    }
    for (const { inode, local } of moves) {
      table.update(inode.ino, { parent, name: local });
      this.#names.add(local);
    }
    if (moves.length > 0) this.#placing.clear();
  }

  /** Takes the present name of an object that gets another. */
  #takeName(known: Inode, chain: RemoteEntry[]): void {
    const table = this.#table;
    const parent = this.#parent;
    if (known.parent === parent) {
      this.#names.add(known.name);
      const heir = this.#nextHolders.get(known.name);
      if (heir !== undefined) chain.push(heir);
    } else if (known.parent !== null) this.#elsewhere.push({ parent: known.parent, name: known.name });
    if (known.kind === 'directory' && known.parent !== parent && table.isWithin(parent, known.ino)) {
      for (const { ino } of table.upwards(parent)) this.#doubtful.push(ino);
      const loosened = table.breakCycle(known.ino, parent);
      if (loosened !== undefined) this.#elsewhere.push({ parent: known.ino, name: loosened.name });
    }
    if (known.parent !== null) table.update(known.ino, { parent: null });
  }

  /** Had a row of the directory the name before the merge, or has one got it since? */
  #isNameKnown = (name: string): boolean => this.#namesBefore.has(name) || this.#watch?.names.has(name) === true;

  /** The row that has a name in the directory by now. */
  #holder = (name: string): Inode | undefined =>
    this.#isNameKnown(name) ? this.#table.child(this.#parent, name) : undefined;

  /** The planned name, unless a newer row or a retained one has it. */
  #nameFor(entry: RemoteEntry, known: Inode | undefined, chain: RemoteEntry[]): string {
    const planned = this.#plan.get(keyOf(entry));
    if (planned !== undefined && known?.parent === this.#parent && known.name === planned) return planned;
    if (planned !== undefined && !this.#placing.has(planned)) {
      const holder = this.#holder(planned);
      if (holder === undefined || holder.ino === known?.ino || this.#yieldsName(holder, planned, chain)) return planned;
    }
    for (let round = 0; ; round++) {
      const name = candidate({ id: keyOf(entry), name: entry.name }, round);
      if (!this.#placing.has(name) && !this.#table.isTaken(this.#parent, name)) return name;
    }
  }

  /** Does the holder of a name lose it within this step? */
  #yieldsName(holder: Inode, name: string, chain: RemoteEntry[]): boolean {
    const { remote } = holder;
    if (!isFirstName(holder, this.#parent, name)) return false;
    if (remote === null || this.#changedHere(remote) || this.#isEmptyHere(holder) || this.#lost.has(holder.ino))
      return false;
    const entry = this.#present.get(keyOf(remote));
    if (entry === undefined) return this.#detach(holder);
    if (this.#done.has(keyOf(remote)) || !this.#plan.has(keyOf(remote))) return false;
    chain.push(entry);
    return true;
  }
}
