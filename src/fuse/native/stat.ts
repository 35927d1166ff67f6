/** Converts attributes to fuse-native's structures, which have smaller ranges. */
import type { Attributes, StatFs, Timespec } from '../../filesystem/api.js';
import { blockSize, blocksOf, fileTypeBits } from '../answers.js';
import type { NativeStat, NativeStatFs } from './library.js';

/** fuse-native takes unsigned milliseconds: no time before 1970, and none finer than a millisecond. */
const milliseconds = (time: Timespec): number => Math.max(0, time.sec * 1000 + Math.floor(time.nsec / 1e6));

export function toTimespec(ms: number): Timespec {
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: Math.round((ms - sec * 1000) * 1e6) };
}

export function toStat(attributes: Attributes): NativeStat {
  return {
    ino: attributes.ino,
    mode: fileTypeBits[attributes.kind] | attributes.mode,
    nlink: attributes.nlink,
    uid: attributes.uid,
    gid: attributes.gid,
    rdev: attributes.rdev ?? 0,
    size: attributes.size,
    blksize: blockSize,
    blocks: blocksOf(attributes),
    atime: milliseconds(attributes.atime),
    mtime: milliseconds(attributes.mtime),
    ctime: milliseconds(attributes.ctime),
  };
}

/** fuse-native's block counts have 32 bits, so the block size is doubled until the total fits. */
export function toStatFs(stat: StatFs): NativeStatFs {
  let size = blockSize;
  while (stat.total / size > 0xffff_ffff) size *= 2;
  const free = Math.floor(stat.free / size);
  const unusedInodes = 0xffff_ffff - stat.files;
  return {
    bsize: size,
    frsize: size,
    blocks: Math.floor(stat.total / size),
    bfree: free,
    bavail: free,
    files: 0xffff_ffff,
    ffree: unusedInodes,
    favail: unusedInodes,
    namemax: stat.maxNameBytes,
  };
}
