import { UsageError } from '../base/errors.js';
import { askControl } from '../mount/control.js';
import { type Context, mountpointOf, print } from './context.js';
import { one } from './status.js';

export async function uploadsCommand(
  context: Context,
  action: string,
  target: string,
  options: { readonly json?: boolean },
): Promise<void> {
  const mountpoint = mountpointOf(target);
  const { pending, failed } = await one(context, mountpoint);
  if (action === 'list') {
    const uploads = [...pending, ...failed];
    if (options.json) {
      print(JSON.stringify(uploads, null, 2));
      return;
    }
    if (uploads.length === 0) {
      print('Everything is stored.');
      return;
    }
    for (const { state, path, size, error } of uploads) print([state, size, path, error ?? ''].join('\t').trimEnd());
    return;
  }
  if (action !== 'retry') throw new UsageError(`'${action}' is neither list nor retry`);
  const entry = context.registry.find(mountpoint);
  const count = entry === undefined ? 0 : await askControl(entry.socket, 'retry-uploads');
  print(
    count === 0 ? 'Nothing has failed.' : `Trying ${count} again; 'syncmount status ${mountpoint}' tells how it goes.`,
  );
}
