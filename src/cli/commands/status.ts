import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import { shellWord } from '../../base/shell-word.js';
import { askControl } from '../../mount/control/control.js';
import { isServed, type RegistryEntry } from '../../mount/control/registry.js';
import type { MountStatus } from '../../mount/control/status.js';
import { type Context, mountNamed } from '../context.js';
import { complain, print, printJson } from '../terminal/output.js';
import { Screen } from '../terminal/screen.js';
import { isMoving, type Sample, viewOf } from '../terminal/status-view.js';

/** How often `--watch` asks, ms. */
const WATCH_INTERVAL = 1000;

/** A mount that does not answer for this long hangs, ms. A shorter silence may be work on a huge directory. */
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
  const ask = async (): Promise<Found> => {
    const at = performance.now();
    if (target !== undefined) return { at, mounts: [await statusOfNamed(context, target)], troubles: [] };
    return { at, ...(await statusOf(context.registry.all())) };
  };
  const json = ({ mounts }: Found): unknown => (target === undefined ? mounts : mounts[0]);
  if (options.watch) return await watch(ask, options.json === true ? json : null);
  let found = await ask();
  if (options.json) printJson(json(found));
  else {
    // A rate needs two samples.
    const before = found.mounts.some(isMoving) ? found : null;
    if (before !== null) {
      await sleep(WATCH_INTERVAL);
      found = await ask();
    }
    for (const line of describe(found, before)) print(line);
  }
  tell(found.troubles);
}

/** The statuses of all mounts at one moment. */
interface Found extends Sample {
  readonly troubles: readonly Trouble[];
}

/** Asks again and again: a full screen on a terminal, lines elsewhere. Ends with Ctrl-C, or when the mount that was named has ended. */
async function watch(ask: () => Promise<Found>, json: ((found: Found) => unknown) | null): Promise<never> {
  const screen = json === null && process.stdout.isTTY ? new Screen(process.stdout) : null;
  try {
    for (let before: Found | null = null; ; ) {
      const found = await ask();
      if (json !== null) printJson(json(found), 0);
      const lines = json === null ? describe(found, before) : [];
      if (screen !== null) screen.draw([...lines, ...found.troubles.map(({ error }) => error.message)]);
      else {
        if (json === null && before !== null) print('');
        for (const line of lines) print(line);
        tell(found.troubles);
      }
      before = found;
      await sleep(WATCH_INTERVAL);
    }
  } finally {
    screen?.end();
  }
}

/** A mount without a status, and the reason. */
export interface Trouble {
  readonly entry: RegistryEntry;
  readonly error: SyncmountError;
}

/** Asks each mount separately, so that one that has died or hangs does not hide the others. */
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

/** Reports each problem. A mount that hangs is a failure; one that has died only needs to be cleared. */
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
  const died = `the process of ${mountpoint} has died; 'syncmount umount ${shellWord(mountpoint)}' clears it, and mounting again loses nothing`;
  if (!isServed(entry)) throw new SyncmountError('died', died);
  try {
    return (await askControl(socket, 'status', {}, undefined, STATUS_PATIENCE)) as MountStatus;
  } catch (error) {
    // No process listens: the mount is ending, or its number belongs to another program's process.
    if (codeOf(error) === 'no-answer') throw new SyncmountError('died', died, { cause: error });
    throw new SyncmountError(codeOf(error) ?? 'error', `${mountpoint}: ${messageOf(error)}`, { cause: error });
  }
}

function describe(found: Found, before: Found | null): string[] {
  if (found.mounts.length === 0) return found.troubles.length === 0 ? ['Nothing is mounted.'] : [];
  return viewOf(found, before);
}
