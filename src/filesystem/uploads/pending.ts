/** Lists, for people, the contents that are not stored at the provider yet. */
import { codeOf } from '../../base/errors.js';
import type { UploadState } from '../../spool/journal.js';
import type { Ino } from '../../tree/inode.js';
import { notePassthroughWrites } from '../content/passthrough-writes.js';
import { type Core, pathOf } from '../core/core.js';
import type { FsError } from '../core/fs-error.js';
import type { Exclusion } from './exclusion.js';

export interface PendingUpload {
  readonly path: string;
  readonly size: number;
  readonly sent: number;
  /** `excluded`: it stays here because of its name. */
  readonly state: UploadState | 'excluded';
  /** When it began to wait, ms since 1970. */
  readonly since: number;
  /** For a failed upload: the errno that the program received, and the reason. */
  readonly code?: string;
  readonly error?: string;
}

/** Oldest first; paths as seen from the directory `root`. */
export function pendingUploads(core: Core, exclusion: Exclusion, root: Ino): PendingUpload[] {
  return core.journal.all().flatMap((row) => {
    const state = core.files.state(row.ino);
    if (state !== undefined) notePassthroughWrites(core, state);
    // Its spool file exists but was never changed: the provider has this content.
    if (row.state === 'open' && state?.spool != null && !state.dirty && row.base !== null) return [];
    const upload = {
      path: pathOf(core, row.ino, root),
      size: state?.spool?.size ?? row.content.size,
      sent: state?.activeUpload ? state.sent : 0,
      since: row.since,
      state: row.state !== 'failed' && exclusion.has(row.ino) ? ('excluded' as const) : row.state,
      ...(row.state === 'failed' ? { code: row.code ?? 'EIO', error: row.message ?? '' } : {}),
    };
    return [upload];
  });
}

/** Ends the reason of a failed upload where the account is full. */
export function spaceHint({ options, provider }: Core, failure: FsError): string {
  const isInTrash = codeOf(failure.cause) === 'quota' && options.disposal === 'trash' && provider.capabilities.trash;
  return isInTrash ? '; what was removed may hold its space in the trash of the service' : '';
}

/** Paths of the files that are open for writing, as seen from the directory `root`. */
export function writersOf(core: Core, root: Ino): string[] {
  const paths = new Set<string>();
  for (const { flags, state } of core.files.handles()) if (flags.write) paths.add(pathOf(core, state.ino, root));
  return [...paths];
}
