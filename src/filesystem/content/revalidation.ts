import { codeOf } from '../../base/errors.js';
import { ProviderError } from '../../providers/errors.js';
import type { RemoteFile } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import { rowChanges } from '../../tree/listing.js';
import type { Core } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { type Handle, mayRepin } from '../core/open-files.js';

/**
 * A read failed in a way that a changed revision would explain: asks the provider for the current one. A handle that has
 * shown nothing yet switches to it; one that has shown bytes must not mix the two (ESTALE). If the revision has not
 * changed, rethrows `error`.
 */
export async function revalidate(core: Core, handle: Handle, error: unknown): Promise<RemoteFile> {
  const { table, provider, directories, log, invalidate } = core;
  const { state, pinned } = handle;
  if (!(error instanceof ProviderError) || pinned === null) throw error;
  if (error.code !== 'revision-changed' && error.code !== 'integrity' && error.code !== 'not-found') throw error;
  const now = await provider
    .stat({ kind: 'file', id: pinned.id, parentId: pinned.parentId })
    .catch((statError: unknown) => {
      // ESTALE, because read(2) has no ENOENT: the opened file is no longer there.
      if (codeOf(statError) !== 'not-found') throw statError;
      throw new FsError('ESTALE', `${pinned.name} was removed at the provider while it was open`, { cause: error });
    });
  if (now.kind !== 'file' || isSameRevision(now, pinned)) throw error;
  const inode = table.get(state.ino);
  if (inode !== undefined && inode.remote?.id === now.id) {
    const change = rowChanges(inode, now);
    if (change !== null) table.update(state.ino, change.fields);
    directories.changes.note('file', now.id);
    // Not from inside the request on this very inode.
    setImmediate(() => invalidate({ kind: 'inode', ino: state.ino, content: true }));
  }
  if (!mayRepin(handle)) {
    throw new FsError('ESTALE', `${pinned.name} was changed at the provider while it was being read`, {
      cause: error,
    });
  }
  log.info({ ino: state.ino }, 'the file was changed at the provider; reading its new content');
  return now;
}
