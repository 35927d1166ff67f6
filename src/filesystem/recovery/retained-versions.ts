/**
 * Versions of files that were replaced by a rename and stay, because the service does not delete. They lie beside their successors
 * under a name that says so to whoever looks at the account; mounts do not show them.
 */
import { randomBytes } from 'node:crypto';
import { oldVersionMark } from '../../providers/temporary-names.js';
import type { Ino } from '../../tree/inode.js';
import { withMark } from '../../tree/local-names.js';
import { type Core, pathOf } from '../core/core.js';
import type { ReplaceIntent } from '../core/replace-intent.js';

/** Room for what services add to a name, UTF-16 units. */
export const LONGEST_NAME = 200;

/** Where a replaced file waits for its end, and stays where it has none. */
export function asideName(name: string, maxLength: number): string {
  return withMark(name, oldVersionMark(randomBytes(6).toString('hex')), Math.min(maxLength, LONGEST_NAME));
}

export interface RetainedVersion {
  /** Where it is at the service, from the mount's root. */
  readonly path: string;
  /** The name that it had. */
  readonly was: string;
}

/** Those that this machine knows of. */
export function retainedVersions(core: Core, root: Ino): RetainedVersion[] {
  const rows = core.state.sql
    .prepare("SELECT data FROM intent WHERE kind = 'kept' ORDER BY id")
    .pluck()
    .all() as string[];
  return rows.map((data) => {
    const { parentId, aside, asideIn, name } = JSON.parse(data) as ReplaceIntent;
    const folder = core.table.byRemote('folder', asideIn ?? parentId);
    const above = folder === undefined ? '' : pathOf(core, folder.ino, root);
    return { path: `${above === '/' ? '' : above}/${aside}`, was: name };
  });
}
