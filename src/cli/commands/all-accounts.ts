/** `mount --all` and `umount --all`: every account, a folder each. If one fails, the others go on. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import pLimit from 'p-limit';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import { isServed, type RegistryEntry } from '../../mount/control/registry.js';
import type { Context } from '../context.js';
import { complain, print } from '../terminal/output.js';

/** Mounts that start at a time: each is a process that takes half a second to begin, and then waits for its service. */
const PARALLEL = 4;
/** The exit status of a single `umount` that leaves something to the next mount. */
const LEFT_PENDING = 3;

/** `mount`: mounts one account on a folder that exists. */
export async function mountAll(
  { accounts, registry }: Pick<Context, 'accounts' | 'registry'>,
  directory: string,
  mount: (account: string, mountpoint: string) => Promise<void>,
): Promise<void> {
  const names = accounts.names();
  if (names.length === 0)
    throw new SyncmountError(
      'unknown-account',
      "no account is known yet; 'syncmount login NAME --provider …' adds one",
    );
  const served = registry.all().filter(isServed);
  const limit = pLimit(PARALLEL);
  const one = async (name: string): Promise<void> => {
    const known = served.find(({ account }) => account === name);
    if (known !== undefined) return print(`${name}: is mounted already, on ${known.mountpoint}`);
    const mountpoint = join(resolve(directory), name);
    let made: string | undefined;
    try {
      made = mkdirSync(mountpoint, { recursive: true, mode: 0o700 });
      await mount(name, mountpoint);
      print(`${name}: mounted on ${mountpoint}`);
    } catch (error) {
      failed(name, error);
      if (made !== undefined) removeEmpty(mountpoint);
    }
  };
  await Promise.all(names.map((name) => limit(() => one(name))));
}

/** `umount`: ends one mount. */
export async function umountAll(
  { registry }: Pick<Context, 'registry'>,
  umount: (entry: RegistryEntry) => Promise<void>,
): Promise<void> {
  const entries = registry.all();
  if (entries.length === 0) return print('Nothing is mounted.');
  // The mounts end one after the other. The uploads of all go on meanwhile, and the progress of one is shown at a time.
  for (const entry of entries) {
    try {
      await umount(entry);
      print(`${entry.account}: unmounted from ${entry.mountpoint}`);
    } catch (error) {
      failed(entry.account, error);
    }
  }
}

/** The exit status reports the worst result: an error is worse than contents that wait for the next mount. */
function failed(name: string, error: unknown): void {
  complain(`${name}: ${messageOf(error)}`);
  if (codeOf(error) !== 'left-pending') process.exitCode = 1;
  else if (process.exitCode !== 1) process.exitCode = LEFT_PENDING;
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // The folder is not empty, so it stays.
  }
}
