import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, messageOf, SyncmountError } from '../base/errors.js';
import { describeLimit } from '../config/bandwidth.js';
import { formatSize } from '../config/units.js';
import type { PinStatus } from '../filesystem/pins/pins.js';
import { askControl } from '../mount/control.js';
import { isServed, type RegistryEntry } from '../mount/registry.js';
import type { MountStatus } from '../mount/status.js';
import { type Context, mountNamed } from './context.js';
import { clearScreen, complain, print, printJson } from './output.js';

/** How often `--watch` asks, ms. */
const WATCH_INTERVAL = 1000;

/** A mount that does not answer for so long hangs, ms: it may be busy for a moment with a huge directory. */
const STATUS_PATIENCE = 10_000;

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
    const found =
      target === undefined
        ? await statusOf(context.registry.all())
        : { mounts: await statusOfNamed(context, target), troubles: [] };
    if (options.watch) clearScreen();
    if (options.json) printJson(found.mounts, options.watch ? 0 : 2);
    else for (const line of describe([found.mounts].flat(), found.troubles)) print(line);
    tell(found.troubles);
    if (!options.watch) return;
    await sleep(WATCH_INTERVAL);
  }
}

/** A mount without a status, and the reason. */
export interface Trouble {
  readonly entry: RegistryEntry;
  readonly error: SyncmountError;
}

/** Asks each mount on its own: one that has died, or hangs, hides no other. */
export async function statusOf(
  entries: readonly RegistryEntry[],
): Promise<{ mounts: MountStatus[]; troubles: readonly Trouble[] }> {
  const mounts: MountStatus[] = [];
  const troubles: Trouble[] = [];
  const asked = await Promise.allSettled(entries.map(statusOfOne));
  for (const [at, answer] of asked.entries()) {
    if (answer.status === 'fulfilled') mounts.push(answer.value);
    else troubles.push({ entry: entries[at] as RegistryEntry, error: answer.reason as SyncmountError });
  }
  return { mounts, troubles };
}

/** Reports each trouble. A mount that hangs is a failure; one that has died only needs to be cleared. */
export function tell(troubles: readonly Trouble[]): void {
  for (const { error } of troubles) complain(error.message);
  if (troubles.some(({ error }) => error.code !== 'died')) process.exitCode = 1;
}

/** Throws `not-mounted`, `died` and `silent`. */
async function statusOfNamed(context: Context, target: string): Promise<MountStatus> {
  const { mountpoint, entry } = mountNamed(context, target);
  if (entry === undefined) throw new SyncmountError('not-mounted', `${mountpoint} is not mounted`);
  return await statusOfOne(entry);
}

async function statusOfOne(entry: RegistryEntry): Promise<MountStatus> {
  const { mountpoint, socket } = entry;
  const died = `the process of ${mountpoint} has died; 'syncmount umount ${mountpoint}' clears it, and mounting again loses nothing`;
  if (!isServed(entry)) throw new SyncmountError('died', died);
  try {
    return (await askControl(socket, 'status', {}, undefined, STATUS_PATIENCE)) as MountStatus;
  } catch (error) {
    // No process listens: the mount is ending, or its number belongs to another program's process.
    if (codeOf(error) === 'no-answer') throw new SyncmountError('died', died, { cause: error });
    throw new SyncmountError(codeOf(error) ?? 'error', `${mountpoint}: ${messageOf(error)}`, { cause: error });
  }
}

function describe(mounts: readonly MountStatus[], troubles: readonly Trouble[]): string[] {
  if (mounts.length === 0) return troubles.length === 0 ? ['Nothing is mounted.'] : [];
  return mounts.flatMap((mount, at) => [...(at === 0 ? [] : ['']), ...describeOne(mount)]);
}

function describeOne(status: MountStatus): string[] {
  const {
    mountpoint,
    account,
    provider,
    pid,
    binding,
    pending,
    failed,
    cache,
    pins,
    requests,
    quota,
    rateLimit,
    paused,
    excluded = [],
    limits,
    kept = [],
    metadata,
    login,
  } = status;
  const lines = [
    `${mountpoint}  ${account}: (${provider}), process ${pid}, ${binding} binding`,
    `  cache     ${formatSize(cache.bytes)} of ${formatSize(cache.limit)}, ${cache.hits} hits, ${cache.misses} misses`,
    `  requests  ${requests.total}`,
  ];
  if (pins !== undefined) lines.push(`  pinned    ${pinsLine(pins)}`);
  if (quota !== undefined) lines.push(`  space     ${formatSize(quota.free)} free of ${formatSize(quota.total)}`);
  if (rateLimit !== undefined) {
    const reset = new Date(rateLimit.resetAt).toLocaleString('sv-SE');
    const { limit, remaining } = rateLimit;
    const left = limit === 0 ? 'no requests' : `${remaining} of ${limit} requests`;
    lines.push(`  limit     ${left} left until ${reset}`);
    if (rateLimit.refused !== undefined) lines.push(`  REFUSED   ${rateLimit.refused}`);
  }
  if (limits !== undefined) lines.push(...describeLimits(limits));
  if (paused) lines.push(`  PAUSED    nothing is uploaded until: syncmount resume ${mountpoint}`);
  lines.push(`  pending   ${pending.length === 0 ? 'nothing' : ''}`.trimEnd());
  for (const { path, size, sent, state } of pending) {
    lines.push(`    ${state.padEnd(9)} ${path}  ${formatSize(sent)} of ${formatSize(size)}`);
  }
  for (const { path, size } of excluded) lines.push(`  excluded  ${path}  ${formatSize(size)}  stays on this machine`);
  for (const { path, size, code, error } of failed) {
    lines.push(`    FAILED    ${path}  ${formatSize(size)}  ${code}: ${error}`);
  }
  if (metadata !== undefined && metadata.pending > 0)
    lines.push(`  metadata  ${metadata.pending} changes are not in the account yet${because(metadata.error)}`);
  for (const machine of metadata?.refused ?? [])
    lines.push(`  METADATA  of machine ${machine} is of a later version: update syncmount`);
  if (failed.length > 0) lines.push(`  What failed is kept. To try again: syncmount uploads retry ${mountpoint}`);
  for (const { path, was } of kept) lines.push(`  KEPT      ${path}  an old version of ${was}`);
  if (kept.length > 0) lines.push(`  ${provider} does not delete what is kept. It can be removed at its website.`);
  if (login !== undefined) lines.push(`  The provider refuses the credentials. Run: ${login}`);
  return lines;
}

function pinsLine({ files, bytes, missingFiles, missingBytes, problem }: PinStatus): string {
  if (missingFiles === 0 && problem === undefined) return `${files} files, ${formatSize(bytes)}, all here`;
  const missing = `${formatSize(missingBytes)} in ${missingFiles} files not here yet`;
  return `${files} files, ${formatSize(bytes)}; ${missing}${because(problem)}`;
}

function describeLimits({ down, up, until, transfers, exclude }: NonNullable<MountStatus['limits']>): string[] {
  const lines: string[] = [];
  const end = until === undefined ? '' : ` until ${new Date(until).toLocaleString('sv-SE').slice(0, 16)}`;
  if (down !== undefined || up !== undefined || until !== undefined)
    lines.push(`  bandwidth ${describeLimit({ down: down ?? null, up: up ?? null })}${end}`);
  if (transfers !== undefined) lines.push(`  transfers ${transfers} at a time`);
  if (exclude !== undefined) lines.push(`  exclude   ${exclude.join('  ')}`);
  return lines;
}

function because(error: string | undefined): string {
  return error === undefined ? '' : ` (${error})`;
}
