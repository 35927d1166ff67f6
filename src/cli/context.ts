import { readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { SyncmountError } from '../base/errors.js';
import { AccountStore } from '../config/accounts.js';
import { type BaseDirectories, baseDirectoriesOf } from '../config/base-directories.js';
import { parseMountInfo } from '../fuse/mount-table.js';
import { isServed, Registry, type RegistryEntry } from '../mount/control/registry.js';

/** The environment of every command, and the lookup of the mount that a command line names. */
export interface Context {
  readonly places: BaseDirectories;
  readonly accounts: AccountStore;
  readonly registry: Registry;
}

/** The context of a user with this environment. */
export function createContext(env: NodeJS.ProcessEnv): Context {
  const places = baseDirectoriesOf(env);
  return { places, accounts: new AccountStore(places), registry: new Registry(places) };
}

export const context = createContext(process.env);

/** The directory of a path without symbolic links, as the kernel's mount table and our registry name it. */
export function mountpointOf(target: string): string {
  const path = resolve(target);
  const place = placeOf(path);
  // A mountpoint is never a symbolic link, and realpath(3) on a hung mount would hang too.
  if (mountpoints().has(place)) return place;
  try {
    return realpathSync(path);
  } catch {
    // The path is missing, or is a dead mount. Its parent can be resolved.
    return place;
  }
}

/** The path, with the symbolic links of its parent resolved. If the parent is missing, those of the nearest directory above that exists. */
function placeOf(path: string): string {
  const above = dirname(path);
  if (above === path) return path;
  try {
    return join(realpathSync(above), basename(path));
  } catch {
    return join(placeOf(above), basename(path));
  }
}

function mountpoints(): Set<string> {
  try {
    return new Set(parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8')).map(({ mountpoint }) => mountpoint));
  } catch {
    // The system is not Linux.
    return new Set();
  }
}

/** The mount that a user has named, and a path in it. */
export interface Named {
  /** The mountpoint of our mount; without one, the path itself. */
  readonly mountpoint: string;
  /** Undefined if there is no mount of ours. */
  readonly entry: RegistryEntry | undefined;
  /** Relative to the mountpoint, with links resolved in all but its last part. Empty for the mountpoint, and without a mount. */
  readonly path: string;
}

/**
 * Finds the mount that a user names: by its account (`NAME:`), its mountpoint, or a path below that, through symbolic links too. Throws
 * `not-mounted` for an account that is not mounted.
 */
export function mountNamed({ registry }: Pick<Context, 'registry'>, target: string): Named {
  const account = /^([A-Za-z0-9][\w.-]*):$/.exec(target)?.[1];
  if (account !== undefined) {
    const entries = registry.all().filter((entry) => entry.account === account);
    const entry = entries.find(isServed) ?? entries[0];
    if (entry === undefined) throw new SyncmountError('not-mounted', `the account '${account}' is not mounted`);
    return { mountpoint: entry.mountpoint, entry, path: '' };
  }
  const typed = resolve(target);
  // First the path as typed, because resolving links in a hung mount would hang too. Last the target of the path, if it is itself a link.
  for (const at of [() => typed, () => placeOf(typed), () => mountpointOf(typed)]) {
    const path = at();
    const entry = mountAbove(registry, path);
    if (entry !== undefined) return { mountpoint: entry.mountpoint, entry, path: relative(entry.mountpoint, path) };
  }
  return { mountpoint: mountpointOf(target), entry: undefined, path: '' };
}

/** The innermost of our mounts that contains the path. */
function mountAbove(registry: Registry, path: string): RegistryEntry | undefined {
  return registry
    .all()
    .filter(({ mountpoint }) => path === mountpoint || path.startsWith(`${mountpoint}${sep}`))
    .sort((a, b) => b.mountpoint.length - a.mountpoint.length)[0];
}
