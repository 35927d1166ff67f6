import { type Ino, remoteFolderOf } from '../tree/inode.js';
import type { CloudFilesystem } from './cloud-filesystem.js';
import { type Core, inodeOf } from './core/core.js';
import { FsError } from './core/fs-error.js';

/** The directory at `path`, down from the directory `from`. ENOENT, ENOTDIR. */
export async function resolvePath(filesystem: CloudFilesystem, core: Core, from: Ino, path: string): Promise<Ino> {
  let at = from;
  for (const name of path.split('/').filter((part) => part !== '' && part !== '.')) {
    const attributes = await filesystem.lookup(at, name);
    if (attributes === undefined) throw new FsError('ENOENT', `${path} does not exist`);
    if (attributes.kind !== 'directory' || remoteFolderOf(inodeOf(core, attributes.ino)) === null) {
      throw new FsError('ENOTDIR', `${path} is not a folder of the account`);
    }
    at = attributes.ino;
  }
  return at;
}
