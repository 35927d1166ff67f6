/** The programs that mount and unmount for us: umount(8) for root, fusermount3(1) or fusermount(1) for everyone else. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { SyncmountError } from '../base/errors.js';

export const isRoot = (): boolean => process.geteuid?.() === 0;

/** The absolute path of the first of `names` that is installed. Also searches outside of PATH: cron's PATH lacks sbin. */
export async function findProgram(...names: string[]): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  for (const name of names) {
    for (const folder of folders) {
      if (!folder.startsWith('/')) continue;
      const path = join(folder, name);
      try {
        await access(path, constants.X_OK);
        return path;
      } catch {
        // Not in this folder: try the next one.
      }
    }
  }
  return undefined;
}

/** fusermount3 of libfuse 3 or, with the same arguments, fusermount of libfuse 2. */
export async function findFusermount(): Promise<string> {
  const path = await findProgram('fusermount3', 'fusermount');
  if (path !== undefined) return path;
  throw new SyncmountError('fuse-missing', 'fusermount3 is not installed: apt install fuse3');
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** Its stderr, in English, without the newline. */
  readonly message: string;
}

/** Runs a program to its end. Does not reject if the program fails. */
export function run(file: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    // Messages are matched below, so they must not be translated.
    execFile(file, args, { env: { ...process.env, LC_ALL: 'C' } }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, message: stderr.trim() || (error?.message ?? '') });
    });
  });
}

async function unmountCommand(mountpoint: string, lazy: boolean, force: boolean): Promise<Outcome> {
  if (process.platform === 'darwin') return run('/sbin/umount', [...(lazy ? ['-f'] : []), mountpoint]);
  if (!isRoot()) return run(await findFusermount(), [lazy ? '-uz' : '-u', '--', mountpoint]);
  const umount = await findProgram('umount');
  if (umount === undefined) throw new SyncmountError('fuse-missing', 'umount is not installed: apt install mount');
  // -i: run no helper program of another package. -c: do not resolve the path, because a mount that hangs might never answer.
  return run(umount, [...(lazy ? ['-l'] : []), ...(force ? ['-f'] : []), '-i', '-c', '--', mountpoint]);
}

export function busyError(mountpoint: string, cause?: unknown): SyncmountError {
  return new SyncmountError('busy', `${mountpoint} is busy: close the files and leave the directories on it first`, {
    cause,
    data: { mountpoint },
  });
}

/**
 * Unmounts, or throws: `busy` if the mount is in use (not if lazy), `unmount-failed` otherwise. With `force`, which only root may use,
 * calls that wait for the mount's process end with an error.
 */
export async function unmountByProgram(
  mountpoint: string,
  { lazy, force = false }: { lazy: boolean; force?: boolean },
): Promise<void> {
  const { code, message } = await unmountCommand(mountpoint, lazy, force);
  if (code === 0) return;
  if (/busy/i.test(message)) throw busyError(mountpoint);
  throw new SyncmountError('unmount-failed', `cannot unmount ${mountpoint}: ${message.split('\n')[0]}`, {
    data: { mountpoint, exitCode: code },
  });
}
