/** `syncmount cache`: lists downloaded files that are still here, frees them, or fetches files before they are read. */
import { join } from 'node:path';
import { UsageError } from '../../base/errors.js';
import { formatCount, formatSize } from '../../config/units.js';
import type { CachedFile, CacheListing, Dropped, Warmed, WarmProgress } from '../../filesystem/inspect/cached-files.js';
import { askControl } from '../../mount/control/control.js';
import { isServed, type RegistryEntry } from '../../mount/control/registry.js';
import type { Context } from '../context.js';
import { complain, INTERRUPTED, print, printJson } from '../terminal/output.js';
import { ProgressBar } from '../terminal/progress-bar.js';
import { actionIn } from './actions.js';
import { meant } from './trash.js';

const actions = ['show', 'drop', 'warm'] as const;

/** Users look at the first screen. */
const SHOWN = 30;

interface CacheOptions {
  readonly json?: boolean;
  readonly all?: boolean;
}

export async function cacheCommand(context: Context, words: readonly string[], options: CacheOptions): Promise<void> {
  const { action, args: given } = actionIn(context, actions, words);
  if (action === 'show') return await show(context, given, options);
  const { entry, paths } = meant(context.registry, given);
  if (action === 'drop') return await drop(entry, paths, options);
  if (given.length === 0) throw new UsageError('say what to fetch: files or folders of a mount');
  return await warm(entry, paths.length === 0 ? ['/'] : paths, options);
}

async function show({ registry }: Context, given: readonly string[], { json, all }: CacheOptions): Promise<void> {
  const entries = given.length === 0 ? registry.all().filter(isServed) : [meant(registry, given).entry];
  const caches: (CacheListing & { readonly mountpoint: string })[] = [];
  for (const { mountpoint, socket } of entries)
    caches.push({ mountpoint, ...((await askControl(socket, 'cache-list')) as CacheListing) });
  if (json) return printJson(caches);
  if (caches.length === 0) return print('Nothing is mounted.');
  for (const { mountpoint, bytes, limit, pinned, files } of caches) {
    const also = pinned === 0 ? '' : `, and ${formatSize(pinned)} pinned`;
    print(`${mountpoint}: ${formatSize(bytes)} of ${formatSize(limit)}${also}, ${formatCount(files.length, 'file')}`);
    const shown = all === true ? files : files.slice(0, SHOWN);
    for (const file of shown) print(...fieldsOf(mountpoint, file));
    if (shown.length < files.length) print(`and ${files.length - shown.length} smaller ones: --all shows them`);
  }
}

function fieldsOf(mountpoint: string, { path, size, bytes, isPinned }: CachedFile): string[] {
  const here = bytes === size ? formatSize(bytes) : `${formatSize(bytes)} of ${formatSize(size)}`;
  const name = path === null ? '(an older version, or outside of the mounted folder)' : join(mountpoint, path);
  return [here, isPinned ? 'pinned' : 'cached', name];
}

async function drop(entry: RegistryEntry, paths: readonly string[], { json }: CacheOptions): Promise<void> {
  const dropped = (await askControl(entry.socket, 'cache-drop', { paths })) as Dropped;
  if (json) return printJson(dropped);
  const { files, bytes, pinned, open } = dropped;
  const stays = [
    ...(pinned === 0 ? [] : [`${pinned} pinned`]),
    ...(open === 0 ? [] : [`${open} that programs have open`]),
  ];
  const rest = stays.length === 0 ? '' : ` Kept: ${stays.join(', ')}.`;
  print(`Freed ${formatSize(bytes)} of ${formatCount(files, 'file')}.${rest}`);
}

async function warm(entry: RegistryEntry, paths: readonly string[], { json }: CacheOptions): Promise<void> {
  const bar = new ProgressBar('fetching {bar} {percentage}% | {told}');
  let told = 'nothing has come yet';
  const show = ({ files, bytes, allFiles, allBytes }: WarmProgress): void => {
    told = `${files} of ${formatCount(allFiles, 'file')}, ${formatSize(bytes)} of ${formatSize(allBytes)} are here`;
    bar.show(bytes, allBytes, told);
  };
  const interrupt = (): void => {
    bar.stop();
    // The mount cancels the requests when this command has ended.
    complain(`stopped; ${told}`);
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', interrupt);
  const warmed = (await askControl(entry.socket, 'cache-warm', { paths }, (how) => show(how as WarmProgress)).finally(
    () => {
      bar.stop();
      process.off('SIGINT', interrupt);
    },
  )) as Warmed;
  if (json) printJson(warmed);
  else print(`Here: ${warmed.files} of ${formatCount(warmed.allFiles, 'file')}, ${formatSize(warmed.bytes)}.`);
  for (const { path, error } of warmed.failed) complain(`${join(entry.mountpoint, path)}: ${error}`);
  if (warmed.failed.length > 0) process.exitCode = 1;
}
