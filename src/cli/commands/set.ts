/** `syncmount set`: changes options of a running mount. */
import { SyncmountError } from '../../base/errors.js';
import { parseLive, type RawOptions } from '../../config/option-texts.js';
import { askControl } from '../../mount/control/control.js';
import type { RegistryEntry } from '../../mount/control/registry.js';
import { type Context, mountNamed } from '../context.js';
import { print } from '../terminal/output.js';
import { statusOf, tell } from './status.js';

export async function setCommand(context: Context, args: readonly string[]): Promise<void> {
  // A path may contain a `=` too, but it does not begin with the name of an option.
  const [first, ...rest] = args;
  const isNamed = first !== undefined && (!/^[a-z-]+=/.test(first) || first.includes('/='));
  const values = parseLive(isNamed ? rest : args);
  const entries = isNamed ? [named(context, first)] : context.registry.all();
  if (entries.length === 0) throw new SyncmountError('not-mounted', 'nothing is mounted');
  const { mounts, troubles } = await statusOf(entries);
  tell(troubles);
  if (mounts.length === 0) process.exitCode = 1;
  for (const { mountpoint } of mounts) {
    const { socket } = entries.find((entry) => entry.mountpoint === mountpoint) as RegistryEntry;
    const now = (await askControl(socket, 'set', { values: toObject(values) })) as Readonly<Record<string, string>>;
    for (const [name, text] of Object.entries(now))
      for (const value of text.split('\n')) print(mountpoint, `${name}=${value}`);
  }
}

function toObject(values: RawOptions): Record<string, string> {
  return Object.fromEntries(values);
}

function named(context: Context, target: string): RegistryEntry {
  const { mountpoint, entry } = mountNamed(context, target);
  if (entry === undefined) throw new SyncmountError('not-mounted', `${mountpoint} is not mounted`);
  return entry;
}
