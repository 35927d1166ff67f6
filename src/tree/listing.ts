/**
 * The parts of a merge that need no table: the changes that a listing makes to a row, the changes that this mount makes while
 * the listing is in flight, and the report of a merge.
 */
import type { RemoteEntry, RemoteFile } from '../providers/provider.js';
import { isSameRevision } from '../providers/revision.js';
import type { Ino, Inode } from './inode.js';

/** The changes that a merge made: caches must forget the old state. */
export interface ListingChanges {
  /** Names that were added or removed, or mean another object now. */
  readonly names: ReadonlySet<string>;
  /** Inodes whose attributes changed. */
  readonly attributes: readonly Ino[];
  /** Files whose content changed. */
  readonly contents: readonly Ino[];
  /** Names that other directories lost, because their objects are here now. */
  readonly elsewhere: readonly { readonly parent: Ino; readonly name: string }[];
  /** Directories with listings that contradict this one. */
  readonly doubtful: readonly Ino[];
  /** Directories that are missing from the listing and stay here, because they hold content that is not stored yet. */
  readonly lost: readonly Ino[];
  /** `InodeTable.changes` at the end of the merge. */
  readonly at: number;
}

/**
 * Numbers the moments at which this mount changes an object. A change while a listing is in flight wins over the listing, because
 * the server may have made its answer before the change.
 */
export class LocalChanges {
  #moment = 0;
  readonly #changed = new Map<string, number>();
  #listings = 0;

  /** Call before the request for a listing; pass the result to `changedSince`, and call `end` after the merge. */
  begin(): number {
    this.#listings++;
    return this.#moment;
  }

  end(): void {
    this.#listings--;
    if (this.#listings === 0) this.#changed.clear();
  }

  /** The present moment. */
  get now(): number {
    return this.#moment;
  }

  /** Notes that this mount has just created, changed, moved or removed the object. */
  note(kind: RemoteEntry['kind'], id: string): void {
    this.#moment++;
    if (this.#listings > 0) this.#changed.set(`${kind}:${id}`, this.#moment);
  }

  changedSince(kind: RemoteEntry['kind'], id: string, than: number): boolean {
    if (this.#changed.size === 0) return false;
    return (this.#changed.get(`${kind}:${id}`) ?? -1) > than;
  }
}

/** The changes that make a row describe `entry`; null if it does already. */
export function rowChanges(known: Inode, entry: RemoteEntry): { fields: Partial<Inode>; content: boolean } | null {
  const old = known.remote;
  if (old !== null && sameEntry(old, entry)) return null;
  if (entry.kind === 'folder' || old?.kind !== 'file') return { fields: { remote: entry }, content: false };
  if (!contentChanged(old, entry)) return { fields: { remote: entry }, content: false };
  // The times that were set here belong to the old content.
  const overlay = { ...known.overlay, mtime: null, atime: null, ctime: null };
  return { fields: { remote: entry, ...(known.localSize === null ? { overlay } : {}) }, content: true };
}

/** True if the content has changed. A rename at the provider may change only `modified`. */
export function contentChanged(old: RemoteFile, now: RemoteFile): boolean {
  return !isSameRevision(old, now);
}

function sameEntry(a: RemoteEntry, b: RemoteEntry): boolean {
  if (a.id !== b.id || a.name !== b.name || a.modified !== b.modified || a.access !== b.access) return false;
  if (a.parentId !== b.parentId) return false;
  if (a.kind === 'file') return b.kind === 'file' && a.size === b.size && a.md5 === b.md5;
  return b.kind === 'folder' && a.fileCount === b.fileCount && a.folderCount === b.folderCount;
}

/** The row of a new object, without a parent. */
export function newRow(entry: RemoteEntry): Pick<Inode, 'parent' | 'name' | 'kind' | 'remote'> {
  return { parent: null, name: entry.name, kind: entry.kind === 'folder' ? 'directory' : 'file', remote: entry };
}

/** A key of the object: a file and a folder may have the same id. */
export function keyOf(entry: { readonly kind: RemoteEntry['kind']; readonly id: string }): string {
  return `${entry.kind === 'folder' ? 'd' : 'f'}${entry.id}`;
}

/** `since` is the moment at which the listing was requested. */
export interface RequestTime {
  readonly changes: LocalChanges;
  readonly since: number;
}
