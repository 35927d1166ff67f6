/** The names that an entry may have. */
import { nameBytes } from '../../base/raw-names.js';
import { hiddenFolderName } from '../../metadata/hidden-folder.js';
import type { Inode } from '../../tree/inode.js';
import { MAX_NAME_BYTES } from '../../tree/local-names.js';
import type { Core } from '../core/core.js';
import { FsError } from '../core/fs-error.js';

/** ENAMETOOLONG if a directory here or the provider cannot hold the name. */
export function requireNameFits(core: Core, name: string): void {
  if (name.length > core.provider.capabilities.maxNameLength || nameBytes(name) > MAX_NAME_BYTES) {
    throw new FsError('ENAMETOOLONG', 'the name is too long');
  }
}

/**
 * EPERM for the name in the account's root under which the account keeps its metadata: no mount shows that folder. After EEXIST, programs
 * would look at the entry and find nothing.
 */
export function requireNotReserved(directory: Inode, name: string): void {
  if (name === hiddenFolderName && directory.remote?.kind === 'folder' && directory.remote.parentId === null)
    throw new FsError('EPERM', `${name} is where the account keeps its metadata`);
}
