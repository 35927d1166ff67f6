/**
 * The structs of linux/fuse.h as tables of fields and types, in order. The offsets are computed from them.
 *
 * Numbers are in the machine's byte order. A 64-bit field is read as a JavaScript number: our inode numbers, handles and
 * offsets are safe integers, and other values (a lock owner) are not read.
 */
import { endianness } from 'node:os';

const littleEndian = endianness() === 'LE';
const two32 = 2 ** 32;

class U16 {
  constructor(readonly offset: number) {}
  get(view: DataView, base: number): number {
    return view.getUint16(base + this.offset, littleEndian);
  }
  set(view: DataView, base: number, value: number): void {
    view.setUint16(base + this.offset, value, littleEndian);
  }
}

class U32 {
  constructor(readonly offset: number) {}
  get(view: DataView, base: number): number {
    return view.getUint32(base + this.offset, littleEndian);
  }
  set(view: DataView, base: number, value: number): void {
    view.setUint32(base + this.offset, value, littleEndian);
  }
}

class I32 {
  constructor(readonly offset: number) {}
  get(view: DataView, base: number): number {
    return view.getInt32(base + this.offset, littleEndian);
  }
  set(view: DataView, base: number, value: number): void {
    view.setInt32(base + this.offset, value, littleEndian);
  }
}

/** Signed and unsigned numbers are written in two's complement; `get` reads them as unsigned. */
class U64 {
  readonly #low: number;
  readonly #high: number;
  constructor(readonly offset: number) {
    this.#low = offset + (littleEndian ? 0 : 4);
    this.#high = offset + (littleEndian ? 4 : 0);
  }
  get(view: DataView, base: number): number {
    return view.getUint32(base + this.#low, littleEndian) + view.getUint32(base + this.#high, littleEndian) * two32;
  }
  getSigned(view: DataView, base: number): number {
    return view.getUint32(base + this.#low, littleEndian) + view.getInt32(base + this.#high, littleEndian) * two32;
  }
  set(view: DataView, base: number, value: number): void {
    const high = Math.floor(value / two32);
    view.setUint32(base + this.#low, value - high * two32, littleEndian);
    view.setInt32(base + this.#high, high, littleEndian);
  }
}

const types = { u16: [2, U16], u32: [4, U32], i32: [4, I32], u64: [8, U64] } as const;
type Types = typeof types;

export type Struct<T extends Readonly<Record<string, keyof Types>>> = {
  readonly [Name in keyof T]: InstanceType<Types[T[Name]][1]>;
} & {
  /** The length of the struct, bytes. */
  readonly $bytes: number;
};

function struct<const T extends Readonly<Record<string, keyof Types>>>(layout: T): Struct<T> {
  const fields: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, type] of Object.entries(layout)) {
    const [bytes, Field] = types[type];
    fields[name] = new Field(offset);
    offset += bytes;
  }
  // Structs with 64-bit fields are padded to whole 64-bit words; the tables name the padding.
  return { ...fields, $bytes: offset } as Struct<T>;
}

export const inHeader = struct({
  ...{ len: 'u32', opcode: 'u32', unique: 'u64', nodeid: 'u64', uid: 'u32', gid: 'u32', pid: 'u32' },
  ...{ totalExtlen: 'u16', padding: 'u16' },
});
export const outHeader = struct({ len: 'u32', error: 'i32', unique: 'u64' });

export const initIn = struct({ major: 'u32', minor: 'u32', maxReadahead: 'u32', flags: 'u32' });
/** Follows `initIn` since 7.36. */
export const initInMore = struct({ flags2: 'u32' });
export const initOut = struct({
  ...{
    major: 'u32',
    minor: 'u32',
    maxReadahead: 'u32',
    flags: 'u32',
    maxBackground: 'u16',
    congestionThreshold: 'u16',
  },
  ...{ maxWrite: 'u32', timeGran: 'u32', maxPages: 'u16', mapAlignment: 'u16', flags2: 'u32' },
  ...{
    maxStackDepth: 'u32',
    unused1: 'u32',
    unused2: 'u32',
    unused3: 'u32',
    unused4: 'u32',
    unused5: 'u32',
    unused6: 'u32',
  },
});

export const attr = struct({
  ...{ ino: 'u64', size: 'u64', blocks: 'u64', atime: 'u64', mtime: 'u64', ctime: 'u64' },
  ...{ atimensec: 'u32', mtimensec: 'u32', ctimensec: 'u32', mode: 'u32', nlink: 'u32', uid: 'u32', gid: 'u32' },
  ...{ rdev: 'u32', blksize: 'u32', flags: 'u32' },
});
/** Followed by a fuse_attr. */
export const entryOutHead = struct({
  ...{
    nodeid: 'u64',
    generation: 'u64',
    entryValid: 'u64',
    attrValid: 'u64',
    entryValidNsec: 'u32',
    attrValidNsec: 'u32',
  },
});
/** Followed by a fuse_attr. */
export const attrOutHead = struct({ attrValid: 'u64', attrValidNsec: 'u32', dummy: 'u32' });
/** Followed by the name, and by zeros up to a multiple of 8. */
export const dirent = struct({ ino: 'u64', off: 'u64', namelen: 'u32', type: 'u32' });

export const forgetIn = struct({ nlookup: 'u64' });
export const batchForgetIn = struct({ count: 'u32', dummy: 'u32' });
export const forgetOne = struct({ nodeid: 'u64', nlookup: 'u64' });
export const getattrIn = struct({ flags: 'u32', dummy: 'u32', fh: 'u64' });

export const setattrIn = struct({
  ...{
    valid: 'u32',
    padding: 'u32',
    fh: 'u64',
    size: 'u64',
    lockOwner: 'u64',
    atime: 'u64',
    mtime: 'u64',
    ctime: 'u64',
  },
  ...{ atimensec: 'u32', mtimensec: 'u32', ctimensec: 'u32', mode: 'u32', unused4: 'u32', uid: 'u32', gid: 'u32' },
  ...{ unused5: 'u32' },
});
export const mknodIn = struct({ mode: 'u32', rdev: 'u32', umask: 'u32', padding: 'u32' });
export const mkdirIn = struct({ mode: 'u32', umask: 'u32' });
export const linkIn = struct({ oldnodeid: 'u64' });
export const renameIn = struct({ newdir: 'u64' });
export const rename2In = struct({ newdir: 'u64', flags: 'u32', padding: 'u32' });
export const openIn = struct({ flags: 'u32', openFlags: 'u32' });
export const openOut = struct({ fh: 'u64', openFlags: 'u32', backingId: 'u32' });
export const createIn = struct({ flags: 'u32', mode: 'u32', umask: 'u32', openFlags: 'u32' });
export const releaseIn = struct({ fh: 'u64', flags: 'u32', releaseFlags: 'u32', lockOwner: 'u64' });
export const flushIn = struct({ fh: 'u64', unused: 'u32', padding: 'u32', lockOwner: 'u64' });
export const fsyncIn = struct({ fh: 'u64', fsyncFlags: 'u32', padding: 'u32' });
export const readIn = struct({
  ...{ fh: 'u64', offset: 'u64', size: 'u32', readFlags: 'u32', lockOwner: 'u64', flags: 'u32', padding: 'u32' },
});
/** Followed by `size` bytes. */
export const writeIn = struct({
  ...{ fh: 'u64', offset: 'u64', size: 'u32', writeFlags: 'u32', lockOwner: 'u64', flags: 'u32', padding: 'u32' },
});
export const writeOut = struct({ size: 'u32', padding: 'u32' });
export const statfsOut = struct({
  ...{ blocks: 'u64', bfree: 'u64', bavail: 'u64', files: 'u64', ffree: 'u64', bsize: 'u32', namelen: 'u32' },
  ...{ frsize: 'u32', padding: 'u32', spare0: 'u64', spare1: 'u64', spare2: 'u64' },
});
/** Followed by the name and `size` bytes. */
export const setxattrIn = struct({ size: 'u32', flags: 'u32' });
/** With FUSE_SETXATTR_EXT (7.33) it follows `setxattrIn`, before the name. */
export const setxattrInMore = struct({ setxattrFlags: 'u32', padding: 'u32' });
export const getxattrIn = struct({ size: 'u32', padding: 'u32' });
export const getxattrOut = struct({ size: 'u32', padding: 'u32' });
export const interruptIn = struct({ unique: 'u64' });
export const fallocateIn = struct({ fh: 'u64', offset: 'u64', length: 'u64', mode: 'u32', padding: 'u32' });
export const lseekIn = struct({ fh: 'u64', offset: 'u64', whence: 'u32', padding: 'u32' });
/** The node id in the header is the source file, `fhIn`. */
export const copyFileRangeIn = struct({
  ...{ fhIn: 'u64', offIn: 'u64', nodeidOut: 'u64', fhOut: 'u64', offOut: 'u64', len: 'u64', flags: 'u64' },
});
export const lseekOut = struct({ offset: 'u64' });

export const notifyInvalidateInode = struct({ ino: 'u64', off: 'u64', len: 'u64' });
/** Followed by the name and a NUL. */
export const notifyInvalidateEntry = struct({ parent: 'u64', namelen: 'u32', flags: 'u32' });
