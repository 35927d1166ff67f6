import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import type { BackingFile } from '../../spool/backing-file.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { Core } from '../core/core.js';

/**
 * Moves a stored spool file into the cache, or removes it if the cache does not take it. The state has detached it, and
 * its journal row is gone. Programs that use it directly (`backing`) keep using it.
 *
 * The file has moved when this function returns, not only when its promise resolves: the next open finds it there.
 */
export async function promoteToCache(
  { readers, journal, table }: Core,
  spool: SpoolFile,
  remote: RemoteFile,
  crcs: readonly number[],
  backing: BackingFile | null = null,
): Promise<void> {
  const key = revisionKey(remote);
  if (remote.md5 === null) readers.cache.invalidate(key, remote.size);
  const ino = table.pins.isEmpty ? undefined : table.byRemote('file', remote.id)?.ino;
  // Otherwise a file that is larger than the cache's limit would be fetched again.
  if (ino !== undefined && table.pins.covers(table, ino)) readers.cache.pins.add(key, remote.size);
  const isUsed = backing !== null && backing.users > 0;
  if (readers.cache.adopt(key, spool.size, spool.path, crcs, isUsed ? backing : null)) {
    await spool.close();
  } else if (isUsed) {
    backing.owner = 'readers';
    backing.key = key;
    backing.size = spool.size;
    backing.path = spool.path;
    // Until its users release it, the journal lists it among the files to remove.
    return spool.close();
  } else {
    await spool.remove();
  }
  journal.garbageRemoved(spool.name);
}
