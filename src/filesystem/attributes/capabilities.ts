import type { Ino } from '../../tree/inode.js';
import { capabilityName } from '../../tree/xattr-table.js';
import type { Core } from '../core/core.js';

/** Call this when the content or the owner of a file changes: its capability was for the file as it was. capabilities(7) */
export function dropCapability({ table }: Pick<Core, 'table'>, ino: Ino): void {
  if (table.xattrs.hasCapability(ino)) table.transaction(() => table.xattrs.remove(ino, capabilityName));
}
