/**
 * Brings a directory's rows in line with what the provider lists.
 *
 * What this mount changed while the listing was on its way wins over the listing: the answer may have been made before
 * the change. `LocalChanges` keeps the order of the two.
 */
import { type RemoteEntry, type RemoteFile, revisionKey } from '../providers/provider.js';
import { isTemporaryName } from '../providers/temporary-names.js';
import type { Ino, Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { assignLocalNames, type GivenName } from './local-names.js';

/** What a merge changed, for those who must forget what they have cached. */
export interface ListingChanges {
  /** Names that came, went or now mean another object. */
  readonly names: ReadonlySet<string>;
  /** Inodes whose attributes changed. */
  readonly attributes: readonly Ino[];
  /** Files whose content changed. */
  readonly contents: readonly Ino[];
  /** Names that other directories lost to this one. */
  readonly elsewhere: readonly { readonly parent: Ino; readonly name: string }[];
  /** Directories whose listings cannot all be true beside this one. */
  readonly doubtful: readonly Ino[];
  /** Directories that the listing lacks, and that stay for the content in them which is not stored yet. */
  readonly lost: readonly Ino[];
}

/** Numbers the moments at which this mount changed an object, so that older listings can be told from newer ones. */
export class LocalChanges {
  #moment = 0;
  readonly #changed = new Map<string, number>();
  #listings = 0;

  /** Call before the request for a listing; pass the answer to `isNewer`, and `end` it afterwards. */
  begin(): number {
    this.#listings++;
    return this.#moment;
  }

  end(): void {
    this.#listings--;
    if (this.#listings === 0) this.#changed.clear();
  }

  /** The object was created, changed, moved or removed by us just now. */
  note(kind: RemoteEntry['kind'], id: string): void {
    this.#moment++;
    if (this.#listings > 0) this.#changed.set(`${kind}:${id}`, this.#moment);
  }

  isNewer(kind: RemoteEntry['kind'], id: string, than: number): boolean {
    return (this.#changed.get(`${kind}:${id}`) ?? -1) > than;
  }
}

/**
 * Merges a complete listing into the table, in one transaction. `since` is the moment at which it was asked for, `now`
 * the time in ms. A file with content that is not stored yet stays, whatever the listing says, and so does a directory
 * with such a file below it; and so do directories where the provider has them only through the files in them
 * (`impliesFolders`): an empty one exists here alone.
 */
export function mergeListing(
  table: InodeTable,
  parent: Ino,
  answer: readonly RemoteEntry[],
  order: { readonly changes: LocalChanges; readonly since: number },
  now: number,
  impliesFolders = false,
): ListingChanges {
  return table.transaction(() => {
    const entries = withoutTemporaries(table, withoutImpossible(table, parent, answer));
    const names = new Set<string>();
    const attributes: Ino[] = [];
    const contents: Ino[] = [];
    const elsewhere: { parent: Ino; name: string }[] = [];
    const doubtful: Ino[] = [];
    const lost: Ino[] = [];
    const isOurs = (entry: { kind: RemoteEntry['kind']; id: string }): boolean =>
      order.changes.isNewer(entry.kind, entry.id, order.since);

    const present = new Set(entries.map(keyOf));
    const isGone = ({ remote }: Inode): boolean => remote !== null && !present.has(keyOf(remote)) && !isOurs(remote);
    const gone = table.children(parent).filter(isGone);
    const holding = gone.some(({ kind }) => kind === 'directory') ? table.directoriesOfUnstored() : new Set<Ino>();
    for (const child of gone) {
      // Removed elsewhere while we hold newer content: it is ours now, and will be stored as a new file.
      if (child.localSize !== null) table.update(child.ino, { remote: null });
      else if (holding.has(child.ino) && !impliesFolders) lost.push(child.ino);
    }
    adoptMadeAgain(table, parent, entries);
    const before = table.children(parent);
    // A question to the table costs a third of an entry's merge: files that were here are known without.
    const here = new Map<string, Inode>(
      before.flatMap((child) => (child.remote?.kind === 'file' ? [[keyOf(child.remote), child] as const] : [])),
    );
    const namesBefore = new Set(before.map(({ name }) => name));
    const hasPending = before.some(({ kind, remote }) => kind === 'file' && remote === null);
    const isEmptyHere = ({ remote }: Inode): boolean =>
      impliesFolders && remote?.kind === 'folder' && !present.has(keyOf(remote));

    // Names of objects that the provider does not know yet, or that we changed since: they are not up for grabs.
    const taken = new Set<string>();
    const given = new Map<string, GivenName>();
    for (const child of before) {
      const stays = child.remote === null || isOurs(child.remote) || isEmptyHere(child) || lost.includes(child.ino);
      if (child.remote === null || stays) taken.add(child.name);
      else given.set(keyOf(child.remote), { local: child.name, remote: child.remote.name });
    }
    const isPending = (entry: RemoteEntry): boolean => hasPending && isPendingName(table, parent, entry);
    const listed = entries.filter((entry) => !isOurs(entry) && !isPending(entry));
    const locals = assignLocalNames(
      listed.map((entry) => ({ id: keyOf(entry), name: entry.name })),
      given,
      taken,
    );

    const stay = new Set(listed.map(keyOf));
    for (const child of before) {
      if (child.remote === null || stay.has(keyOf(child.remote)) || isOurs(child.remote) || isEmptyHere(child))
        continue;
      if (lost.includes(child.ino)) continue;
      names.add(child.name);
      table.update(child.ino, { parent: null });
    }
    // Names move in two steps, lest two rows hold one name for a moment.
    const moves: { inode: Inode; entry: RemoteEntry; local: string }[] = [];
    for (const entry of listed) {
      const local = locals.get(keyOf(entry)) as string;
      const known = here.get(keyOf(entry)) ?? table.byRemote(entry.kind, entry.id);
      if (known === undefined && !namesBefore.has(local)) {
        table.insert({ ...newcomer(entry), parent, name: local });
        names.add(local);
        continue;
      }
      if (known === undefined) {
        moves.push({ inode: table.insert(newcomer(entry)), entry, local });
        continue;
      }
      const renamed = known.parent !== parent || known.name !== local;
      if (renamed) {
        if (known.parent === parent) names.add(known.name);
        else if (known.parent !== null) elsewhere.push({ parent: known.parent, name: known.name });
        if (known.kind === 'directory' && known.parent !== parent && table.isWithin(parent, known.ino)) {
          for (const { ino } of table.upwards(parent)) doubtful.push(ino);
          const loosened = table.makeWay(known.ino, parent);
          if (loosened !== undefined) elsewhere.push({ parent: known.ino, name: loosened.name });
        }
        if (known.parent !== null) table.update(known.ino, { parent: null });
        moves.push({ inode: known, entry, local });
      }
      const change = refreshed(known, entry);
      if (change !== null) {
        table.update(known.ino, change.fields);
        attributes.push(known.ino);
        if (change.content) contents.push(known.ino);
      }
    }
    for (const { inode, local } of moves) {
      table.update(inode.ino, { parent, name: local });
      names.add(local);
    }
    table.update(parent, { listedAt: now });
    return { names, attributes, contents, elsewhere, doubtful: doubtful.filter((ino) => ino !== parent), lost };
  });
}

/** A directory that was gone at the provider and stays here is the folder of its name that somebody has made since. */
function adoptMadeAgain(table: InodeTable, parent: Ino, entries: readonly RemoteEntry[]): void {
  for (const entry of entries) {
    if (entry.kind !== 'folder') continue;
    const waiting = table.child(parent, entry.name);
    if (waiting?.kind !== 'directory' || waiting.remote !== null) continue;
    if (table.byRemote('folder', entry.id) === undefined) table.update(waiting.ino, { remote: entry });
  }
}

/** What a row must change to describe `entry`; null where it does already. */
export function refreshed(known: Inode, entry: RemoteEntry): { fields: Partial<Inode>; content: boolean } | null {
  const old = known.remote;
  if (old !== null && sameEntry(old, entry)) return null;
  if (entry.kind === 'folder' || old?.kind !== 'file') return { fields: { remote: entry }, content: false };
  if (!contentChanged(old, entry)) return { fields: { remote: entry }, content: false };
  // The times that were set here described the old content.
  const overlay = { ...known.overlay, mtime: null, atime: null, ctime: null };
  return { fields: { remote: entry, ...(known.localSize === null ? { overlay } : {}) }, content: true };
}

/** Content, not description: a rename at the provider may move `modified` without a change of bytes. */
export function contentChanged(old: RemoteFile, now: RemoteFile): boolean {
  return revisionKey(old) !== revisionKey(now);
}

function sameEntry(a: RemoteEntry, b: RemoteEntry): boolean {
  if (a.id !== b.id || a.name !== b.name || a.modified !== b.modified || a.access !== b.access) return false;
  if (a.parentId !== b.parentId) return false;
  if (a.kind === 'file') return b.kind === 'file' && a.size === b.size && a.md5 === b.md5;
  return b.kind === 'folder' && a.fileCount === b.fileCount && a.folderCount === b.folderCount;
}

/**
 * A name that a local file is about to be stored under: the listed object is either that very upload, whose answer is
 * still on its way, or another client's file, which the upload will meet as a conflict.
 */
function isPendingName(table: InodeTable, parent: Ino, entry: RemoteEntry): boolean {
  const holder = table.child(parent, entry.name);
  if (table.byRemote(entry.kind, entry.id)?.parent === parent) return false;
  return holder !== undefined && holder.remote === null && holder.kind === 'file' && entry.kind === 'file';
}

/** Without what no tree can hold, whatever a server says: an object twice, the directory in itself, and the root in it. */
function withoutImpossible(table: InodeTable, parent: Ino, entries: readonly RemoteEntry[]): readonly RemoteEntry[] {
  const possible = new Map<string, RemoteEntry>();
  for (const entry of entries) {
    const known = entry.kind === 'folder' ? table.byRemote('folder', entry.id) : undefined;
    if (known === undefined || (known.ino !== parent && !table.isRoot(known))) possible.set(keyOf(entry), entry);
  }
  return possible.size === entries.length ? entries : [...possible.values()];
}

/**
 * Without objects under a temporary name. One that is known by another name is still shown by that, as long as nothing
 * else has it: a crash may have ended its replacement half way, and the next mount finishes or undoes it.
 */
function withoutTemporaries(table: InodeTable, entries: readonly RemoteEntry[]): readonly RemoteEntry[] {
  if (!entries.some(({ name }) => isTemporaryName(name))) return entries;
  const names = new Set(entries.map(({ name }) => name));
  return entries.flatMap((entry) => {
    if (!isTemporaryName(entry.name)) return [entry];
    const known = table.byRemote(entry.kind, entry.id)?.remote;
    // What is on its way out of another folder is not shown in this one.
    const isHere = known != null && known.parentId === entry.parentId && !names.has(known.name);
    return isHere ? [{ ...entry, name: known.name }] : [];
  });
}

function newcomer(entry: RemoteEntry): Pick<Inode, 'parent' | 'name' | 'kind' | 'remote'> {
  return { parent: null, name: entry.name, kind: entry.kind === 'folder' ? 'directory' : 'file', remote: entry };
}

function keyOf(entry: { readonly kind: RemoteEntry['kind']; readonly id: string }): string {
  return `${entry.kind === 'folder' ? 'd' : 'f'}${entry.id}`;
}
