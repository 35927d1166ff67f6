/** Checks that a directory can be mounted on, and clears dead mounts of ours on it. */
import { readdir, stat, statfs, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { shellWord } from '../../base/shell-word.js';
import { fuseSubtype } from '../../fuse/binding.js';
import { type MountEntry, mountAt } from '../../fuse/mount-table.js';
import { unmountByProgram } from '../../fuse/programs.js';
import { isServed, type Registry } from '../control/registry.js';

/** The errors of statfs(2) on a FUSE mount whose process is gone. */
const DEAD_MOUNT = new Set(['ENOTCONN', 'ECONNABORTED', 'EIO']);

/** A live mount answers statfs(2) within this time, ms. */
const ANSWER_PATIENCE_MS = 5000;

/**
 * The type of a file system that waits at a mountpoint for the first access; a mount goes on top of it (`x-systemd.automount`, autofs(5)).
 */
export const automountType = 'autofs';

/** Resolves when `path` can be mounted on. Throws `SyncmountError` `mountpoint` with what is wrong. */
export async function prepareMountpoint(path: string, registry: Registry, log: Log): Promise<void> {
  await clearStaleMount(path, registry, log);
  const problem = await problemOf(path);
  if (problem !== null) throw new SyncmountError('mountpoint', `cannot mount on ${path}: ${problem}`);
}

async function problemOf(path: string): Promise<string | null> {
  try {
    // The mount table comes first, because stat(2) on a hung mount would hang too.
    const mounted = await mountAt(path);
    if (mounted !== undefined && mounted.type !== automountType)
      return `it is in use: ${mounted.source} (${mounted.type}) is mounted there`;
    if (!(await stat(path)).isDirectory()) return 'it is not a directory';
    return (await readdir(path)).length === 0 ? null : 'it is not empty';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return `it does not exist ('mkdir -p ${shellWord(path)}' makes it)`;
    return messageOf(error);
  }
}

/** Removes the mount and the registry entry that a killed process of ours left behind. Returns whether there was a mount. */
export async function clearStaleMount(path: string, registry: Registry, log: Log): Promise<boolean> {
  const mounted = await mountAt(path);
  const entry = registry.find(path);
  if (mounted === undefined || mounted.type !== `fuse.${fuseSubtype}`) {
    if (entry !== undefined && !isServed(entry)) registry.remove(path);
    return false;
  }
  // A mount whose process runs is not asked, because a hung mount would hang this process too. An entry without `mark` comes from an
  // earlier version: its process number may belong to another process by now.
  if (entry?.mark !== undefined && isServed(entry)) return false;
  if (!(await isDead(path, entry?.mark !== undefined))) return false;
  log.warn({ path }, 'clearing a mount whose process has died');
  await abortConnection(mounted);
  await unmountByProgram(path, { lazy: true, force: true });
  registry.remove(path);
  return true;
}

/**
 * Asks statfs(2), because the kernel would answer stat(2) from its cache even though the process is dead. A killed process may leave its
 * connection open: one of its threads tells the kernel about a name, and waits for a lock of a program that waits for the process. If the
 * process is known to be gone (`isGone`), no answer means the same as an error.
 */
async function isDead(path: string, isGone: boolean): Promise<boolean> {
  const over = new AbortController();
  const answered = statfs(path).then(
    () => false,
    (error) => DEAD_MOUNT.has(codeOf(error) ?? ''),
  );
  if (!isGone) return await answered;
  const silent = sleep(ANSWER_PATIENCE_MS, true, { signal: over.signal }).catch(() => true);
  return await Promise.race([answered, silent]).finally(() => over.abort());
}

/**
 * Ends all calls that wait for a FUSE mount, as `umount -f` does for root. The owner of the mount may do that too, if the file system of
 * FUSE connections is mounted.
 */
async function abortConnection({ device }: MountEntry): Promise<void> {
  const [, minor] = device.split(':');
  await writeFile(`/sys/fs/fuse/connections/${minor}/abort`, '1').catch(() => undefined);
}
