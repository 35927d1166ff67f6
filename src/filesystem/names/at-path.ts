import type { Ino, Inode } from '../../tree/inode.js';
import { type Core, inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { Namespace } from './namespace.js';

/** The object at a path from the directory `root`. ENOENT. */
export async function atPath(core: Core, namespace: Namespace, root: Ino, path: string): Promise<Inode> {
  let at = root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (inodeOf(core, at).kind !== 'directory') throw new FsError('ENOENT', `${path} does not exist`);
    at = (await namespace.find(at, name)).ino;
  }
  return inodeOf(core, at);
}
