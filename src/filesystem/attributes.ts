import { fromMs } from '../base/timespec.js';
import { type Inode, sizeOf } from '../tree/inode.js';
import type { AttributeChange, Attributes } from './api.js';
import type { Core, FilesystemOptions } from './core.js';
import { inodeOf, requireWritable } from './core.js';
import type { FileState } from './open-files.js';

/** An inode as stat(2) shows it: the row, what an open file has changed since, and defaults for the rest. */
export function attributesOf(
  inode: Inode,
  options: Pick<FilesystemOptions, 'uid' | 'gid' | 'umask' | 'readOnly'>,
  file?: FileState,
): Attributes {
  const { overlay, remote } = inode;
  const mtime = file?.mtime ?? overlay.mtime ?? fromMs(remote?.modified ?? 0);
  const isDirectory = inode.kind === 'directory';
  return {
    ino: inode.ino,
    kind: inode.kind,
    size: isDirectory ? 0 : (file?.spool?.size ?? sizeOf(inode)),
    mode: overlay.mode ?? defaultMode(isDirectory, remote?.access === 'read', options.umask),
    // 1 for directories: the number of subdirectories may be unknown, and 1 tells find(1) not to count on it.
    nlink: inode.parent === null && !isRoot(inode) ? 0 : 1,
    uid: overlay.uid ?? options.uid,
    gid: overlay.gid ?? options.gid,
    atime: overlay.atime ?? mtime,
    mtime,
    ctime: laterOf(overlay.ctime ?? mtime, file?.mtime ?? null),
  };
}

function isRoot(inode: Inode): boolean {
  return inode.remote?.kind === 'folder' && inode.remote.parentId === null;
}

function laterOf(a: Attributes['ctime'], b: Attributes['ctime'] | null): Attributes['ctime'] {
  if (b === null) return a;
  return b.sec > a.sec || (b.sec === a.sec && b.nsec > a.nsec) ? b : a;
}

function defaultMode(isDirectory: boolean, isReadOnly: boolean, umask: number): number {
  const mode = (isDirectory ? 0o777 : 0o666) & ~umask;
  return isReadOnly ? mode & ~0o222 : mode;
}

/** chmod, chown, utimens: kept here, no request. The size is not this function's business. */
export function changeOverlay(core: Core, ino: number, change: AttributeChange): void {
  const { mode, uid, gid, atime, mtime } = change;
  if (mode === undefined && uid === undefined && gid === undefined && atime === undefined && mtime === undefined)
    return;
  requireWritable(core);
  const now = fromMs(core.clock.now());
  const { overlay } = inodeOf(core, ino);
  core.table.update(ino, {
    overlay: {
      mode: mode === undefined ? overlay.mode : mode & 0o7777,
      uid: uid ?? overlay.uid,
      gid: gid ?? overlay.gid,
      atime: atime === undefined ? overlay.atime : atime === 'now' ? now : atime,
      mtime: mtime === undefined ? overlay.mtime : mtime === 'now' ? now : mtime,
      ctime: now,
    },
  });
  const file = core.files.state(ino);
  // The time of the last write is older than this call, and may no longer hide what was set.
  if (file !== undefined && mtime !== undefined) file.mtime = null;
}
