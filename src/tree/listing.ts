/** What a listing changes, what this mount changed while the listing was on its way, and what becomes of a row. */
import { type RemoteEntry, type RemoteFile, revisionKey } from '../providers/provider.js';
import type { Ino, Inode } from './inode.js';

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

/**
 * Numbers the moments at which this mount changed an object, so that older listings can be told from newer ones:
 * what it changed while a listing was on its way wins, for the answer may have been made before the change.
 */
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

  changedSince(kind: RemoteEntry['kind'], id: string, than: number): boolean {
    return (this.#changed.get(`${kind}:${id}`) ?? -1) > than;
  }
}

/** What a row must change to describe `entry`; null where it does already. */
export function rowChanges(known: Inode, entry: RemoteEntry): { fields: Partial<Inode>; content: boolean } | null {
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

/** The row of an object that nobody knows yet, without a place. */
export function newRow(entry: RemoteEntry): Pick<Inode, 'parent' | 'name' | 'kind' | 'remote'> {
  return { parent: null, name: entry.name, kind: entry.kind === 'folder' ? 'directory' : 'file', remote: entry };
}

/** Files and folders may have the same ids. */
export function keyOf(entry: { readonly kind: RemoteEntry['kind']; readonly id: string }): string {
  return `${entry.kind === 'folder' ? 'd' : 'f'}${entry.id}`;
}
