import { fromMs } from '../../base/timespec.js';
import type { Ino } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import { newObject, storeInherited } from '../attributes/new-object.js';
import type { Contents } from '../content/contents.js';
import { putOpenRow } from '../content/spool-files.js';
import { type Core, inodeOf } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import type { Namespace } from './namespace.js';

export interface NewFile {
  readonly directory: Ino;
  /** Null: O_TMPFILE. Such a file inherits from its directory, and is not stored before link(2) gives it a name. */
  readonly name: string | null;
  /** Permission bits, before the umask. */
  readonly mode: number;
}

/**
 * Creates a file on this machine; its first close stores it. The caller has checked that the name is free. The name is
 * taken before the first `await`.
 */
export async function createFile(
  core: Core,
  namespace: Namespace,
  contents: Contents,
  { directory, name, mode }: NewFile,
  caller: Caller | undefined,
): Promise<FileState> {
  const { table, files, clock, spool } = core;
  const now = fromMs(clock.now());
  const born = newObject(core, caller, mode, 'file', inodeOf(core, directory));
  // The spool file comes first, then its inode and journal row in one transaction: an empty spool file that no row names is garbage.
  const made = name === null ? null : spool.createEmpty();
  let ino: Ino;
  try {
    ino = table.transaction(() => {
      if (name !== null) namespace.touchDirectory(directory);
      const overlay = { ...born.overlay, atime: now, mtime: now, ctime: now };
      const place = name === null ? { parent: null, name: '' } : { parent: directory, name };
      const inode = table.insert({ ...place, kind: 'file', localSize: 0, overlay });
      storeInherited(table, inode.ino, born);
      if (made !== null) putOpenRow(core, inode.ino, made);
      return inode.ino;
    });
  } catch (error) {
    await made?.file.remove();
    throw error;
  }
  const state = files.ensureState(ino);
  state.unlinked = name === null;
  state.isUnnamed = name === null;
  state.spool = made?.file ?? null;
  state.spoolName = made?.name ?? '';
  try {
    // An empty file is stored too, by its close.
    await contents.createEmpty(state);
  } catch (error) {
    table.update(ino, { parent: null, localSize: null });
    files.forgetIfUnused(state);
    throw error;
  }
  return state;
}
