/** Is this directory fit to be mounted on? Dead mounts of ours are cleared on the way. */
import { readdir, stat, statfs } from 'node:fs/promises';
import { codeOf, messageOf, SyncmountError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { fuseSubtype } from '../fuse/binding.js';
import { mountAt } from '../fuse/mount-table.js';
import { unmountByProgram } from '../fuse/programs.js';
import { isServed, type Registry } from './registry.js';

/** What statfs(2) says of a FUSE mount whose process is gone. */
const DEAD_MOUNT = new Set(['ENOTCONN', 'ECONNABORTED', 'EIO']);

/** Resolves when `path` can be mounted on. Throws `SyncmountError` `mountpoint` with what is wrong. */
export async function prepareMountpoint(path: string, registry: Registry, log: Log): Promise<void> {
  await clearStaleMount(path, registry, log);
  const problem = await problemOf(path);
  if (problem !== null) throw new SyncmountError('mountpoint', `cannot mount on ${path}: ${problem}`);
}

async function problemOf(path: string): Promise<string | null> {
  try {
    // The table first: to look at a mount that hangs would hang too.
    const mounted = await mountAt(path);
    if (mounted !== undefined) return `it is in use: ${mounted.source} (${mounted.type}) is mounted there`;
    if (!(await stat(path)).isDirectory()) return 'it is not a directory';
    return (await readdir(path)).length === 0 ? null : 'it is not empty';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return `it does not exist ('mkdir -p ${path}' makes it)`;
    return messageOf(error);
  }
}

/** Removes what a killed process of ours left behind: its mount, and its entry in the registry. */
export async function clearStaleMount(path: string, registry: Registry, log: Log): Promise<boolean> {
  const mounted = await mountAt(path);
  const entry = registry.find(path);
  if (mounted === undefined || mounted.type !== `fuse.${fuseSubtype}`) {
    if (entry !== undefined && !isServed(entry)) registry.remove(path);
    return false;
  }
  // To ask one that hangs would hang too. An entry without a mark is an earlier version's, and may speak of another process.
  if (entry?.mark !== undefined && isServed(entry)) return false;
  if (!(await isDead(path))) return false;
  log.warn({ path }, 'clearing a mount whose process has died');
  await unmountByProgram(path, { lazy: true });
  registry.remove(path);
  return true;
}

/** Asks for something that the kernel does not keep: attributes of the directory outlive the process. */
async function isDead(path: string): Promise<boolean> {
  try {
    await statfs(path);
    return false;
  } catch (error) {
    return DEAD_MOUNT.has(codeOf(error) ?? '');
  }
}
