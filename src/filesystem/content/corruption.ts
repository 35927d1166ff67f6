/** Marks the handles that read a revision after wrong bytes of it may have been shown. */
import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';
import type { Core } from '../core/core.js';
import type { Handle } from '../core/open-files.js';

/** The bytes of a revision turned out to be damaged: handles that read it fail from now on, and the kernel drops its pages. */
export function markCorrupt(core: Core, file: RemoteFile): void {
  mark(core, file, (handle) => {
    handle.isCorrupt = true;
  });
}

/**
 * The provider has another revision by now, and its bytes may have been taken for this revision's. Handles that have shown any bytes
 * answer ESTALE from now on, and the kernel drops its pages.
 */
export function markOutdated(core: Core, file: RemoteFile): void {
  mark(core, file, (handle) => {
    handle.isOutdated = true;
  });
  const parent = core.table.byRemote('file', file.id)?.parent;
  if (parent != null) core.directories.expire(parent);
}

function mark({ files, table, invalidate }: Core, file: RemoteFile, apply: (handle: Handle) => void): void {
  const key = revisionKey(file);
  const inos = new Set<Ino>();
  for (const handle of files.handles()) {
    if (handle.pinned === null || revisionKey(handle.pinned) !== key) continue;
    apply(handle);
    inos.add(handle.state.ino);
  }
  const inode = table.byRemote('file', file.id);
  if (inode !== undefined) inos.add(inode.ino);
  // Not from inside a request on this inode: the kernel would wait for itself.
  setImmediate(() => {
    for (const ino of inos) invalidate({ kind: 'inode', ino, content: true });
  });
}
