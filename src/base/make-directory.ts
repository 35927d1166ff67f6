import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, messageOf, SyncmountError } from './errors.js';

/**
 * Makes a directory of mode 0700, and those above it that are missing. Throws `SyncmountError` `directory` that names the one which
 * cannot be made, and why: of a disk that is read-only, the recursive mkdir of Node says that there is no such file.
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
    // The error of its making says more.
    return false;
  }
}
