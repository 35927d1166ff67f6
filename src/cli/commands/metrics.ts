/** `syncmount metrics`: the metrics of mounts as text, such as for the text-file collector of node_exporter. */
import { SyncmountError } from '../../base/errors.js';
import { askControl } from '../../mount/control/control.js';
import type { RegistryEntry } from '../../mount/control/registry.js';
import { type Family, mergeFamilies } from '../../mount/metrics/families.js';
import { metricsText } from '../../mount/metrics/text.js';
import { type Context, mountNamed } from '../context.js';
import { print } from '../terminal/output.js';
import { statusOf, tell } from './status.js';

export async function metricsCommand(
  context: Context,
  target: string | undefined,
  { openmetrics = false }: { readonly openmetrics?: boolean },
): Promise<void> {
  const entries = target === undefined ? context.registry.all() : [named(context, target)];
  const { mounts, troubles } = await statusOf(entries);
  // A mount that has died has no numbers. An alert can report that they are missing.
  tell(troubles);
  const answers = await Promise.all(
    mounts.map(({ mountpoint }) => {
      const { socket } = entries.find((entry) => entry.mountpoint === mountpoint) as RegistryEntry;
      return askControl(socket, 'metrics') as Promise<readonly Family[]>;
    }),
  );
  const text = await metricsText(mergeFamilies(answers), openmetrics ? 'openmetrics' : 'prometheus');
  if (answers.length > 0) for (const line of text.trimEnd().split('\n')) print(line);
}

function named(context: Context, target: string): RegistryEntry {
  const { mountpoint, entry } = mountNamed(context, target);
  if (entry === undefined) throw new SyncmountError('not-mounted', `${mountpoint} is not mounted`);
  return entry;
}
