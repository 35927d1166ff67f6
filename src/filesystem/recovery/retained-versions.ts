/**
 * Versions that a rename replaced and that stay because the service does not delete. They lie beside their successors,
 * under a name that says so to a person who looks at the account; mounts do not show them.
 */
import { randomBytes } from 'node:crypto';
import type { RemoteFile } from '../../providers/provider.js';
import { oldVersionMark } from '../../providers/temporary-names.js';
import type { Ino } from '../../tree/inode.js';
import { withMark } from '../../tree/local-names.js';
import { type Core, pathOf } from '../core/core.js';
import type { ReplaceIntent } from '../core/replace-intent.js';

/** Longest name that we give, UTF-16 units: services append to names. */
export const LONGEST_NAME = 200;

/** The name under which a replaced file waits for its removal, or stays if the service does not delete. */
export function asideName(name: string, maxLength: number): string {
  return withMark(name, oldVersionMark(randomBytes(6).toString('hex')), Math.min(maxLength, LONGEST_NAME));
}

export interface RetainedVersion {
  /** Path at the service, from the mount's root. */
  readonly path: string;
  /** Its former name. */
  readonly was: string;
}

/** The retained versions that this machine knows of, and removed files whose deletion the service has refused. */
export function retainedVersions(core: Core, root: Ino): RetainedVersion[] {
  const rows = core.state.sql
    .prepare(
      "SELECT kind, data FROM intent WHERE kind = 'kept' OR (kind = 'held' AND data ->> '$.isRefused') ORDER BY id",
    )
    .all() as { kind: 'kept' | 'held'; data: string }[];
  return rows.map(({ kind, data }) => {
    if (kind === 'held') {
      const { file } = JSON.parse(data) as { file: RemoteFile };
      return { path: pathIn(core, root, file.parentId, file.name), was: file.name };
    }
    const { parentId, aside, asideIn, name } = JSON.parse(data) as ReplaceIntent;
    return { path: pathIn(core, root, asideIn ?? parentId, aside), was: name };
  });
}

function pathIn(core: Core, root: Ino, folderId: string, name: string): string {
  const folder = core.table.byRemote('folder', folderId);
  const above = folder === undefined ? '' : pathOf(core, folder.ino, root);
  return `${above === '/' ? '' : above}/${name}`;
}
