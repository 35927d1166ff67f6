/** `syncmount pin` and `unpin`: files that are kept on this machine. */
import { join, sep } from 'node:path';
import { UsageError } from '../../base/errors.js';
import { formatCount, formatSize } from '../../config/units.js';
import type { PinListing } from '../../filesystem/pins/pins.js';
import { askControl } from '../../mount/control/control.js';
import { isServed, type RegistryEntry } from '../../mount/control/registry.js';
import type { Context } from '../context.js';
import { print, printJson } from '../terminal/output.js';
import { meant } from './trash.js';

interface PinOptions {
  readonly list?: boolean;
  readonly json?: boolean;
}

export async function pinCommand(context: Context, given: readonly string[], options: PinOptions): Promise<void> {
  if (options.list) return await list(context, given, options.json === true);
  if (options.json) throw new UsageError('--json is for --list');
  const { entry, paths } = named(context, given, 'pin');
  const added = (await askControl(entry.socket, 'pin', { paths })) as number;
  const what = added === 0 ? 'Pinned already' : 'Pinned';
  print(`${what}: ${told(entry, paths)}. 'syncmount pin --list' and 'syncmount status' show how much of it is here.`);
}

export async function unpinCommand(context: Context, given: readonly string[]): Promise<void> {
  const { entry, paths } = named(context, given, 'unpin');
  const removed = (await askControl(entry.socket, 'unpin', { paths })) as number;
  if (removed === 0) {
    print(`Not pinned by itself: ${told(entry, paths)}. 'syncmount pin --list' shows what is.`);
    process.exitCode = 1;
  } else print(`No longer pinned: ${told(entry, paths)}. It stays in the cache while there is room.`);
}

/** A path is needed: `/` in the account's mount for all of it. */
function named(
  { registry }: Context,
  given: readonly string[],
  act: string,
): { readonly entry: RegistryEntry; readonly paths: readonly string[] } {
  if (given.length === 0) throw new UsageError(`say what to ${act}: files or folders of a mount`);
  const { entry, paths } = meant(registry, given);
  return { entry, paths: paths.length === 0 ? ['/'] : paths };
}

function told({ mountpoint }: RegistryEntry, paths: readonly string[]): string {
  return paths.map((path) => join(mountpoint, path)).join(', ');
}

async function list({ registry }: Context, given: readonly string[], asJson: boolean): Promise<void> {
  const below = given.length === 0 ? undefined : meant(registry, given);
  const entries = below === undefined ? registry.all().filter(isServed) : [below.entry];
  const found: PinListing[] = [];
  for (const { mountpoint, socket } of entries) {
    const pins = (await askControl(socket, 'pin-list')) as readonly PinListing[];
    const wanted = below?.paths ?? [];
    const isWanted = ({ path }: PinListing): boolean =>
      wanted.length === 0 || wanted.some((at) => path === at || path.startsWith(`${at}${sep}`));
    found.push(...pins.filter(isWanted).map((pin) => ({ ...pin, path: join(mountpoint, pin.path) })));
  }
  if (asJson) printJson(found);
  else if (found.length === 0) print('Nothing is pinned.');
  else for (const pin of found) print(...fieldsOf(pin));
}

function fieldsOf({ path, kind, files, bytes, missingFiles, missingBytes, problem }: PinListing): string[] {
  const isHere = missingFiles === 0 && problem === undefined;
  const size = isHere ? formatSize(bytes) : `${formatSize(bytes - missingBytes)} of ${formatSize(bytes)}`;
  const count = isHere ? formatCount(files, 'file') : `${files - missingFiles} of ${formatCount(files, 'file')}`;
  return [
    isHere ? 'here' : problem === undefined ? 'fetching' : 'waiting',
    size,
    ...(kind === 'directory' ? [count] : ['file']),
    path,
    ...(problem === undefined ? [] : [problem]),
  ];
}
