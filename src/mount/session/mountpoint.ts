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

/** A mount that lives answers statfs(2) at once, ms. */
const ANSWER_PATIENCE_MS = 5000;

/** What waits at a mountpoint for the first access, and is mounted over (`x-systemd.automount`, autofs(5)). */
export const automountType = 'autofs';

/** Resolves when `path` can be mounted on. Throws `SyncmountError` `mountpoint` with what is wrong. */
export async function prepareMountpoint(path: string, registry: Registry, log: Log): Promise<void> {
  await clearStaleMount(path, registry, log);
  const problem = await problemOf(path);
  if (problem !== null) throw new SyncmountError('mountpoint', `cannot mount on ${path}: ${problem}`);
}

async function problemOf(path: string): Promise<string | null> {
  try {
    // The mount table first: stat(2) on a mount that hangs would hang too.
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

/** Removes the mount and the registry entry that a killed process of ours left behind. True where there was a mount. */
export async function clearStaleMount(path: string, registry: Registry, log: Log): Promise<boolean> {
  const mounted = await mountAt(path);
  const entry = registry.find(path);
  if (mounted === undefined || mounted.type !== `fuse.${fuseSubtype}`) {
    if (entry !== undefined && !isServed(entry)) registry.remove(path);
    return false;
  }
  // Not asked while its process runs, for a mount that hangs would hang us too. An entry without `mark` is an earlier version's:
  // its number may belong to another process by now.
  if (entry?.mark !== undefined && isServed(entry)) return false;
  if (!(await isDead(path, entry?.mark !== undefined))) return false;
  log.warn({ path }, 'clearing a mount whose process has died');
  await abortConnection(mounted);
  await unmountByProgram(path, { lazy: true, force: true });
  registry.remove(path);
  return true;
}

/**
 * Asks statfs(2), which the kernel does not cache: it would answer stat(2) even though the process is dead. A killed process may leave its
 * connection open: one of its threads tells the kernel about a name, and waits for a lock of somebody who waits for the process. Where
 * the process is known to be gone (`isGone`), no answer says the same as an error.
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
 * Ends all calls that wait for a FUSE mount, as `umount -f` does for root. The user whose mount it is may, too, where the file system for
 * that is mounted.
 */
async function abortConnection({ device }: MountEntry): Promise<void> {
  const [, minor] = device.split(':');
  await writeFile(`/sys/fs/fuse/connections/${minor}/abort`, '1').catch(() => undefined);
}
