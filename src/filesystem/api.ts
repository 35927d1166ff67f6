/**
 * The file system as a binding sees it: POSIX calls over inode numbers.
 *
 * A binding (fuse/native, fuse/kernel) translates kernel requests into these calls and their results into replies, and
 * holds no policy. Every method throws (or rejects with) an `FsError`, whose `errno` is the answer to the kernel; anything
 * else that comes out is a bug, and the binding answers EIO and logs it.
 *
 * Methods answer at once where they can (`MaybePromise`), so that a binding need not wait for a promise on hot paths.
 */
import type { MaybePromise } from '../base/maybe-promise.js';
import type { Timespec } from '../base/timespec.js';
import type { Ino } from '../tree/inode.js';

export type { Timespec } from '../base/timespec.js';
export type { Ino } from '../tree/inode.js';

/** An open file. Given by `open` and `create`, invalid after `release`. */
export type HandleId = number;

export type NodeKind = 'file' | 'directory';

export interface Attributes {
  readonly ino: Ino;
  readonly kind: NodeKind;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Permission bits only (07777). */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: Timespec;
  readonly mtime: Timespec;
  readonly ctime: Timespec;
}

/** What setattr(2) and its kin may change; absent means unchanged. `now` is the time at which the call is carried out. */
export interface AttributeChange {
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: Timespec | 'now';
  readonly mtime?: Timespec | 'now';
  /** The open file through which the change comes (ftruncate), where the binding knows it. */
  readonly handle?: HandleId;
}

/** Who asks. Without a caller (fuse-native knows none) new objects belong to the mount's owner. */
export interface Caller {
  readonly uid?: number;
  readonly gid?: number;
  readonly pid?: number;
  readonly umask?: number;
  /** Aborts when the kernel interrupts the request: the call then ends with EINTR as soon as it can. */
  readonly signal?: AbortSignal;
  /** Until when the call is to end, ms since the epoch; set by the file system when it arrives. */
  deadline?: number;
}

export interface OpenFlags {
  readonly read: boolean;
  readonly write: boolean;
  readonly append: boolean;
  readonly truncate: boolean;
  /** O_CREAT|O_EXCL; only meaningful for `create`. */
  readonly exclusive: boolean;
  /** O_SYNC or O_DSYNC: each write is to be durable. */
  readonly sync?: boolean;
  /** O_DIRECT. */
  readonly direct?: boolean;
}

export interface OpenResult {
  readonly handle: HandleId;
  /** The kernel may keep what it has cached of this inode: the content is what it was at the last open. */
  readonly keepCache: boolean;
  /** The kernel must share nothing of this inode with it: others still read an older version, whose pages these are. */
  readonly apart?: boolean;
  /** Others write to the file without a word: without its `backing`, the kernel must keep nothing of it for this handle. */
  readonly passthroughWriters?: boolean;
}

/** A file on the local disk. */
export interface Backing {
  /** Open for reading and writing, until the last handle that it was given for is released. */
  readonly fd: number;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly attributes: Attributes;
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

export interface RenameFlags {
  readonly noReplace: boolean;
  readonly exchange: boolean;
}

/** What the kernel may have cached and must forget. Never delivered from inside a call on the same object. */
export type Invalidation =
  /** Attributes and, where `content`, cached pages of an inode. */
  | { readonly kind: 'inode'; readonly ino: Ino; readonly content: boolean }
  /** A name in a directory, positive or negative. */
  | { readonly kind: 'entry'; readonly parent: Ino; readonly name: string };

export interface Filesystem {
  /** The mounted directory. A binding shows it to the kernel as inode 1. */
  readonly root: Ino;

  /**
   * Undefined where there is no such name: no error, for programs ask for what is not there all day long, and a `throw` was a
   * quarter of this process's time for the answer. ENOTDIR, ENAMETOOLONG. `.` and `..` never come here.
   */
  lookup(parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes | undefined>;
  getattr(ino: Ino): MaybePromise<Attributes>;
  /** For how long the kernel may keep the names in a directory and their attributes, ms ≥ 0. */
  validity(directory: Ino): number;
  /** The directory that holds `ino`, itself for the root: what `..` means. */
  parentOf(ino: Ino): Ino;
  setattr(ino: Ino, change: AttributeChange, caller?: Caller): MaybePromise<Attributes>;
  /** A whole directory at one moment, without `.` and `..`, ordered by inode number. */
  readdir(ino: Ino, caller?: Caller): MaybePromise<readonly DirectoryEntry[]>;

  open(ino: Ino, flags: OpenFlags, caller?: Caller): MaybePromise<OpenResult>;
  create(
    parent: Ino,
    name: string,
    mode: number,
    flags: OpenFlags,
    caller?: Caller,
  ): MaybePromise<OpenResult & { readonly attributes: Attributes }>;
  /**
   * The file that holds all that a handle for reading reads, where there is one, in the cache or in the spool: the same object
   * for handles with the same content. From then on it is the handle's until its release, and what others write through the
   * mount is to be seen in it too. A handle that only writes may get one to write to, and need tell nothing of that but by
   * `flush`, `fsync` and `release`. With `inUse`, any other file is as good as none.
   */
  backing?(handle: HandleId, inUse?: Backing): Backing | null;
  /**
   * Others have the file open with the backing file `inUse`, and the kernel has one for each file. So what is mapped through
   * this handle will be mapped there, while its reads and writes come here: from now on both are one content, until the release.
   * EBUSY where that cannot be.
   */
  mapBacking?(handle: HandleId, inUse: Backing): MaybePromise<void>;
  /** Fills `into` from `offset`; resolves with the bytes read, fewer than its length only at the end of the file. */
  read(handle: HandleId, into: Uint8Array, offset: number, caller?: Caller): MaybePromise<number>;
  /**
   * Writes all of `data` (the caller may reuse the buffer once this answers). With O_APPEND, `offset` is ignored where the data
   * comes from a write(2); what was written through a mapping comes as pages, and goes where they are.
   */
  write(
    handle: HandleId,
    data: Uint8Array,
    offset: number,
    caller?: Caller,
    from?: 'call' | 'page',
  ): MaybePromise<number>;
  /** Every close(2) of every descriptor of the handle: stores what changed and reports whether it is stored. */
  flush(handle: HandleId, caller?: Caller): MaybePromise<void>;
  /** Durable on the local disk. */
  fsync(handle: HandleId, caller?: Caller): MaybePromise<void>;
  /** The mount is gone while the handle is open, and is about to release it: its program may go on with its `backing`. */
  mountLost?(handle: HandleId): void;
  /** The last close. Never fails: nobody would hear of it. */
  release(handle: HandleId): MaybePromise<void>;
  /** Reserves nothing (a cloud has no blocks) but extends the size unless `keepSize`. */
  fallocate(handle: HandleId, offset: number, length: number, keepSize: boolean): MaybePromise<void>;
  /** SEEK_DATA and SEEK_HOLE; ENXIO beyond the end. */
  seek(handle: HandleId, offset: number, whence: 'data' | 'hole'): MaybePromise<number>;

  /**
   * copy_file_range(2): answers the bytes copied, at least one. ENOTSUP: the caller is to read and write them.
   */
  copyRange?(
    from: HandleId,
    fromOffset: number,
    to: HandleId,
    toOffset: number,
    length: number,
    caller?: Caller,
  ): MaybePromise<number>;

  mkdir(parent: Ino, name: string, mode: number, caller?: Caller): MaybePromise<Attributes>;
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

  /** ENODATA where there is none. */
  getxattr(ino: Ino, name: string): MaybePromise<Uint8Array>;
  setxattr(ino: Ino, name: string, value: Uint8Array, mode: 'create' | 'replace' | 'either'): MaybePromise<void>;
  listxattr(ino: Ino): MaybePromise<readonly string[]>;
  removexattr(ino: Ino, name: string): MaybePromise<void>;

  /**
   * For a binding that counts what the kernel holds: a file that lost its name can be opened until the kernel forgets it, as on
   * a local disk, where a path walk and its open are one. `isHeld` tells whether the kernel will say so, by `forgotten`.
   */
  countsReferences?(isReferenced: (ino: Ino) => boolean): void;
  /** The kernel holds the object no more. */
  forgotten?(ino: Ino): void;

  /** Calls `listener` for everything the kernel must forget; returns how to stop. */
  onInvalidate(listener: (what: Invalidation) => void): () => void;
}
