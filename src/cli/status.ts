import { setTimeout as sleep } from 'node:timers/promises';
import { SyncmountError } from '../base/errors.js';
import { formatSize } from '../config/units.js';
import { askControl } from '../mount/control.js';
import { isAlive, type RegistryEntry } from '../mount/registry.js';
import type { MountStatus } from '../mount/status.js';
import { type Context, mountpointOf, print } from './context.js';

/** How often `--watch` looks, ms. */
const WATCH_INTERVAL = 1000;

interface StatusOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

export async function statusCommand(
  context: Context,
  target: string | undefined,
  options: StatusOptions,
): Promise<void> {
  for (;;) {
    const result = target === undefined ? await all(context) : await one(context, mountpointOf(target));
    if (options.watch && process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
    print(options.json ? JSON.stringify(result, null, options.watch ? 0 : 2) : describe([result].flat()));
    if (!options.watch) return;
    await sleep(WATCH_INTERVAL);
  }
}

/** The status of one mount. Throws `not-mounted`. */
export async function one(context: Context, mountpoint: string): Promise<MountStatus> {
  const entry = context.registry.find(mountpoint);
  if (entry === undefined) throw new SyncmountError('not-mounted', `${mountpoint} is not mounted`);
  if (!isAlive(entry.pid)) {
    throw new SyncmountError(
      'died',
      `the process of ${mountpoint} has died; 'syncmount umount ${mountpoint}' clears it, and mounting again loses nothing`,
    );
  }
  return (await askControl(entry.socket, 'status')) as MountStatus;
}

async function all(context: Context): Promise<MountStatus[]> {
  const alive = context.registry.all().filter((entry: RegistryEntry) => isAlive(entry.pid));
  return Promise.all(alive.map((entry) => one(context, entry.mountpoint)));
}

function describe(mounts: readonly MountStatus[]): string {
  if (mounts.length === 0) return 'Nothing is mounted.';
  return mounts.map(describeOne).join('\n\n');
}

function describeOne(status: MountStatus): string {
  const { mountpoint, account, provider, pid, binding, pending, failed, cache, requests, quota, rateLimit, login } =
    status;
  const lines = [
    `${mountpoint}  ${account}: (${provider}), process ${pid}, ${binding} binding`,
    `  cache     ${formatSize(cache.bytes)} of ${formatSize(cache.limit)}, ${cache.hits} hits, ${cache.misses} misses`,
    `  requests  ${requests.total}`,
  ];
  if (quota !== undefined) lines.push(`  space     ${formatSize(quota.free)} free of ${formatSize(quota.total)}`);
  if (rateLimit !== undefined) {
    const reset = new Date(rateLimit.resetAt).toLocaleTimeString();
    const { limit, remaining } = rateLimit;
    const left = limit === 0 ? 'no requests' : `${remaining} of ${limit} requests`;
    lines.push(`  limit     ${left} left until ${reset}`);
  }
  lines.push(`  pending   ${pending.length === 0 ? 'nothing' : ''}`.trimEnd());
  for (const { path, size, sent, state } of pending) {
    lines.push(`    ${state.padEnd(9)} ${path}  ${formatSize(sent)} of ${formatSize(size)}`);
  }
  for (const { path, size, code, error } of failed) {
    lines.push(`    FAILED    ${path}  ${formatSize(size)}  ${code}: ${error}`);
  }
  if (failed.length > 0) lines.push(`  What failed is kept. To try again: syncmount uploads retry ${mountpoint}`);
  if (login !== undefined) lines.push(`  The provider refuses the credentials. Run: ${login}`);
  return lines.join('\n');
}
