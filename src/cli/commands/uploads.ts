/** `syncmount uploads`: lists contents that the provider does not have yet, retries and discards them. */
import { UsageError } from '../../base/errors.js';
import { formatSize } from '../../config/units.js';
import type { Discarded } from '../../filesystem/uploads/discarding.js';
import { askControl } from '../../mount/control/control.js';
import type { RegistryEntry } from '../../mount/control/registry.js';
import type { UploadStatus } from '../../mount/control/status.js';
import { type Context, mountNamed, mountpointOf } from '../context.js';
import { complain, print, printJson } from '../terminal/output.js';
import { askTwice } from '../terminal/prompts.js';
import { actionIn } from './actions.js';
import { exportCommand } from './export.js';
import { statusOf, tell } from './status.js';

const actions = ['list', 'retry', 'export', 'discard'] as const;
type Action = (typeof actions)[number];

interface Mounted {
  readonly entry: RegistryEntry;
  readonly pending: readonly UploadStatus[];
  readonly failed: readonly UploadStatus[];
}

export async function uploadsCommand(
  context: Context,
  words: readonly string[],
  options: { readonly json?: boolean },
): Promise<void> {
  const { action, args } = actionIn(context, actions, words);
  if (action === 'export') return exportCommand(context, args);
  const { entries, rest } = split(context, action, args);
  const { mounts: answers, troubles } = await statusOf(entries);
  tell(troubles);
  // A named mount must answer, and nobody knows which contents a hung mount has not stored.
  if (entries.length === 1 && troubles.length === 1) process.exitCode = 1;
  if (answers.length === 0 && process.exitCode === 1) return;
  const mounts = answers.map(({ mountpoint, pending, failed }) => {
    return { entry: entries.find((entry) => entry.mountpoint === mountpoint) as RegistryEntry, pending, failed };
  });
  if (action === 'list') return list(mounts, options.json === true);
  if (action === 'retry') return retry(mounts);
  const [mount, ...others] = mounts;
  if (mount === undefined) throw new UsageError('nothing is mounted');
  if (others.length > 0) throw new UsageError(`several accounts are mounted: name the mountpoint to ${action}`);
  return discard(mount, rest);
}

/** The named mountpoints (none: all), and the other words of the command. */
function split(
  { registry }: Context,
  action: Exclude<Action, 'export'>,
  args: readonly string[],
): { entries: readonly RegistryEntry[]; rest: string[] } {
  const takes = { list: 0, retry: 0, discard: Number.POSITIVE_INFINITY }[action];
  const meant = args.map((arg) => {
    if (takes === 0 || /^[A-Za-z0-9][\w.-]*:$/.test(arg)) return mountNamed({ registry }, arg).entry;
    return registry.find(mountpointOf(arg));
  });
  const index = meant.findIndex((entry) => entry !== undefined);
  const named = args[index];
  const rest = args.filter((_, at) => at !== index);
  const [unknown] = rest.slice(takes);
  if (unknown !== undefined) {
    throw new UsageError(named === undefined ? `${unknown} is not mounted` : `'${unknown}' is not expected here`);
  }
  const entry = meant[index];
  return { entries: entry === undefined ? registry.all() : [entry], rest };
}

function list(mounts: readonly Mounted[], asJson: boolean): void {
  const uploads = mounts.flatMap(({ pending, failed }) => [...pending, ...failed]);
  if (asJson) printJson(uploads);
  else if (mounts.length === 0)
    print('Nothing is mounted: what waits from earlier is stored, and listed, by the next mount.');
  else if (uploads.length === 0) print('Everything is stored.');
  else
    for (const { state, path, size, error } of uploads)
      print(state, String(size), path, ...(error === undefined ? [] : [error]));
}

async function retry(mounts: readonly Mounted[]): Promise<void> {
  let count = 0;
  for (const { entry } of mounts) count += (await askControl(entry.socket, 'retry-uploads')) as number;
  print(count === 0 ? 'Nothing has failed.' : `Trying ${count} again; 'syncmount status' shows the progress.`);
}

/** Only failed uploads can be discarded. A file whose upload is pending is removed with rm(1), as any file. */
async function discard({ entry, failed }: Mounted, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (!failed.some((upload) => upload.path === path)) throw new UsageError(`${path} is not among what failed`);
  }
  const chosen = paths.length === 0 ? failed : failed.filter(({ path }) => paths.includes(path));
  if (chosen.length === 0) return print('Nothing has failed.');
  for (const { path, size, error } of chosen) print(path, formatSize(size), ...(error === undefined ? [] : [error]));
  const what = chosen.length === 1 ? 'This content is' : `These ${chosen.length} contents are`;
  await askTwice(
    `${what} stored nowhere else. Discard for ever?`,
    `'syncmount uploads export DIR' keeps a copy. Really discard?`,
    'nothing was discarded',
  );
  const results = (await askControl(entry.socket, 'discard-uploads', {
    paths: chosen.map(({ path }) => path),
  })) as readonly Discarded[];
  const kept = results.filter(({ error }) => error !== undefined);
  print(`Discarded ${results.length - kept.length} of ${results.length}.`);
  for (const { path, error } of kept) complain(`${path} is kept: ${error}`);
  if (kept.length > 0) process.exitCode = 1;
}
