import type { Ino, Inode } from '../tree/inode.js';
import type { OpenFlags } from './api.js';
import { type Core, inodeOf, requireWritable } from './core.js';
import { FsError } from './fs-error.js';

/** The file, made sure that it can be opened so. EISDIR, ESTALE, EROFS, EACCES. */
export function openable(core: Core, ino: Ino, flags: OpenFlags): Inode {
  const inode = inodeOf(core, ino);
  if (inode.kind === 'directory') throw new FsError('EISDIR', `${inode.name} is a directory`);
  // It lost its name between the lookup and now, and with it its content; the kernel looks the name up again.
  if (inode.parent === null && core.files.state(ino)?.spool == null) {
    throw new FsError('ESTALE', `${inode.name} was removed`);
  }
  if (flags.write) {
    requireWritable(core);
    if (inode.remote?.access === 'read') throw new FsError('EACCES', `${inode.name} is read-only`);
  }
  return inode;
}
