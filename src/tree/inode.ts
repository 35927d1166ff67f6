import type { Timespec } from '../base/timespec.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../providers/provider.js';

/** An inode number: the row id of a remote object, the same across remounts. Always a safe integer ≥ 1. */
export type Ino = number;

/** Attributes that are stored on this machine only, because no provider stores them. Null: not set, the default holds. */
export interface Overlay {
  /** Permission bits (07777). */
  readonly mode: number | null;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly atime: Timespec | null;
  /** Describes one content: it is dropped when another client changes the content. */
  readonly mtime: Timespec | null;
  readonly ctime: Timespec | null;
}

export const emptyOverlay: Overlay = { mode: null, uid: null, gid: null, atime: null, mtime: null, ctime: null };

/**
 * A file or directory, which the service holds; or one of the kinds that no service knows: symbolic links, FIFOs, sockets and
 * devices. Those are rows of this table alone (see `isSpecial`).
 */
export type InodeKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device';

export type SpecialKind = Exclude<InodeKind, 'file' | 'directory'>;

/** Is it an entry that never has an object at the service, nor a content to store? */
export function isSpecial({ kind }: { readonly kind: InodeKind }): boolean {
  return kind !== 'file' && kind !== 'directory';
}

/** One row of the inode table: an immutable snapshot. Changes go through `InodeTable`. */
export interface Inode {
  readonly ino: Ino;
  /** Null for the account's root, and for an object that has lost its name (unlinked, or gone at the provider). */
  readonly parent: Ino | null;
  /** The name shown here; `remote.name` is the provider's. Further names are in `FurtherNames`. */
  readonly name: string;
  /** How many further names it has. */
  readonly furtherNames: number;
  readonly kind: InodeKind;
  /** The object as the provider last described it; null: it is not stored there. */
  readonly remote: RemoteEntry | null;
  /** A directory: when its listing was last confirmed, ms since the epoch; null when never; see also `mergedOnly`. */
  readonly listedAt: number | null;
  /** When this object alone was last confirmed (own upload, stat), ms; the parent's listing may be younger. */
  readonly confirmedAt: number | null;
  /** Bytes of the local content that is newer than the remote one; null when there is none. */
  readonly localSize: number | null;
  readonly overlay: Overlay;
  /** What a symbolic link points to: the bytes as they were given, in any encoding. Null for everything else. */
  readonly target: Uint8Array | null;
  /** A device's number, as Linux encodes it for FUSE (`new_encode_dev`). 0 for everything else. */
  readonly rdev: number;
}

/**
 * `listedAt` of a directory whose first listing is merged, while what the account's metadata says of it is not applied yet. Its names
 * are known, and no program may see them: modes would be wrong, and links missing. It outlives a crash in between.
 */
export const mergedOnly = 0;

/** What a new row has unless something else is said. */
export const newInode = {
  remote: null,
  listedAt: null,
  confirmedAt: null,
  localSize: null,
  overlay: emptyOverlay,
  target: null,
  rdev: 0,
  furtherNames: 0,
} satisfies Partial<Inode>;

/** A listed object. `overlay`: what the account's metadata says of it. */
export function listedInode(
  ino: Ino,
  parent: Ino,
  name: string,
  remote: RemoteEntry,
  overlay: Overlay = emptyOverlay,
): Inode {
  // A literal: a listing makes many, and to spread `newInode` costs ten times as much.
  return {
    ino,
    parent,
    name,
    kind: remote.kind === 'folder' ? 'directory' : 'file',
    remote,
    listedAt: null,
    confirmedAt: null,
    localSize: null,
    overlay,
    target: null,
    rdev: 0,
    furtherNames: 0,
  };
}

/** Is this its first name, which the provider knows, and none of its further ones? */
export function isFirstName(inode: Pick<Inode, 'parent' | 'name'>, parent: Ino, name: string): boolean {
  return inode.parent === parent && inode.name === name;
}

/** Has a program made or changed it? A listing alone gives a row no times of its own. */
export function hasOwnTimes({ overlay }: Pick<Inode, 'overlay'>): boolean {
  return overlay.mtime !== null;
}

/** Bytes that a reader on the mount sees. */
export function sizeOf(inode: Inode): number {
  if (inode.target !== null) return inode.target.length;
  return inode.localSize ?? (inode.remote?.kind === 'file' ? inode.remote.size : 0);
}

/** The remote side of a file, or null where there is none yet. */
export function remoteFileOf(inode: Inode): RemoteFile | null {
  return inode.remote?.kind === 'file' ? inode.remote : null;
}

export function remoteFolderOf(inode: Inode): RemoteFolder | null {
  return inode.remote?.kind === 'folder' ? inode.remote : null;
}
