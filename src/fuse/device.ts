/** /dev/fuse, the device that both bindings use. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { codeOf, SyncmountError } from '../base/errors.js';

/** Checks that this user may open /dev/fuse (udev allows everyone). Throws `fuse-missing` or `permission`. Not on macOS. */
export async function checkDevice(): Promise<void> {
  if (process.platform !== 'linux') return;
  try {
    await access('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') {
      const line = '/dev/fuse does not exist: modprobe fuse (in a container: --device /dev/fuse)';
      throw new SyncmountError('fuse-missing', line, { cause });
    }
    throw new SyncmountError('permission', 'this user may not open /dev/fuse: chmod 666 /dev/fuse', { cause });
  }
}
