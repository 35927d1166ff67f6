import { fromMs } from '../../base/timespec.js';
import type { Ino } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { newObject, storeInherited } from '../attributes/new-object.js';
import type { Contents } from '../content/contents.js';
import { type Core, inodeOf } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import type { Namespace } from './namespace.js';

/**
 * Creates a file on this machine; its first close stores it. The caller has checked that the name is free. The name is
 * taken before the first `await`.
 */
export async function createFile(
  core: Core,
  namespace: Namespace,
  contents: Contents,
  { parent, name, mode }: { readonly parent: Ino; readonly name: string; readonly mode: number },
  caller: Caller | undefined,
): Promise<FileState> {
  const { table, files, clock } = core;
  const now = fromMs(clock.now());
  const born = newObject(core, caller, mode, 'file', inodeOf(core, parent));
  const { ino } = table.transaction(() => {
    namespace.touchDirectory(parent);
    const overlay = { ...born.overlay, atime: now, mtime: now, ctime: now };
    const inode = table.insert({ parent, name, kind: 'file', localSize: 0, overlay });
    storeInherited(table, inode.ino, born);
    return inode;
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
