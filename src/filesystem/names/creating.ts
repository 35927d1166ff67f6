import { fromMs } from '../../base/timespec.js';
import type { Ino } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { overlayOfNew } from '../attributes/attributes.js';
import type { Contents } from '../content/contents.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import type { Namespace } from './namespace.js';

/**
 * Creates a file on this machine; its first close stores it. The caller has checked that the name is free. The name is
 * taken before the first `await`.
 */
export async function createFile(
  { table, files, options, clock }: Core,
  namespace: Namespace,
  contents: Contents,
  { parent, name, mode }: { readonly parent: Ino; readonly name: string; readonly mode: number },
  caller: Caller | undefined,
): Promise<FileState> {
  const now = fromMs(clock.now());
  const { ino } = table.transaction(() => {
    namespace.touchDirectory(parent);
    return table.insert({
      parent,
      name,
      kind: 'file',
      localSize: 0,
      overlay: { ...overlayOfNew(caller, mode, 0o666, options, table.get(parent)), atime: now, mtime: now, ctime: now },
    });
  });
  const state = files.ensureState(ino);
  try {
    // An empty file is a content too: its close stores it.
    await contents.createEmpty(state);
  } catch (error) {
    table.update(ino, { parent: null, localSize: null });
    files.forgetIfUnused(state);
    throw error;
  }
  return state;
}
