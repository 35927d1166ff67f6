/** `syncmount pause` and `syncmount resume`: stop uploads, and let them go on. */
import { SyncmountError } from '../../base/errors.js';
import { shellWord } from '../../base/shell-word.js';
import { askControl } from '../../mount/control/control.js';
import type { RegistryEntry } from '../../mount/control/registry.js';
import { type Context, mountNamed } from '../context.js';
import { print } from '../terminal/output.js';
import { statusOf, tell } from './status.js';

export async function pauseCommand(
  context: Context,
  target: string | undefined,
  action: 'pause' | 'resume',
): Promise<void> {
  const entries = target === undefined ? context.registry.all() : [named(context, target)];
  if (entries.length === 0) throw new SyncmountError('not-mounted', 'nothing is mounted');
  // If one mount has died, or hangs, the others are still paused.
  const { mounts, troubles } = await statusOf(entries);
  tell(troubles);
  if (mounts.length === 0) process.exitCode = 1;
  for (const { mountpoint, pending } of mounts) {
    const { socket } = entries.find((entry) => entry.mountpoint === mountpoint) as RegistryEntry;
    await askControl(socket, action === 'pause' ? 'pause-uploads' : 'resume-uploads');
    const waiting =
      pending.length === 0
        ? 'nothing waits'
        : `${pending.length} ${pending.length === 1 ? 'file waits' : 'files wait'}`;
    print(
      action === 'pause'
        ? `${mountpoint}: uploads are paused, ${waiting}. To go on: syncmount resume ${shellWord(mountpoint)}`
        : `${mountpoint}: uploads go on, ${waiting}`,
    );
  }
}

function named(context: Context, target: string): RegistryEntry {
  const { mountpoint, entry } = mountNamed(context, target);
  if (entry === undefined) throw new SyncmountError('not-mounted', `${mountpoint} is not mounted`);
  return entry;
}
