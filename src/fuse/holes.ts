/**
 * fallocate(2) with FALLOC_FL_PUNCH_HOLE, which Node lacks: it frees disk blocks of a sparse cache file. Also tells whether
 * another process has the file open, because it would read the freed blocks as zeros.
 */
import { codeOf, SyncmountError } from '../base/errors.js';
import type { SparseCalls } from '../base/sparse-calls.js';
import { errnoName, loadAddon } from './kernel/addon.js';

/**
 * Frees the disk blocks of a range. The file keeps its size, and the range reads as zeros. Returns false and does nothing if
 * anybody else has the file open or mapped. Throws an error whose code is the errno's name.
 */
export type PunchHole = (fd: number, offset: number, length: number) => boolean;

/** Is the file open or mapped other than by this descriptor? True also if the file system cannot tell. */
export type IsOpenElsewhere = (fd: number) => boolean;

/** Is the file open or mapped for writing? The descriptor itself must be read-only. True also if nobody can tell. */
export type IsOpenForWriting = (fd: number) => boolean;

export interface Holes {
  readonly punchHole?: PunchHole;
  readonly isOpenElsewhere?: IsOpenElsewhere;
  readonly isOpenForWriting?: IsOpenForWriting;
  readonly sparse?: SparseCalls;
}

/** Empty if the addon is not built. Then no hole can be punched, and the cache removes whole files instead. */
export function loadHoles(): Holes {
  let addon: ReturnType<typeof loadAddon>;
  try {
    addon = loadAddon();
  } catch (error) {
    if (codeOf(error) === 'fuse-missing') return {};
    throw error;
  }
  const isOpenElsewhere: IsOpenElsewhere = (fd) => {
    const result = addon.isOpenElsewhere(fd);
    return result !== 0 && errnoName(result) !== 'EBADF';
  };
  const isOpenForWriting: IsOpenForWriting = (fd) => {
    const result = addon.isOpenForWriting(fd);
    return result !== 0 && errnoName(result) !== 'EBADF';
  };
  const punchHole: PunchHole = (fd, offset, length) => {
    // A passthrough file may stay mapped after its last close, and after our own process has ended.
    if (isOpenElsewhere(fd)) return false;
    const result = addon.punchHole(fd, offset, length);
    // EOPNOTSUPP: the disk's file system has no holes.
    if (result !== 0) throw new SyncmountError(errnoName(result), `cannot punch a hole: ${errnoName(result)}`);
    return true;
  };
  // An addon that was built before this call existed does not have it.
  if (addon.seek === undefined) return { punchHole, isOpenElsewhere, isOpenForWriting };
  return { punchHole, isOpenElsewhere, isOpenForWriting, sparse: { punchHole: addon.punchHole, seek: addon.seek } };
}
