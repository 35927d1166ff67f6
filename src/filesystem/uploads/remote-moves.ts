/** Lets an inode follow a file that another client renamed or moved. */
import type { RemoteFile } from '../../providers/provider.js';
import type { Ino, Inode } from '../../tree/inode.js';
import { assignLocalNames } from '../../tree/local-names.js';
import { isSilentlyRenamed } from '../../tree/silent-renames.js';
import { type Core, inodeOf } from '../core/core.js';

/**
 * Updates the inode from the provider's description `was` to `now`. If the file moved to a folder that was never listed,
 * its name stays until one of the two folders is listed.
 */
export function followRemoteMove(core: Core, ino: Ino, was: RemoteFile | null, now: RemoteFile): Inode {
  const { table, provider, directories, clock, invalidate } = core;
  const before = inodeOf(core, ino);
  const folder = table.byRemote('folder', now.parentId);
  const isMoved =
    was !== null &&
    hasMoved(was, now) &&
    !isSilentlyRenamed(table, { ...before, remote: was }, now, provider.capabilities.moveFile);
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

/** A listing may have added the same object as a new inode. An object has one inode, so the other one is released. */
export function releaseDuplicate({ table, invalidate }: Core, ino: Ino, remote: RemoteFile): void {
  const duplicate = table.byRemote('file', remote.id);
  if (duplicate === undefined || duplicate.ino === ino) return;
  table.update(duplicate.ino, { parent: null, remote: null });
  const { parent, name } = duplicate;
  const own = table.get(ino);
  // Later: the kernel may hold the directory's lock until our answer. If the inode itself has the name, the kernel is told of it
  // elsewhere.
  if (parent !== null && !(own?.parent === parent && own.name === name))
    setImmediate(() => invalidate({ kind: 'entry', parent, name }));
}

/** A free local name for a file in a directory; `ino` is the file itself, which may already have it. */
export function freeName({ table }: Core, parent: Ino, remote: RemoteFile, ino: Ino): string {
  const isTaken = (name: string): boolean => ![undefined, ino].includes(table.child(parent, name)?.ino);
  return assignLocalNames([remote], new Map(), { has: isTaken }).get(remote.id) ?? remote.name;
}
