import { type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { OpenFlags } from '../api.js';
import { type Core, inodeOf, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';

/**
 * Can all of the content still be read after the file lost its name: on this machine, or at the provider where it was
 * moved aside for its readers?
 */
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

/** Checks that the file can be opened with these flags. EISDIR, ELOOP, ENXIO, ESTALE, EROFS, EACCES. */
export function openable(core: Core, ino: Ino, flags: OpenFlags): Inode {
  const inode = inodeOf(core, ino);
  if (inode.kind === 'directory') throw new FsError('EISDIR', `${inode.name} is a directory`);
  if (inode.kind === 'symlink') throw new FsError('ELOOP', `${inode.name} is a symbolic link`);
  // The kernel opens FIFOs, sockets and devices itself.
  if (isSpecial(inode)) throw new FsError('ENXIO', `${inode.name} has no content`);
  // The file lost its name and content between the lookup and now. The kernel looks the name up again.
  if (inode.parent === null && !isAllHere(core, core.files.state(ino))) {
    throw new FsError('ESTALE', `${inode.name} was removed`);
  }
  if (flags.write || flags.truncate) {
    requireWritable(core);
    if (inode.remote?.access === 'read') throw new FsError('EACCES', `${inode.name} is read-only`);
  }
  return inode;
}
