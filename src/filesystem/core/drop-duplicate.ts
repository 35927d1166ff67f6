import type { RemoteEntry } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';
import type { Core } from './core.js';

/** Before an inode gets an object: releases a new inode as which a listing during the change may have shown the object. */
export function dropDuplicate({ table }: Core, ino: Ino, remote: RemoteEntry): void {
  const duplicate = table.byRemote(remote.kind, remote.id);
  if (duplicate !== undefined && duplicate.ino !== ino) table.update(duplicate.ino, { parent: null, remote: null });
}
