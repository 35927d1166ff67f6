/**
 * Merges the provider's listing of a directory into its rows, in pieces. Each piece is a transaction, and other requests have a turn
 * between two pieces. The merge counts each entry up to ten times, so a listing of fifty entries is one piece.
 *
 * Invariant: between pieces, and after a crash there, each object is as in the old listing or as in the new one.
 *
 * - A name that is in both listings exists all the time. An object gets its new name in the same piece in which the present holder
 *   loses it, and so on along the whole chain of names that pass from object to object.
 * - A change that this mount makes meanwhile wins: each piece reads the present rows (`DirectoryWatch`), and skips objects that this
 *   mount has changed (`LocalChanges`).
 * - The directory counts as listed only after the last piece.
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
 * Merges a complete listing into the table. The last piece writes `listedAt` to the directory's row. The merge keeps files with content
 * that is not stored yet, and directories above such files, although the listing lacks them. With `impliesFolders` it keeps every
 * directory: such a provider has folders only through the files in them, so an empty one exists only here.
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

/** `mergeListing` for a caller that runs the pieces itself, each as a transaction. */
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
  /** The rows before the merge, by key, and their names. `#current` answers the present state of such a row. */
  readonly #before = new Map<string, Inode>();
  readonly #namesBefore = new Set<string>();
  /** Changes since the rows were read. */
  #watch: DirectoryWatch | null = null;
  /** Names of files that the service does not have yet. */
  readonly #pending: string[] = [];
  /** The planned local names of the listed entries, by key. */
  #plan: ReadonlyMap<string, string> = new Map();
  /** The entry that gets each name that was in use before. */
  readonly #nextHolders = new Map<string, RemoteEntry>();
  readonly #done = new Set<string>();
  /** Objects that get a new row. They are inserted together, when the piece ends or another entry is merged. */
  readonly #arriving: ListedRow[] = [];
  /** Names that the present step is going to give. */
  readonly #placing = new Set<string>();
  /** Directories above content that is not stored yet. Read again in each piece that needs them. */
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

  /** The present state of a row. */
  #current = (child: Inode): Inode =>
    this.#watch?.inos.has(child.ino) === true ? (this.#table.peek(child.ino) ?? child) : child;

  /** True if the row was in the old listing of this directory and is not in the new one. */
  #isGone({ parent, remote }: Inode): boolean {
    return (
      parent === this.#parent && remote !== null && !this.#present.has(keyOf(remote)) && !this.#changedHere(remote)
    );
  }

  #isEmptyHere = ({ remote }: Inode): boolean =>
    this.#impliesFolders && remote?.kind === 'folder' && !this.#present.has(keyOf(remote));

  /** Retains a row whose object is gone, if it or a row below has content that is not stored yet. True if it does. */
  #retain(child: Inode): boolean {
    if (!this.#isGone(child)) return false;
    if (child.localSize !== null) {
      // Another client has removed it, and this machine has newer content: that will be stored as a new file.
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

  /** Removes the name of a row whose object is gone. False if the row is retained. */
  #detach(child: Inode): boolean {
    if (this.#retain(child)) return false;
    this.#names.add(child.name);
    // Its further names disappear with it.
    if (child.furtherNames > 0) this.#elsewhere.push(...this.#table.further.of(child.ino));
    this.#table.update(child.ino, { parent: null });
    return true;
  }

  /** Binds a retained directory to a folder of its name that was created at the provider since. */
  #adoptRecreated(entry: RemoteEntry): void {
    if (entry.kind !== 'folder') return;
    const waiting = this.#table.child(this.#parent, entry.name);
    if (waiting?.kind !== 'directory' || waiting.remote !== null) return;
    if (this.#table.byRemote('folder', entry.id) === undefined) this.#table.update(waiting.ino, { remote: entry });
  }

  /** Plans the local name of each object. Names of objects that only this mount knows, or that it changed since the request, are taken. */
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
      if (isOurs) this.#table.unlistedNames.add(ino);
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
    // The step above may have yielded.
    this.#withUnstored = null;
    for (const [key, name] of this.#plan) {
      yield* this.#next();
      const entry = this.#present.get(key);
      if (entry !== undefined && this.#namesBefore.has(name)) this.#nextHolders.set(name, entry);
    }
  }

  /**
   * True if the object has a further name of its inode at the service. Either the first name was removed and the process died before it
   * noted that the object got the next name, or another client has moved the object to just that name.
   */
  #isOwnFurtherName(entry: RemoteEntry): boolean {
    const link = entry.kind === 'file' ? this.#table.further.find(this.#parent, entry.name) : undefined;
    return link !== undefined && this.#known(entry)?.ino === link.ino;
  }

  /**
   * True if a local file under this name, or under one that the service may change to it, is not stored yet. Then the listed object is
   * either its upload, with an answer still in flight, or another client's file, which the upload will find as a conflict.
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

  /** The row of a listed object, in any directory; undefined if it has none yet. */
  #known(entry: RemoteEntry): Inode | undefined {
    const here = this.#before.get(keyOf(entry));
    const current = here === undefined ? undefined : this.#current(here);
    // Rows that were here before need no query, which would cost a third of an entry's merge.
    const isThat = current?.remote != null && keyOf(current.remote) === keyOf(entry);
    if (isThat) return current;
    const row = this.#table.byRemote(entry.kind, entry.id);
    return row === undefined && entry.kind === 'file' ? this.#table.unlisted.take(entry.id) : row;
  }

  /** True if the object is very probably new here, and its name free. Then it will be inserted together with others. */
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
    // Objects that were in other directories until now.
    for (const { entry } of known) this.#mergeChain(entry);
  }

  /** Merges an entry, then the entries whose names it takes and the entries that get its name, and so on. */
  #mergeChain(first: RemoteEntry): void {
    this.#insertArriving();
    const table = this.#table;
    const parent = this.#parent;
    // Names move in two steps, so that two rows never have the same name.
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

  /** Removes the present name of an object that gets another one. */
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

  /** True if a row of the directory had the name before the merge, or has got it since. */
  #isNameKnown = (name: string): boolean => this.#namesBefore.has(name) || this.#watch?.names.has(name) === true;

  /** The row that has a name in the directory now. */
  #holder = (name: string): Inode | undefined =>
    this.#isNameKnown(name) ? this.#table.child(this.#parent, name) : undefined;

  /** The planned name, or another one if a newer or retained row has it. */
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

  /** True if the holder of a name loses it within this step. */
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
