import type { Timespec } from '../base/timespec.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../providers/provider.js';

/** An inode number: the row id of a remote object, the same across remounts. Always a safe integer ≥ 1. */
export type Ino = number;

/** Attributes that no service stores: they are kept here, and in the account's metadata. Null: not set, the default counts. */
export interface Overlay {
  /** Permission bits (07777). */
  readonly mode: number | null;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly atime: Timespec | null;
  /** Belongs to one content: dropped when another client changes the content. */
  readonly mtime: Timespec | null;
  readonly ctime: Timespec | null;
}

export const emptyOverlay: Overlay = { mode: null, uid: null, gid: null, atime: null, mtime: null, ctime: null };

/**
 * A file or directory, which the service holds; or a kind that no service knows: symbolic links, FIFOs, sockets and devices. These have
 * a row but no object (see `isSpecial`).
 */
export type InodeKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device';

export type SpecialKind = Exclude<InodeKind, 'file' | 'directory'>;

/** True for kinds that never have an object at the service, nor a content to store. */
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
  /** The number of further names. */
  readonly furtherNames: number;
  readonly kind: InodeKind;
  /** The object as the provider last described it; null: the service has none. */
  readonly remote: RemoteEntry | null;
  /** The time when a directory's listing was last confirmed, ms since the epoch; null: never. See also `listedWithoutMetadata`. */
  readonly listedAt: number | null;
  /** The time when this object alone was last confirmed (own upload, stat), ms. The parent's listing may be younger. */
  readonly confirmedAt: number | null;
  /** The size of a local content that is newer than the remote one, bytes; null: there is none. */
  readonly localSize: number | null;
  readonly overlay: Overlay;
  /** The target of a symbolic link: the bytes as a program gave them, in any encoding. Null for other kinds. */
  readonly target: Uint8Array | null;
  /** The number of a device, as Linux encodes it for FUSE (`new_encode_dev`). 0 for other kinds. */
  readonly rdev: number;
}

/**
 * `listedAt` of a directory after the merge of its first listing, until the account's metadata is applied. The names are known, but no
 * program may see them yet: modes would be wrong, and links missing. The value survives a crash in between.
 */
export const listedWithoutMetadata = 0;

/** The default fields of a new row. */
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

/** The inode of a listed object. `overlay`: its attributes in the account's metadata. */
export function listedInode(
  ino: Ino,
  parent: Ino,
  name: string,
  remote: RemoteEntry,
  overlay: Overlay = emptyOverlay,
): Inode {
  // A literal, because a listing makes many: spreading `newInode` costs ten times as much.
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

/** True if this is the inode's first name (which the provider knows), and not a further one. */
export function isFirstName(inode: Pick<Inode, 'parent' | 'name'>, parent: Ino, name: string): boolean {
  return inode.parent === parent && inode.name === name;
}

/** True if a program has made or changed the inode: a listing gives a row no times of its own. */
export function hasOwnTimes({ overlay }: Pick<Inode, 'overlay'>): boolean {
  return overlay.mtime !== null;
}

/** The size that programs see, bytes. */
export function sizeOf(inode: Inode): number {
  if (inode.target !== null) return inode.target.length;
  return inode.localSize ?? (inode.remote?.kind === 'file' ? inode.remote.size : 0);
}

/** The file at the service; null if there is none. */
export function remoteFileOf(inode: Inode): RemoteFile | null {
  return inode.remote?.kind === 'file' ? inode.remote : null;
}

export function remoteFolderOf(inode: Inode): RemoteFolder | null {
  return inode.remote?.kind === 'folder' ? inode.remote : null;
}
