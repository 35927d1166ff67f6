/** Lists, for people, the contents that are not stored at the provider yet. */
import { codeOf } from '../../base/errors.js';
import { entriesPerTurn, sortInTurns, turn } from '../../base/event-loop-turns.js';
import type { UploadState, UploadSummary } from '../../spool/journal.js';
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

/**
 * Oldest first; paths as seen from the directory `root`. Gives turns to the event loop between pieces, because a hundred thousand may
 * wait. Changes made meanwhile may show or not.
 */
export async function pendingUploads(core: Core, exclusion: Exclusion, root: Ino): Promise<PendingUpload[]> {
  const found: PendingUpload[] = [];
  const pathIn = pathsBelow(core, root);
  for (let after = 0; ; await turn()) {
    const rows = core.journal.summaries(after, entriesPerTurn);
    for (const row of rows) found.push(...pendingUpload(core, exclusion, row, pathIn));
    const last = rows.at(-1);
    if (last === undefined || rows.length < entriesPerTurn) break;
    after = last.ino;
  }
  return await sortInTurns(found, (a, b) => a.since - b.since);
}

function pendingUpload(
  core: Core,
  exclusion: Exclusion,
  row: UploadSummary,
  pathIn: (ino: Ino) => string,
): PendingUpload[] {
  const state = core.files.state(row.ino);
  if (state !== undefined) notePassthroughWrites(core, state);
  // Its spool file exists but was never changed: the provider has this content.
  if (row.state === 'open' && state?.spool != null && !state.dirty && row.hasBase === 1) return [];
  const upload = {
    path: pathIn(row.ino),
    size: state?.spool?.size ?? row.size,
    sent: state?.activeUpload ? state.sent : 0,
    since: row.since,
    state: row.state !== 'failed' && exclusion.has(row.ino) ? ('excluded' as const) : row.state,
    ...(row.state === 'failed' ? { code: row.code ?? 'EIO', error: row.message ?? '' } : {}),
  };
  return [upload];
}

/** As `pathOf`, for many files: the path of a directory is put together once. */
function pathsBelow(core: Core, root: Ino): (ino: Ino) => string {
  const directories = new Map<Ino, string>();
  return (ino) => {
    const inode = core.table.peek(ino);
    const parent = inode?.parent ?? null;
    if (inode === undefined || parent === null || ino === root) return pathOf(core, ino, root);
    const directory = directories.get(parent) ?? pathOf(core, parent, root);
    directories.set(parent, directory);
    // Everything in a removed directory is removed too.
    if (directory.endsWith(' (removed)')) return pathOf(core, ino, root);
    return directory === '/' ? `/${inode.name}` : `${directory}/${inode.name}`;
  };
}

/** The end of a failed upload's reason, if the account is full. */
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
