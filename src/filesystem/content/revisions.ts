/**
 * The revision of a file that its handles read. A handle is pinned to the revision that it was opened on, until its program can be shown
 * another one. A spool file starts from the revision that its first writer reads.
 */
import { WHOLE_FILE_BYTES } from '../../cache/read-ahead.js';
import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import { isSameRevision, mayBeSameContent } from '../../providers/revision.js';
import { remoteFileOf } from '../../tree/inode.js';
import { type Core, inodeOf } from '../core/core.js';
import { type FileState, type Handle, shownRevision } from '../core/open-files.js';

/** Releases the reader of a handle and pins the handle to another revision. */
export function pin({ readers }: Core, handle: Handle, file: RemoteFile | null): void {
  if (handle.reader !== null) readers.release(handle.reader);
  handle.reader = null;
  handle.pinned = file;
  handle.hasRead = false;
  handle.isCorrupt = false;
  handle.isOutdated = false;
}

/**
 * Called at an open. If all handles of a file share their pages, they must share one revision too: the one that a program has seen and
 * still has open, or otherwise the latest.
 */
export function alignRevision(core: Core, handle: Handle): void {
  const { state, pinned } = handle;
  if (!core.options.sharesPages || pinned === null) return;
  const revision = shownRevision(state) ?? pinned;
  const others = [...state.handles].filter((other) => other.pinned !== null && !isSameRevision(other.pinned, revision));
  for (const other of others) pin(core, other, revision);
  if (others.includes(handle)) core.log.info({ ino: state.ino }, 'opened in the version that others still read');
}

/** The revision that a new spool file starts from; null: it starts empty. */
export function baseOf(core: Core, state: FileState, handle: Handle | null): RemoteFile | null {
  if (handle !== null && handle.pinned !== null) return handle.pinned;
  return sharedRevision(core, state) ?? remoteFileOf(inodeOf(core, state.ino));
}

/** The revision that all handles of the file share because a program has seen it. Null: each handle may have its own. */
export function sharedRevision({ options }: Core, state: FileState): RemoteFile | null {
  return options.sharesPages ? shownRevision(state) : null;
}

/**
 * Called at an open: may the kernel keep the pages of an earlier open? Not while their bytes are unverified, or must be fetched again.
 * From now on the reader exists and remembers what it shows.
 */
export function mayKeepPages({ options, readers }: Core, handle: Handle): boolean {
  const { pinned, state } = handle;
  if (options.sharesPages || (pinned !== null && readers.isYoung(pinned))) return false;
  // A small file is shown only after all of it was verified.
  if (pinned === null || pinned.md5 === null || pinned.size <= WHOLE_FILE_BYTES || state.spool !== null) return true;
  handle.reader ??= readers.acquireAnew(pinned);
  return handle.reader.isSound;
}

/** The provider moved or renamed the file, maybe under a new id: switches the readers to it. The bytes are the same. */
export function noteMoved(core: Core, state: FileState, file: RemoteFile): void {
  const { spool, baseReader } = state;
  if (spool?.base != null && mayBeSameContent(spool.base, file)) {
    spool.baseMoved(file);
    core.journal.setBase(state.ino, file);
    if (baseReader !== null && baseReader.key !== revisionKey(file)) {
      core.readers.release(baseReader);
      state.baseReader = null;
    }
  }
  for (const handle of state.handles) {
    if (handle.pinned === null || handle.isOnOldRevision || !mayBeSameContent(handle.pinned, file)) continue;
    if (revisionKey(handle.pinned) === revisionKey(file)) {
      handle.pinned = file;
      continue;
    }
    const { hasRead } = handle;
    pin(core, handle, file);
    handle.hasRead = hasRead;
  }
}
