import { type RemoteFile, revisionKey } from '../providers/provider.js';
import type { SpoolFile } from '../spool/spool-file.js';
import type { Core } from './core.js';
import type { FileState } from './open-files.js';

/**
 * A spool file whose content the provider has becomes a file of the cache; it goes where the cache does not take it. The
 * state has let go of it, and its row is gone. Who reads it through the kernel (`loan`) goes on.
 */
export async function handOver(
  { readers, journal }: Core,
  spool: SpoolFile,
  remote: RemoteFile,
  crcs: readonly number[],
  loan: FileState['loan'] = null,
): Promise<void> {
  await spool.close();
  if (remote.md5 === null) readers.cache.replaced(revisionKey(remote), remote.size);
  const readBy = loan !== null && loan.users > 0 ? loan : null;
  if (!readers.cache.adopt(revisionKey(remote), spool.size, spool.path, crcs, readBy)) {
    if (readBy !== null) readBy.owner = 'readers';
    await spool.remove();
  }
  journal.gone(spool.name);
}
