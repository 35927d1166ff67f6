/**
 * fallocate(2) with FALLOC_FL_PUNCH_HOLE, which Node lacks: how a sparse cache file gives blocks back to the disk. And who else
 * has a file open, who would read them as zeros.
 */
import { codeOf, SyncmountError } from '../base/errors.js';
import { errnoName, loadAddon } from './kernel/addon.js';

/**
 * Gives the blocks of a range back; the size stays, the range reads as zeros. False, and nothing done, where somebody else has
 * the file open or mapped. Throws with the errno's name as code.
 */
export type PunchHole = (fd: number, offset: number, length: number) => boolean;

/** Has anybody but this descriptor the file open or mapped? True also where the file system cannot say. */
export type IsOpenElsewhere = (fd: number) => boolean;

/** Has anybody the file open or mapped for writing? The descriptor itself only reads. True also where nobody can say. */
export type IsOpenForWriting = (fd: number) => boolean;

export interface Holes {
  readonly punchHole?: PunchHole;
  readonly isOpenElsewhere?: IsOpenElsewhere;
  readonly isOpenForWriting?: IsOpenForWriting;
}

/** Nothing where the addon is not built: then nothing can be punched, and whole files have to go. */
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
    // What the kernel reads by itself (passthrough) may be mapped for longer than it is open, and after our own end.
    if (isOpenElsewhere(fd)) return false;
    const result = addon.punchHole(fd, offset, length);
    // EOPNOTSUPP: the disk's file system has no holes.
    if (result !== 0) throw new SyncmountError(errnoName(result), `cannot punch a hole: ${errnoName(result)}`);
    return true;
  };
  return { punchHole, isOpenElsewhere, isOpenForWriting };
}
