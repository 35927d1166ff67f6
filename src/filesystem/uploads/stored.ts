/**
 * Applies a finished upload on this machine: to the inode, the journal, the handles and the cache. Invariant: the inode gets its new
 * remote side in the transaction that removes the journal row.
 */

import type { SpoolFile } from '../../spool/spool-file.js';
import { type Inode, remoteFileOf } from '../../tree/inode.js';
import { withContentTimes } from '../attributes/attributes.js';
import type { Contents } from '../content/contents.js';
import { promoteToCache } from '../content/promotion.js';
import { pin } from '../content/revisions.js';
import { type Core, inodeOf } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import { rebaseMapped, type StoredAs } from './rebase-mapped.js';
import { followRemoteMove, freeName, hasMoved, releaseDuplicate } from './remote-moves.js';

/** The result of an upload. */
export interface Stored extends StoredAs {
  /** Another client had changed the file: ours was stored beside it, under another name. */
  readonly isConflict: boolean;
}

/**
 * The inode gets its remote side, the handles their new revision, the cache the bytes. `onSpace` is called with the change of used
 * space, bytes.
 */
export async function applyStored(
  core: Core,
  contents: Contents,
  state: FileState,
  spool: SpoolFile,
  stored: Stored,
  onSpace: (bytes: number) => void,
): Promise<void> {
  const { table, journal, directories, clock } = core;
  const { remote, isConflict, crcs } = stored;
  const before = inodeOf(core, state.ino);
  const was = remoteFileOf(before);
  const isOwnName = !isConflict || before.parent === null;
  const name = isOwnName ? before.name : freeName(core, before.parent, remote, state.ino);
  table.transaction(() => {
    releaseDuplicate(core, state.ino, remote);
    table.update(state.ino, {
      remote,
      name,
      localSize: null,
      confirmedAt: clock.now(),
      overlay: withContentTimes(before.overlay, state.mtime),
    });
    journal.stored(state.ino);
  });
  directories.changes.note('file', remote.id);
  onSpace(remote.size - (isConflict || was === null ? 0 : was.size));
  if (isConflict) showBothNames(core, before, name);
  else if (was !== null && hasMoved(was, remote)) followRemoteMove(core, state.ino, was, remote);
  for (const handle of state.handles) {
    if (handle.isOnOldRevision) continue;
    pin(core, handle, remote);
    // The kernel has had its pages since they were written: we do not know which of them were read.
    handle.hasRead = true;
  }
  if (state.writeDetector !== null) return rebaseMapped(core, state, spool, stored);
  state.mtime = null;
  const { backing } = state;
  contents.dropSpool(state);
  const moved = promoteToCache(core, spool, remote, crcs, backing);
  // The cache did not take the file, but its readers keep it. The state keeps it too, for the next write.
  if (backing?.owner === 'readers') state.backing = backing;
  await moved;
}

/** The kernel forgets both names, and a listing shows the other client's file under the name that ours had. */
function showBothNames({ invalidate, directories }: Core, { parent, name }: Inode, newName: string): void {
  if (parent === null) return;
  setImmediate(() => {
    for (const changed of [name, newName]) invalidate({ kind: 'entry', parent, name: changed });
    // If this listing fails, the next one shows it.
    directories.refresh(parent).catch(() => undefined);
  });
}
