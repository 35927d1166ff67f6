/** The user for whom root mounts: the options `user=NAME` and `config=DIR` of fstab. */
import { readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { codeOf, messageOf, SyncmountError, UsageError } from '../../base/errors.js';

export interface Caller {
  readonly user: string | undefined;
  readonly config: string | undefined;
}

/** An account of the machine. */
export interface Person {
  readonly username: string;
  readonly uid: number;
  readonly gid: number;
  readonly homedir: string;
  readonly shell: string | null;
}

/**
 * Gives this process and its children the rights and the environment of the user. Only root can become another user. Throws
 * `SyncmountError` `user` or `config`, and `UsageError` for an empty value, because an unset variable of a script must not mount another
 * account.
 */
export function becomeCaller({ user, config }: Caller): void {
  if (user === '') throw new UsageError('user= needs a name');
  if (config === '') throw new UsageError('config= needs a directory');
  if (user !== undefined && user !== userInfo().username) {
    if (process.getuid?.() !== 0) throw new SyncmountError('user', `only root can mount for the user '${user}'`);
    const person = personOf(user);
    initgroups(person.username, person.gid);
    process.setgid?.(person.gid);
    process.setuid?.(person.uid);
    const env = environmentOf(process.env, person);
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, env);
  }
  if (config !== undefined) process.env.SYNCMOUNT_CONFIG_DIR = requireReadable(resolve(config));
}

/** The default directory is optional, but a named one must exist. Throws `SyncmountError` `config`. */
function requireReadable(directory: string): string {
  try {
    readdirSync(directory);
    return directory;
  } catch (cause) {
    const reasons = new Map([
      ['ENOENT', 'there is no such directory'],
      ['ENOTDIR', 'it is no directory'],
      ['EACCES', `'${userInfo().username}' may not read it`],
    ]);
    const reason = reasons.get(codeOf(cause) ?? '') ?? messageOf(cause);
    throw new SyncmountError('config', `config=${directory}: ${reason}`, { cause });
  }
}

/** Missing in the types of Node.js. Throws if it fails. */
const { initgroups } = process as unknown as { initgroups(user: string, group: number): void };

/**
 * Looks up a user by name or number, in whatever database the machine has. Node.js tells only the effective user, so this changes it for a
 * moment.
 */
export function personOf(user: string | number): Person {
  try {
    process.seteuid?.(user);
  } catch (cause) {
    throw new SyncmountError('user', `there is no user '${user}' on this machine: ${messageOf(cause)}`, { cause });
  }
  try {
    return userInfo();
  } finally {
    process.seteuid?.(0);
  }
}

/** The environment of that user, without variables that name directories of another user. */
export function environmentOf(env: NodeJS.ProcessEnv, { username, homedir, shell }: Person): NodeJS.ProcessEnv {
  const ofOther = /^(XDG_|SYNCMOUNT_(CONFIG|STATE|CACHE)_DIR$|HOME$|MAIL$|SUDO_|NODE_COMPILE_CACHE$)/;
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !ofOther.test(name))),
    HOME: homedir,
    USER: username,
    LOGNAME: username,
    ...(shell === null ? {} : { SHELL: shell }),
  };
}
