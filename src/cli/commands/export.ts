/**
 * Copies contents that are not stored yet out of the spool, so that they exist in a second place. The mount tells where they are; if there
 * is none, or it does not answer, the journal tells.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { createBelow } from '../../base/create-below.js';
import { codeOf, messageOf, SyncmountError, UsageError } from '../../base/errors.js';
import { ExtentSet } from '../../base/extents.js';
import { makeDirectory } from '../../base/make-directory.js';
import { bootId } from '../../base/processes.js';
import { formatSize } from '../../config/units.js';
import { askControl } from '../../mount/control/control.js';
import { isServed, type RegistryEntry } from '../../mount/control/registry.js';
import { type UnstoredContent, unnamedContents, unstoredContents } from '../../mount/state/journal-contents.js';
import { identityOf } from '../../mount/state/same-account.js';
import { type Context, mountpointOf } from '../context.js';
import { print } from '../terminal/output.js';
import { ProgressBar } from '../terminal/progress-bar.js';

/** Bytes read at a time. */
const PIECE = 1024 * 1024;

/** How long a mount may take to answer, ms; then the journal is read without it. */
const PATIENCE = 10_000;

/** `DIR`, and the mountpoint or `NAME:` if several accounts could be meant. */
export async function exportCommand(context: Context, args: readonly string[]): Promise<void> {
  const { account, entry, rest } = accountOf(context, args);
  const [target, ...more] = rest;
  if (target === undefined) throw new UsageError('say into which directory to export');
  if (more.length > 0) throw new UsageError(`'${more[0]}' is not expected here`);
  const directory = mountpointOf(target);
  const isWithin = context.registry
    .all()
    .some(({ mountpoint }) => `${directory}${sep}`.startsWith(`${mountpoint}${sep}`));
  if (isWithin) throw new UsageError(`${target} lies within the mount`);
  const state = join(context.places.state, 'accounts', identityOf(account, context.accounts.load(account)));
  const contents = [...(await contentsOf(state, entry)), ...unnamedContents(state)];
  await exportContents(contents, directory);
}

async function contentsOf(state: string, entry: RegistryEntry | undefined): Promise<readonly UnstoredContent[]> {
  if (entry !== undefined && isServed(entry)) {
    try {
      // No timeout: the mount has answered `status`, and fetching the rest of a content from its base may take a while.
      await askControl(entry.socket, 'status', {}, undefined, PATIENCE);
      return (await askControl(entry.socket, 'spooled')) as readonly UnstoredContent[];
    } catch (error) {
      if (codeOf(error) !== 'no-answer' && codeOf(error) !== 'silent') throw error;
    }
  }
  return unstoredContents(state, bootId());
}

/** The account to export from: the one that is named, or the only one. */
function accountOf(
  { registry, accounts, places }: Context,
  args: readonly string[],
): { account: string; entry: RegistryEntry | undefined; rest: readonly string[] } {
  const mounts = registry.all();
  for (const [index, arg] of args.entries()) {
    const rest = args.filter((_, at) => at !== index);
    const entry = registry.find(mountpointOf(arg));
    if (entry !== undefined) return { account: entry.account, entry, rest };
    const account = arg.endsWith(':') ? arg.slice(0, -1) : undefined;
    if (account !== undefined && accounts.names().includes(account))
      return { account, entry: mounts.find((mount) => mount.account === account), rest };
  }
  const mounted = new Map(mounts.map((entry) => [entry.account, entry]));
  const hasContents = (name: string): boolean => {
    const state = join(places.state, 'accounts', identityOf(name, accounts.load(name)));
    return unstoredContents(state, null).length + unnamedContents(state).length > 0;
  };
  const meant = mounted.size > 0 ? [...mounted.keys()] : accounts.names().filter(hasContents);
  const [account, ...others] = meant.length > 0 ? meant : accounts.names();
  if (account === undefined) throw new UsageError('nobody is logged in');
  if (meant.length > 1)
    throw new UsageError(`several accounts could be meant: name one, ${[account, ...others].join(': or ')}:`);
  return { account, entry: mounted.get(account), rest: args };
}

/**
 * Copies each content to its path below `directory`, with its time; files that exist already are left alone. The copies are on the disk
 * when this resolves. Tries all, then rejects with `not-exported` if any could not be copied.
 */
async function exportContents(contents: readonly UnstoredContent[], directory: string): Promise<void> {
  if (contents.length === 0) return print('Everything is stored; there is nothing to export.');
  makeDirectory(directory);
  const bytes = contents.reduce((sum, { size }) => sum + size, 0);
  const bar = new ProgressBar('exporting {bar} {percentage}% | {told}');
  let copied = 0;
  const progress = (count: number): void => {
    copied += count;
    bar.show(copied, bytes, `${formatSize(copied)} of ${formatSize(bytes)}`);
  };
  const failures: string[] = [];
  for (const content of contents) {
    try {
      await copyOut(content, directory, progress);
    } catch (error) {
      failures.push(`${content.path} (${codeOf(error) === 'EEXIST' ? 'exists there already' : messageOf(error)})`);
    }
  }
  bar.stop();
  print(`Exported ${contents.length - failures.length} of ${contents.length} to ${directory} (${formatSize(bytes)}).`);
  if (failures.length > 0) throw new SyncmountError('not-exported', `not exported: ${failures.join(', ')}`);
}

async function copyOut(content: UnstoredContent, directory: string, progress: (bytes: number) => void): Promise<void> {
  const isWhole = content.missing.length === 0;
  // Another name, so that nobody takes a part for the whole file.
  const copy = await createBelow(directory, isWhole ? content.path : `${content.path}.parts`);
  const { file } = copy;
  try {
    await file.truncate(content.size);
    if (content.bytes !== undefined) await file.write(content.bytes, 0, content.bytes.length, 0);
    else await copyRanges(content, file, progress);
    if (content.modified !== null) await file.utimes(new Date(content.modified), new Date(content.modified));
    await copy.keep();
  } catch (error) {
    await copy.discard();
    throw error;
  }
  if (!isWhole)
    throw new SyncmountError(
      'parts',
      `the rest of it is only at the provider; the part that is here is in ${copy.path}`,
    );
}

async function copyRanges(
  { file, size, missing }: UnstoredContent,
  copy: FileHandle,
  progress: (bytes: number) => void,
): Promise<void> {
  const source = await open(file, 'r');
  try {
    const piece = Buffer.allocUnsafe(PIECE);
    for (const [start, end] of ExtentSet.from(missing).gaps(0, size)) {
      for (let at = start; at < end; ) {
        const { bytesRead } = await source.read(piece, 0, Math.min(PIECE, end - at), at);
        if (bytesRead === 0) throw new SyncmountError('spool', `${file} is shorter than its content`);
        const data = piece.subarray(0, bytesRead);
        // A hole stays a hole: a content of a terabyte may consist of one.
        if (data.some((byte) => byte !== 0)) await copy.write(data, 0, bytesRead, at);
        at += bytesRead;
        progress(bytesRead);
      }
    }
  } finally {
    await source.close();
  }
}
