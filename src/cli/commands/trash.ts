/** `syncmount trash`: lists what is in the trash of a mounted account, restores it, and empties it. */
import { resolve } from 'node:path';
import { codeOf, messageOf, SyncmountError, UsageError } from '../../base/errors.js';
import { localMinute } from '../../base/local-time.js';
import { formatCount, formatSize, parseDuration } from '../../config/units.js';
import type { TrashListing, TrashResult } from '../../filesystem/trash/trash.js';
import { askControl } from '../../mount/control/control.js';
import { isServed, type RegistryEntry } from '../../mount/control/registry.js';
import { type Context, mountNamed } from '../context.js';
import { complain, INTERRUPTED, print, printJson } from '../terminal/output.js';
import { ProgressBar } from '../terminal/progress-bar.js';
import { askTwice } from '../terminal/prompts.js';
import { actionIn } from './actions.js';

const actions = ['list', 'restore', 'empty'] as const;

interface TrashOptions {
  readonly json?: boolean;
  readonly olderThan?: string;
  readonly yes?: boolean;
}

export async function trashCommand(context: Context, words: readonly string[], options: TrashOptions): Promise<void> {
  const { action, args } = actionIn(context, actions, words);
  const age = options.olderThan === undefined ? 0 : parseDuration(options.olderThan);
  const { entry, paths } = meant(context.registry, args);
  const all = (await askControl(entry.socket, 'trash-list')) as readonly TrashListing[];
  const oldEnough = all.filter(({ deleted }) => Date.now() - deleted >= age);
  const chosen = choose(oldEnough, paths);
  if (action === 'list') return list(chosen, options.json === true);
  if (action === 'restore') {
    if (paths.length === 0 && options.olderThan === undefined)
      throw new UsageError("say what to restore ('/' is everything); 'syncmount trash list' shows what there is");
    const results = await ask(entry, 'trash-restore', latestOfEach(chosen));
    return tell('Restored', results, options.json === true);
  }
  if (chosen.length > 0 && options.yes !== true) await confirmDeletion(chosen);
  return tell('Removed', await ask(entry, 'trash-empty', chosen), options.json === true);
}

/** Returns the mount that the words name, and the paths: below its mountpoint, or as the list shows them. */
export function meant(
  registry: Context['registry'],
  args: readonly string[],
): { readonly entry: RegistryEntry; readonly paths: readonly string[] } {
  const named: RegistryEntry[] = [];
  const paths: string[] = [];
  for (const arg of args) {
    const { entry, path } = mountNamed({ registry }, arg);
    if (entry !== undefined) named.push(entry);
    if (path !== '') paths.push(`/${path}`);
    else if (entry === undefined) paths.push(resolve('/', arg));
  }
  const mounts = named.length > 0 ? named : registry.all().filter(isServed);
  const [entry, ...others] = new Map(mounts.map((mount) => [mount.mountpoint, mount])).values();
  if (entry === undefined) throw new SyncmountError('not-mounted', 'nothing is mounted');
  if (others.length > 0 && named.length > 0) throw new UsageError('these are of several mounts: one at a time');
  if (others.length > 0) {
    const all = [entry, ...others].map(({ mountpoint }) => mountpoint).join(', ');
    throw new UsageError(`several accounts are mounted: name one of ${all}, or a path in it`);
  }
  return { entry, paths };
}

/** The objects that were at or below these paths, or have such a name in the list. Throws `not-found` for a path without any. */
function choose(all: readonly TrashListing[], paths: readonly string[]): readonly TrashListing[] {
  if (paths.length === 0) return all;
  const isAt = (path: string, { path: was, name }: TrashListing): boolean => {
    const above = path.endsWith('/') ? path : `${path}/`;
    return was === path || was?.startsWith(above) === true || `/${name}` === path;
  };
  for (const path of paths) {
    if (!all.some((item) => isAt(path, item)))
      throw new SyncmountError('not-found', `nothing in the trash was at ${path}`);
  }
  return all.filter((item) => paths.some((path) => isAt(path, item)));
}

/** Keeps the last of several objects that were removed from one place. */
function latestOfEach(items: readonly TrashListing[]): readonly TrashListing[] {
  return [...new Map(items.map((item) => [item.path ?? item.name, item])).values()];
}

function list(items: readonly TrashListing[], asJson: boolean): void {
  if (asJson) printJson(items);
  else if (items.length === 0) print('The trash is empty.');
  else
    for (const { deleted, size, kind, path, name } of items)
      print(localMinute(deleted), size === null ? kind : formatSize(size), path ?? `? (${name})`);
}

async function confirmDeletion(items: readonly TrashListing[]): Promise<void> {
  const bytes = items.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const what = items.length === 1 ? `1 object` : `${items.length} objects`;
  await askTwice(
    `Remove ${what} (${formatSize(bytes)} and the contents of folders) for ever?`,
    'Really?',
    'nothing was removed',
  );
}

/** Shows the progress. If the work ends early, the error tells how far it came. */
async function ask(
  { socket }: RegistryEntry,
  command: 'trash-restore' | 'trash-empty',
  items: readonly TrashListing[],
): Promise<readonly TrashResult[]> {
  if (items.length === 0) return [];
  const [doing, tried] =
    command === 'trash-restore' ? ['restoring', 'were to be restored'] : ['removing', 'were to be removed'];
  const bar = new ProgressBar(`${doing} {bar} {percentage}% | {told}`);
  let done = 0;
  // A failed object counts as done, and some may be in flight.
  const standing = (): string =>
    `${done} of the ${formatCount(items.length, 'object')} that ${tried} are done; 'syncmount trash list' shows what is left in the trash`;
  const interrupt = (): void => {
    bar.stop();
    complain(`stopped; ${standing()}`);
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', interrupt);
  try {
    const names = items.map(({ name }) => name);
    return (await askControl(socket, command, { names }, (now) => {
      done = now as number;
      bar.show(done, items.length, `${done} of ${items.length}`);
    })) as readonly TrashResult[];
  } catch (error) {
    throw new SyncmountError(codeOf(error) ?? 'error', `${messageOf(error)}; ${standing()}`, { cause: error });
  } finally {
    bar.stop();
    process.off('SIGINT', interrupt);
  }
}

function tell(done: string, results: readonly TrashResult[], asJson: boolean): void {
  const failed = results.filter(({ error }) => error !== undefined);
  if (asJson) printJson(results);
  else
    print(results.length === 0 ? 'Nothing to do.' : `${done} ${results.length - failed.length} of ${results.length}.`);
  for (const { path, name, error } of failed) complain(`${path ?? name} stays in the trash: ${error}`);
  if (failed.length > 0) process.exitCode = 1;
}
