import { fromMs, isBefore, strictlyAfter, type Timespec } from '../../base/timespec.js';
import { type AttributeDefaults, defaultMode } from '../../tree/default-attributes.js';
import { type Ino, type Inode, isSpecial, type Overlay, sizeOf } from '../../tree/inode.js';
import type { AttributeChange, Attributes } from '../api.js';
import type { Core } from '../core/core.js';
import { inodeOf, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { type FileState, isCutShort } from '../core/open-files.js';
import { accessAclName, encodeAcl, parseAcl, withMode } from './acl.js';
import { dropCapability } from './capabilities.js';

/**
 * The attributes that stat(2) shows: from the row, from later changes of an open file, and defaults for the rest. `subdirectories`: of a
 * directory; null if they are not known.
 */
export function attributesOf(
  inode: Inode,
  options: AttributeDefaults,
  file?: FileState,
  subdirectories: number | null = null,
): Attributes {
  const { remote } = inode;
  const overlay = withContentTimes(inode.overlay, file?.mtime ?? null);
  const mtime = overlay.mtime ?? fromMs(remote?.modified ?? 0);
  const isDirectory = inode.kind === 'directory';
  const size = isDirectory ? 0 : (file?.spool?.size ?? sizeOf(inode));
  return {
    ino: inode.ino,
    kind: inode.kind,
    size,
    // symlink(7): nobody changes the mode of a symbolic link, and nobody looks at it.
    mode:
      inode.kind === 'symlink'
        ? 0o777
        : (overlay.mode ?? defaultMode(isDirectory, remote?.access === 'read', options.umask)),
    nlink: linkCount(inode, subdirectories),
    uid: overlay.uid ?? options.uid,
    gid: overlay.gid ?? options.gid,
    atime: overlay.atime ?? mtime,
    mtime,
    ctime: overlay.ctime ?? mtime,
    ...(inode.rdev === 0 ? {} : { rdev: inode.rdev }),
    ...(file !== undefined && someCutShort(file, size) ? { uncacheable: true } : {}),
  };
}

/** 1 for a directory with an unknown number of subdirectories: that tells find(1) not to count on the link count. */
function linkCount(inode: Inode, subdirectories: number | null): number {
  if (inode.parent === null && !isRoot(inode)) return 0;
  if (inode.kind !== 'directory') return 1 + inode.furtherNames;
  return subdirectories === null ? 1 : 2 + subdirectories;
}

function someCutShort({ handles }: FileState, size: number): boolean {
  for (const handle of handles) if (isCutShort(handle, size)) return true;
  return false;
}

/**
 * The row fields of a file that loses its name. Programs that have it open keep seeing its former attributes; only ctime
 * moves.
 */
export function unlinkedRow(core: Core, ino: Ino): Partial<Inode> {
  const inode = inodeOf(core, ino);
  const { size, mode, atime, mtime, ctime } = attributesOf(inode, core.options, core.files.state(ino));
  const overlay = { ...inode.overlay, mode, atime, mtime, ctime: strictlyAfter(ctime, fromMs(core.clock.now())) };
  return { parent: null, remote: null, localSize: isSpecial(inode) ? null : size, overlay };
}

function isRoot(inode: Inode): boolean {
  return inode.remote?.kind === 'folder' && inode.remote.parentId === null;
}

/**
 * The overlay of a content that was last written at `mtime` (null: unchanged). ctime moves with it and never back: git and backup
 * programs take a file for a changed one if its ctime differs from the one they noted.
 */
export function withContentTimes(overlay: Overlay, mtime: Timespec | null): Overlay {
  if (mtime === null) return overlay;
  const { ctime } = overlay;
  return { ...overlay, mtime, ctime: ctime === null || isBefore(ctime, mtime) ? mtime : ctime };
}

/** Moves mtime and ctime to now. No two changes show the same times. */
export function touch(core: Core, ino: Ino): void {
  const { overlay } = inodeOf(core, ino);
  const now = fromMs(core.clock.now());
  core.table.updateOverlay(ino, { mtime: strictlyAfter(overlay.mtime, now), ctime: strictlyAfter(overlay.ctime, now) });
}

/** Moves ctime alone, for a change of neither the content nor an attribute of `changeOverlay`. */
export function touchStatus(core: Core, ino: Ino): void {
  core.table.updateOverlay(ino, { ctime: laterStatus(core, inodeOf(core, ino), fromMs(core.clock.now())) });
}

/** A ctime after the one that is shown. */
function laterStatus(core: Core, { ino, overlay }: Inode, now: Timespec): Timespec {
  return strictlyAfter(withContentTimes(overlay, core.files.state(ino)?.mtime ?? null).ctime, now);
}

/** chmod, chown, utimens: kept in the inode table, no request. Ignores `size`. ENOTSUP for the mode of a symbolic link. */
export function changeOverlay(core: Core, ino: Ino, change: AttributeChange): void {
  const { mode, uid, gid, atime, mtime } = change;
  if (mode === undefined && uid === undefined && gid === undefined && atime === undefined && mtime === undefined)
    return;
  requireWritable(core);
  const now = fromMs(core.clock.now());
  const inode = inodeOf(core, ino);
  const { overlay, kind, name } = inode;
  if (mode !== undefined && kind === 'symlink')
    throw new FsError('ENOTSUP', `${name} is a symbolic link, without a mode`);
  const file = core.files.state(ino);
  core.table.transaction(() => {
    if (mode !== undefined) keepAclInStep(core, ino, mode);
    if (uid !== undefined || gid !== undefined) dropCapability(core, ino);
    core.table.update(ino, {
      overlay: {
        mode: mode === undefined ? overlay.mode : mode & 0o7777,
        uid: uid ?? overlay.uid,
        gid: gid ?? overlay.gid,
        atime: atime === undefined ? overlay.atime : atime === 'now' ? now : atime,
        mtime: mtime === undefined ? overlay.mtime : mtime === 'now' ? now : mtime,
        ctime: laterStatus(core, inode, now),
      },
    });
  });
  // The file's own time of its last write is older than this call, and must not hide the time that was set.
  if (file !== undefined && mtime !== undefined) file.mtime = null;
}

/** chmod(2) of an object with an access ACL changes the ACL too: the group's bits are its mask. */
function keepAclInStep({ table: { xattrs } }: Core, ino: Ino, mode: number): void {
  const acl = xattrs.get(ino, accessAclName);
  if (acl !== undefined) xattrs.set(ino, accessAclName, encodeAcl(withMode(parseAcl(acl), mode)));
}
