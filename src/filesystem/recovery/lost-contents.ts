/**
 * A content whose spool file in the state directory is missing or damaged. Its last upload may have reached the service although the
 * answer was lost: then the service has the very content, and nothing is lost.
 */
import { messageOf } from '../../base/errors.js';
import { storedMd5 } from '../../providers/stored-md5.js';
import { NOT_SENT, type UploadRow } from '../../spool/journal.js';
import { remoteFolderOf } from '../../tree/inode.js';
import type { Contents } from '../content/contents.js';
import { type Core, pathOf } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import { nameHolder } from '../uploads/name-holder.js';
import { releaseDuplicate } from '../uploads/remote-moves.js';

/** For `status`: what a person can do. */
export function lossMessage(spool: string, isMissing: boolean): string {
  const what = isMissing ? 'is missing' : 'is damaged';
  return `the file spool/${spool} of the state directory ${what}: put it back and mount again, or give it up with 'syncmount uploads discard', which shows what the service has`;
}

/** Takes the service's file if it has that content. Never rejects: if this cannot be found out, the content stays as failed. */
export async function takeStored(core: Core, contents: Contents, state: FileState, row: UploadRow): Promise<void> {
  const { log, invalidate } = core;
  try {
    if (!(await isTaken(core, contents, state, row))) return;
    log.info({ ino: state.ino }, `${pathOf(core, state.ino)} is as the service has it; its spool file was missing`);
    invalidate({ kind: 'inode', ino: state.ino, content: true });
  } catch (error) {
    log.warn({ ino: state.ino }, `whether the service has a lost content is not known: ${messageOf(error)}`);
  }
}

async function isTaken(core: Core, contents: Contents, state: FileState, row: UploadRow): Promise<boolean> {
  const { table, provider, journal, directories, clock } = core;
  const md5 = row.attempts.at(-1);
  const inode = table.get(row.ino);
  const parent = inode?.parent == null ? undefined : table.get(inode.parent);
  const folder = parent === undefined ? null : remoteFolderOf(parent);
  if (md5 === undefined || md5 === NOT_SENT || inode === undefined || folder === null) return false;
  const name = inode.remote?.name ?? inode.name;
  const found = nameHolder(core, row.ino, name, await provider.list(folder))?.entry;
  if (found?.kind !== 'file' || found.size !== row.content.size) return false;
  if ((await storedMd5(provider, found)) !== md5) return false;
  return await contents.withNameLocks([row.ino], async () => {
    const isAsRecovered = state.failedGeneration === state.generation && table.get(row.ino)?.parent === inode.parent;
    if (!isAsRecovered || state.unlinked || state.handles.size > 0 || state.activeUpload !== null) return false;
    table.transaction(() => {
      releaseDuplicate(core, row.ino, found);
      table.update(row.ino, { remote: found, localSize: null, confirmedAt: clock.now() });
      journal.stored(row.ino);
    });
    directories.changes.note('file', found.id);
    // At its end, `withNameLocks` drops a spool file without changes.
    state.dirty = false;
    return true;
  });
}
