/** An object that another client renamed or moved keeps its inode here, under the name that it has now. */
import type { RemoteFile } from '../../providers/provider.js';
import type { Ino, Inode } from '../../tree/inode.js';
import { assignLocalNames } from '../../tree/local-names.js';
import { type Core, inodeOf } from '../core/core.js';

/**
 * The inode is what the provider now describes as `now`, and described as `was`. Where that is in a folder that was never
 * listed, the name stays until one of the two folders is.
 */
export function followRemoteMove(core: Core, ino: Ino, was: RemoteFile | null, now: RemoteFile): Inode {
  const { table, directories, clock, invalidate } = core;
  const before = inodeOf(core, ino);
  const folder = table.byRemote('folder', now.parentId);
  const isMoved = was !== null && hasMoved(was, now);
  const after = table.transaction(() => {
    releaseDuplicate(core, ino, now);
    const place =
      isMoved && folder !== undefined ? { parent: folder.ino, name: freeName(core, folder.ino, now, ino) } : {};
    return table.update(ino, { remote: now, confirmedAt: clock.now(), ...place });
  });
  directories.changes.note('file', now.id);
  if (isMoved) {
    for (const parent of [before.parent, after.parent]) if (parent !== null) directories.expire(parent);
    setImmediate(() => {
      for (const { parent, name } of [before, after]) if (parent !== null) invalidate({ kind: 'entry', parent, name });
    });
  }
  return after;
}

export function hasMoved(was: RemoteFile, now: RemoteFile): boolean {
  return was.name !== now.name || was.parentId !== now.parentId;
}

/** A listing may have taken the same object for a new one; it has one inode. */
export function releaseDuplicate({ table }: Core, ino: Ino, remote: RemoteFile): void {
  const duplicate = table.byRemote('file', remote.id);
  if (duplicate !== undefined && duplicate.ino !== ino) table.update(duplicate.ino, { parent: null, remote: null });
}

/** What the directory can call a file; `ino` is the file itself, where it is there already. */
export function freeName({ table }: Core, parent: Ino, remote: RemoteFile, ino: Ino): string {
  const isTaken = (name: string): boolean => ![undefined, ino].includes(table.child(parent, name)?.ino);
  return assignLocalNames([remote], new Map(), { has: isTaken }).get(remote.id) ?? remote.name;
}
