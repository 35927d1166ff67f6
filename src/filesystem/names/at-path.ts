import { codeOf } from '../../base/errors.js';
import type { Ino, Inode } from '../../tree/inode.js';
import { type Core, inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { Namespace } from './namespace.js';

/**
 * The object at a path from the directory `root`, for a person who has typed it: he may have made it elsewhere a moment ago, so a name
 * that is not known is looked for at the service, however fresh the listing is. ENOENT.
 */
export async function atPath(core: Core, namespace: Namespace, root: Ino, path: string): Promise<Inode> {
  let at = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (inodeOf(core, at).kind !== 'directory') throw new FsError('ENOENT', `${path} does not exist`);
    at = (await findAnew(core, namespace, at, name)).ino;
  }
  return inodeOf(core, at);
}

async function findAnew(core: Core, namespace: Namespace, directory: Ino, name: string): Promise<Inode> {
  try {
    return await namespace.find(directory, name);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    // Out of reach: what is known is all there is.
    await core.directories.refresh(directory).catch(() => undefined);
    return await namespace.find(directory, name);
  }
}
