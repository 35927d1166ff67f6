import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';
import type { Core } from '../core/core.js';

/**
 * The bytes of a revision turned out to be wrong: handles that read it fail from now on, and the kernel drops its pages.
 */
export function markCorrupt({ files, table, invalidate }: Core, file: RemoteFile): void {
  const key = revisionKey(file);
  const inos = new Set<Ino>();
  for (const handle of files.handles()) {
    if (handle.pinned === null || revisionKey(handle.pinned) !== key) continue;
    handle.isCorrupt = true;
    inos.add(handle.state.ino);
  }
  const inode = table.byRemote('file', file.id);
  if (inode !== undefined) inos.add(inode.ino);
  // Not from inside a request on this inode: the kernel would wait for itself.
  setImmediate(() => {
    for (const ino of inos) invalidate({ kind: 'inode', ino, content: true });
  });
}
