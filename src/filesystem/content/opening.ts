import type { Ino, Inode } from '../../tree/inode.js';
import type { OpenFlags } from '../api.js';
import { type Core, inodeOf, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';

/** Is all of the content of a file that is losing its name within reach: on this machine, or kept at the provider for those who have it open? */
export function isAllHere({ readers }: Core, state: FileState | undefined): boolean {
  if (state === undefined) return false;
  if (state.aside !== null) return true;
  if (state.spool !== null) return state.spool.isComplete();
  if (state.lastRevision === null) return false;
  if (state.lastRevision.size === 0) return true;
  const reader = readers.acquire(state.lastRevision);
  try {
    return reader.canMoveToSpool();
  } finally {
    readers.release(reader);
  }
}

/** The file, made sure that it can be opened so. EISDIR, ESTALE, EROFS, EACCES. */
export function openable(core: Core, ino: Ino, flags: OpenFlags): Inode {
  const inode = inodeOf(core, ino);
  if (inode.kind === 'directory') throw new FsError('EISDIR', `${inode.name} is a directory`);
  // It lost its name between the lookup and now, and with it its content; the kernel looks the name up again.
  if (inode.parent === null && !isAllHere(core, core.files.state(ino))) {
    throw new FsError('ESTALE', `${inode.name} was removed`);
  }
  if (flags.write) {
    requireWritable(core);
    if (inode.remote?.access === 'read') throw new FsError('EACCES', `${inode.name} is read-only`);
  }
  return inode;
}
