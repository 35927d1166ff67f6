/**
 * The file system as a binding sees it: POSIX calls over inode numbers.
 *
 * A binding (fuse/native, fuse/kernel) translates kernel requests into these calls and their results into replies, and
 * holds no policy. Every method throws (or rejects with) an `FsError`, whose `errno` is the answer to the kernel. Any
 * other error is a bug; the binding answers EIO and logs it.
 *
 * Methods return without a promise where they can (`MaybePromise`), so that hot paths need no `await`.
 */
import type { MaybePromise } from '../base/maybe-promise.js';
import type { Timespec } from '../base/timespec.js';
import type { Ino, InodeKind, SpecialKind } from '../tree/inode.js';

export type { Timespec } from '../base/timespec.js';
export type { Ino } from '../tree/inode.js';

/** An open file: returned by `open` and `create`, invalid after `release`. */
export type HandleId = number;

export type NodeKind = InodeKind;

export interface Attributes {
  readonly ino: Ino;
  readonly kind: NodeKind;
  /** Bytes; 0 for a directory, and the length of its target for a symbolic link. */
  readonly size: number;
  /** Permission bits only (07777). */
  readonly mode: number;
  /** Number of names; for a directory 2 + subdirectories, or 1 if those are not known, which tells find(1) not to count on it. */
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: Timespec;
  readonly mtime: Timespec;
  readonly ctime: Timespec;
  /** The number of a device, as Linux encodes it for FUSE (`new_encode_dev`). Absent: 0. */
  readonly rdev?: number;
  /** The kernel must ask again each time, because one of the open handles gets another answer. */
  readonly uncacheable?: true;
}

/** The attributes to change; absent means unchanged. `now` is the time at which the call is carried out. */
export interface AttributeChange {
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: Timespec | 'now';
  readonly mtime?: Timespec | 'now';
  /** The open file through which the change comes (ftruncate), if the binding knows it. */
  readonly handle?: HandleId;
}

/** The process that makes the call. Without one (fuse-native knows none) new objects belong to the mount's owner. */
export interface Caller {
  readonly uid?: number;
  readonly gid?: number;
  readonly pid?: number;
  readonly umask?: number;
  /** Aborts when the kernel interrupts the request: the call then ends with EINTR as soon as it can. */
  readonly signal?: AbortSignal;
  /** Deadline of the call, ms by the `SteadyTime` of the clock; set by the file system when the call arrives. */
  deadline?: number;
}

export interface OpenFlags {
  readonly read: boolean;
  readonly write: boolean;
  readonly append: boolean;
  readonly truncate: boolean;
  /** O_CREAT|O_EXCL; only meaningful for `create`. */
  readonly exclusive: boolean;
  /** O_SYNC or O_DSYNC: each write must be durable. */
  readonly sync?: boolean;
  /** O_DIRECT. */
  readonly direct?: boolean;
}

export interface OpenResult {
  readonly handle: HandleId;
  /** The kernel may keep its cached pages of this inode: the content has not changed since the last open. */
  readonly keepCache: boolean;
  /**
   * The kernel must not use its cached pages for this handle: they belong to other handles that still read an older
   * version.
   */
  readonly bypassesPageCache?: boolean;
  /**
   * The kernel writes to the file for other handles without telling us. If this handle gets no `backing` file, the
   * kernel must not cache the file for it.
   */
  readonly passthroughWriters?: boolean;
}

/** A file on the local disk. */
export interface Backing {
  /** Open for reading and writing, until the last handle that uses it is released. */
  readonly fd: number;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly attributes: Attributes;
  /**
   * Its place in the listing, the same while it has this name. Absent: the inode number. Further names of an inode have places of their
   * own.
   */
  readonly position?: number;
}

export interface StatFs {
  /** Bytes. */
  readonly total: number;
  readonly free: number;
  /** Known objects. */
  readonly files: number;
  /** Longest name, bytes. */
  readonly maxNameBytes: number;
}

/** The arguments of fallocate(2). */
export interface Allocation {
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
  /** The file keeps its length. */
  readonly keepSize: boolean;
  /** The range reads as zeros afterwards (FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE). */
  readonly zeroes: boolean;
}

/** The arguments of mknod(2). */
export interface NewNode {
  readonly kind: 'file' | Exclude<SpecialKind, 'symlink'>;
  /** Permission bits only (07777). */
  readonly mode: number;
  /** For a device: its number, as Linux encodes it for FUSE. */
  readonly rdev: number;
}

export interface XattrChange {
  /** `create`: EEXIST if the attribute exists. `replace`: ENODATA if it does not. */
  readonly mode: 'create' | 'replace' | 'either';
  /** Of an access ACL: its caller may not leave the object set-group-ID. */
  readonly killSetGroupId?: boolean;
}

export interface RenameFlags {
  readonly noReplace: boolean;
  readonly exchange: boolean;
}

/** Something that the kernel may have cached and must forget. Never delivered from inside a call on the same object. */
export type Invalidation =
  /** Attributes of an inode and, with `content`, its cached pages. */
  | { readonly kind: 'inode'; readonly ino: Ino; readonly content: boolean }
  /** A name in a directory, positive or negative. */
  | { readonly kind: 'entry'; readonly parent: Ino; readonly name: string };

export interface Filesystem {
  /** The mounted directory. A binding shows it to the kernel as inode 1. */
  readonly root: Ino;

  /**
   * Undefined if there is no such name. That is no error: programs look up missing names all day long, and a `throw`
   * took a quarter of this process's time for the answer. ENOTDIR, ENAMETOOLONG. `.` and `..` never arrive here.
   */
  lookup(parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes | undefined>;
  /** `handle`: the open file through which the kernel asks, if there is one. ESTALE if that handle reads an older, longer revision. */
  getattr(ino: Ino, handle?: HandleId): MaybePromise<Attributes>;
  /** How long the kernel may cache the names in a directory and their attributes, or with `of` those of one object; ms ≥ 0. */
  validity(directory: Ino, of?: Ino): number;
  /** The parent directory of `ino`; the root is its own parent. This is what `..` means. */
  parentOf(ino: Ino): Ino;
  setattr(ino: Ino, change: AttributeChange, caller?: Caller): MaybePromise<Attributes>;
  /** The whole directory as of one moment, without `.` and `..`, in the order of positions. */
  readdir(ino: Ino, caller?: Caller): MaybePromise<readonly DirectoryEntry[]>;

  open(ino: Ino, flags: OpenFlags, caller?: Caller): MaybePromise<OpenResult>;
  /**
   * The umask of the caller is not applied to `mode` yet: if the directory has a default ACL, the umask has no effect. Without a name
   * (null) the file is one of O_TMPFILE: nothing stores it, and its last close removes it.
   */
  create(
    parent: Ino,
    name: string | null,
    mode: number,
    flags: OpenFlags,
    caller?: Caller,
  ): MaybePromise<OpenResult & { readonly attributes: Attributes }>;
  /**
   * The local file, in the cache or the spool, with everything that a reading handle can read; null if there is none. Handles with the
   * same content get the same object. The handle keeps it until its release, and later writes through the mount appear in it too. A
   * write-only handle may get one to write to; the binding then reports those writes only by `flush`, `fsync` and `release`. With
   * `inUse`, the answer is that file or null.
   */
  backing?(handle: HandleId, inUse?: Backing): Backing | null;
  /**
   * Other handles of the file use the backing file `inUse`, and the kernel allows one for each file. So the kernel
   * maps `inUse` for this handle too, while the handle's reads and writes come here. From now until the release both
   * are one content. EBUSY if that is impossible.
   */
  mapBacking?(handle: HandleId, inUse: Backing): MaybePromise<void>;
  /** Fills `into` from `offset`; resolves with the bytes read, fewer than its length only at the end of the file. */
  read(handle: HandleId, into: Uint8Array, offset: number, caller?: Caller): MaybePromise<number>;
  /**
   * Writes all of `data` (the caller may reuse the buffer once this answers). With O_APPEND, `offset` is ignored for
   * the data of a write(2). Data written through a mapping arrives as pages, and goes to `offset`.
   */
  write(
    handle: HandleId,
    data: Uint8Array,
    offset: number,
    caller?: Caller,
    from?: 'call' | 'page',
  ): MaybePromise<number>;
  /**
   * Called for every close(2) of every descriptor of the handle: stores the changes and reports whether they are
   * stored.
   */
  flush(handle: HandleId, caller?: Caller): MaybePromise<void>;
  /** Makes the content durable on the local disk. */
  fsync(handle: HandleId, caller?: Caller): MaybePromise<void>;
  /** fsync(2) of a directory: its names are stored already; this stores the account's metadata of them, too. */
  fsyncDirectory(directory: Ino, caller?: Caller): MaybePromise<void>;
  /**
   * The mount is gone while the handle is open, and the binding is about to release it. Its program may go on using
   * the `backing` file.
   */
  mountLost?(handle: HandleId): void;
  /** The last close. Never fails: no program would receive the error. */
  release(handle: HandleId): MaybePromise<void>;
  /** Reserves nothing: a cloud has no blocks. EOPNOTSUPP if the content cannot be changed this way now. */
  fallocate(handle: HandleId, allocation: Allocation): MaybePromise<void>;
  /** SEEK_DATA and SEEK_HOLE; ENXIO beyond the end. */
  seek(handle: HandleId, offset: number, whence: 'data' | 'hole'): MaybePromise<number>;

  /** copy_file_range(2): returns the bytes copied, at least one. ENOTSUP: the caller must read and write the bytes itself. */
  copyRange?(
    from: HandleId,
    fromOffset: number,
    to: HandleId,
    toOffset: number,
    length: number,
    caller?: Caller,
  ): MaybePromise<number>;

  /** `mode` as for `create`. */
  mkdir(parent: Ino, name: string, mode: number, caller?: Caller): MaybePromise<Attributes>;
  /** The target is kept as it is, whether or not it exists. ENAMETOOLONG over 4,095 bytes. */
  symlink(parent: Ino, name: string, target: Uint8Array, caller?: Caller): MaybePromise<Attributes>;
  /** EINVAL for anything but a symbolic link. */
  readlink(ino: Ino): MaybePromise<Uint8Array>;
  /** A regular file is made empty, and stored. The kernel has checked who may make a device. */
  mknod(parent: Ino, name: string, node: NewNode, caller?: Caller): MaybePromise<Attributes>;
  /** One more name of an inode. EPERM for a directory; ENOENT if the inode has lost its last name. */
  link(ino: Ino, parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes>;
  unlink(parent: Ino, name: string, caller?: Caller): MaybePromise<void>;
  rmdir(parent: Ino, name: string, caller?: Caller): MaybePromise<void>;
  rename(
    parent: Ino,
    name: string,
    newParent: Ino,
    newName: string,
    flags: RenameFlags,
    caller?: Caller,
  ): MaybePromise<void>;

  statfs(): MaybePromise<StatFs>;

  /**
   * The attributes of xattr(7), and POSIX ACLs as linux/posix_acl_xattr.h encodes them. The kernel checks who may do this, and reads ACLs
   * this way for its own checks. Undefined if there is none: the kernel asks for the ACL of each file that `ls -l` shows, and a `throw`
   * would take two thirds of the time for the answer.
   */
  getxattr(ino: Ino, name: string): MaybePromise<Uint8Array | undefined>;
  /** An access ACL changes the mode with it. */
  setxattr(ino: Ino, name: string, value: Uint8Array, change: XattrChange): MaybePromise<void>;
  /** The names that the caller may see. */
  listxattr(ino: Ino, caller?: Caller): MaybePromise<readonly string[]>;
  removexattr(ino: Ino, name: string): MaybePromise<void>;

  /**
   * For a binding that counts the kernel's references: until the kernel forgets it, a file that lost its name can still be opened. So it
   * is on a local disk, where a path walk and its open are one call. `isReferenced` tells whether the kernel still has to report that, by
   * `forgotten`.
   */
  countsReferences?(isReferenced: (ino: Ino) => boolean): void;
  /** The kernel has dropped its last reference to the object. */
  forgotten?(ino: Ino): void;

  /** Calls `listener` for everything that the kernel must forget. Returns a function that stops this. */
  onInvalidate(listener: (what: Invalidation) => void): () => void;
}
