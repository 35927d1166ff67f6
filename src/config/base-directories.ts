import { accessSync, chmodSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, SyncmountError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';

/** The program's directories (XDG Base Directory Specification). */
export interface BaseDirectories {
  /** Accounts and credentials, config.toml. */
  readonly config: string;
  /** Inode tables, journals, and contents that are not uploaded yet. Not a cache: it must not be deleted. */
  readonly state: string;
  /** Downloaded blocks: may be deleted while nothing is mounted. */
  readonly cache: string;
}

export function baseDirectoriesOf(env: NodeJS.ProcessEnv): BaseDirectories {
  const home = env.HOME ?? homedir();
  const xdg = (own: string | undefined, base: string | undefined, fallback: string): string =>
    own !== undefined && own !== ''
      ? own
      : join(base !== undefined && base !== '' ? base : join(home, fallback), 'syncmount');
  return {
    config: xdg(env.SYNCMOUNT_CONFIG_DIR, env.XDG_CONFIG_HOME, '.config'),
    state: xdg(env.SYNCMOUNT_STATE_DIR, env.XDG_STATE_HOME, join('.local', 'state')),
    cache: xdg(env.SYNCMOUNT_CACHE_DIR, env.XDG_CACHE_HOME, '.cache'),
  };
}

/** Makes a directory that only its owner can read. Throws `SyncmountError` `directory`. */
export function privateDirectory(path: string): string {
  makeDirectory(path);
  try {
    if ((statSync(path).mode & 0o7777) !== 0o700) chmodSync(path, 0o700);
    return path;
  } catch (error) {
    throw new SyncmountError('directory', `cannot keep others out of ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** The reason why no file can be written in a directory, or null if one can. */
export function whyUnwritable(path: string): string | null {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
