import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, messageOf, SyncmountError } from './errors.js';

/**
 * Makes a directory of mode 0700, and missing directories above it. Throws `SyncmountError` `directory`, which names the directory
 * that cannot be made and the reason. (Node's recursive mkdir reports ENOENT for a read-only disk.)
 */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && dirname(path) !== path) {
      makeDirectory(dirname(path));
      makeDirectory(path);
      return;
    }
    if (isDirectory(path)) return;
    throw new SyncmountError('directory', `cannot make the directory ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // The caller throws the error of mkdir, which says more.
    return false;
  }
}
