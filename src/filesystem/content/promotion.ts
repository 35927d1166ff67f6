import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import type { BackingFile } from '../../spool/backing-file.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { Core } from '../core/core.js';

/**
 * A spool file whose content the provider has becomes a file of the cache; it goes where the cache does not take it. The
 * state has let go of it, and its row is gone. Who uses it directly (`loan`) goes on. The file has moved when this returns, not
 * only when that resolves, so that whoever opens it next finds it there.
 */
export async function promoteToCache(
  { readers, journal }: Core,
  spool: SpoolFile,
  remote: RemoteFile,
  crcs: readonly number[],
  backing: BackingFile | null = null,
): Promise<void> {
  const key = revisionKey(remote);
  if (remote.md5 === null) readers.cache.invalidate(key, remote.size);
  const isUsed = backing !== null && backing.users > 0;
  if (readers.cache.adopt(key, spool.size, spool.path, crcs, isUsed ? backing : null)) {
    await spool.close();
  } else if (isUsed) {
    backing.owner = 'readers';
    backing.key = key;
    backing.size = spool.size;
    backing.path = spool.path;
    // Until they have given it back it is among the files that nobody wants any more.
    return spool.close();
  } else {
    await spool.remove();
  }
  journal.garbageRemoved(spool.name);
}
