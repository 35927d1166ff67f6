import { codeOf } from '../../base/errors.js';
import type { Ino, Inode } from '../../tree/inode.js';
import { type Core, inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { Namespace } from './namespace.js';

/**
 * The object at a path from the directory `root`, for a person who has typed the path. He may have made the object elsewhere a moment
 * ago. So an unknown name is looked up at the service, however fresh the listing is. ENOENT names the whole path.
 */
export async function atPath(core: Core, namespace: Namespace, root: Ino, path: string): Promise<Inode> {
  let at = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const found = inodeOf(core, at).kind === 'directory' ? await findAnew(core, namespace, at, name) : undefined;
    if (found === undefined) throw new FsError('ENOENT', `${path} does not exist in the mount`);
    at = found.ino;
  }
  return inodeOf(core, at);
}

async function findAnew(core: Core, namespace: Namespace, directory: Ino, name: string): Promise<Inode | undefined> {
  const find = async (): Promise<Inode | undefined> => {
    try {
      return await namespace.find(directory, name);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  };
  const known = await find();
  if (known !== undefined) return known;
  // If the service cannot be reached, the known entries are all there are.
  await core.directories.refresh(directory).catch(() => undefined);
  return await find();
}
