/**
 * The numbers of the kernel's FUSE protocol that this binding uses: linux/fuse.h (UAPI, protocol 7.38). Their meaning is in
 * Documentation/filesystems/fuse and fuse(4).
 */

export const protocolMajor = 7;
/** The protocol version that this code was written for. */
export const protocolMinor = 38;
/** Linux 5.4. Older kernels lack max_pages (7.28), FUSE_EXPLICIT_INVAL_DATA (7.30) or the write flag to clear set-id bits (7.31). */
export const oldestMinor = 31;

/** The node number of the mounted directory. */
export const rootNode = 1;

export const opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  access: 34,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  copyFileRange: 47,
  tmpfile: 51,
} as const;

export const notifyCode = { invalidateInode: 2, invalidateEntry: 3, expireNames: 8 } as const;

/** The minor version of the protocol that has `expireNames` (FUSE_NOTIFY_INC_EPOCH): Linux 6.16. */
export const expireNamesMinor = 44;

/** FUSE_INIT flags. */
export const initFlag = {
  asyncRead: 1 << 0,
  atomicTruncate: 1 << 3,
  bigWrites: 1 << 5,
  dontMask: 1 << 6,
  autoInvalidateData: 1 << 12,
  readdirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  asyncDirectIo: 1 << 15,
  parallelDirectoryOperations: 1 << 18,
  posixAcl: 1 << 20,
  abortError: 1 << 21,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
  explicitInvalidateData: 1 << 25,
  handleKillPrivileges: 1 << 28,
  extendedSetxattr: 1 << 29,
  extended: 1 << 30,
} as const;

/** FUSE_INIT flags of the second word, which is present with `extended`. */
export const initFlag2 = { passthrough: 1 << 5 } as const;

/** fuse_setattr_in.valid */
export const setattrValid = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  handle: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
  killPrivileges: 1 << 11,
} as const;

/** fuse_open_out.open_flags */
export const openedFlag = {
  directIo: 1 << 0,
  keepCache: 1 << 1,
  cacheDirectory: 1 << 3,
  noFlush: 1 << 5,
  passthrough: 1 << 7,
} as const;

/** FUSE_WRITE_KILL_SUIDGID: the write must clear the set-id bits. */
export const writeKillPrivileges = 1 << 2;
/** FUSE_WRITE_CACHE: the kernel writes a page back, through any writable handle of the file. */
export const writeFromCache = 1 << 0;
/** FUSE_OPEN_KILL_SUIDGID: the open must clear the set-id bits. */
export const openKillPrivileges = 1 << 0;

/** renameat2(2) */
export const renameFlag = { noReplace: 1, exchange: 2 } as const;
/** fallocate(2) */
export const fallocateFlag = { keepSize: 1, punchHole: 2, zeroRange: 16 } as const;
/** lseek(2) */
export const seekWhence = { data: 3, hole: 4 } as const;
/** FUSE_GETATTR_FH: the request names an open file. */
export const getattrFlag = { fh: 1 } as const;

/** setxattr(2) */
export const setxattrFlag = { create: 1, replace: 2 } as const;
/** FUSE_SETXATTR_ACL_KILL_SGID: the caller is not in the file's group, so the new mode has no set-group-ID bit. */
export const setxattrKillSetGroupId = 1 << 0;
