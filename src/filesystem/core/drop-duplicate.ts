import type { RemoteEntry } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';
import type { Core } from './core.js';

/**
 * Call this before an inode gets an object. A listing during the change may have added the object as a new inode: this releases that
 * inode.
 */
export function dropDuplicate({ table }: Core, ino: Ino, remote: RemoteEntry): void {
  const duplicate = table.byRemote(remote.kind, remote.id);
  if (duplicate !== undefined && duplicate.ino !== ino) table.update(duplicate.ino, { parent: null, remote: null });
}
