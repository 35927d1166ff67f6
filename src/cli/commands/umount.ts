/** `syncmount umount`: asks the mount's process over its control socket, and shows the progress; `mount/session/session-end.ts` waits for the uploads. */
import { resolve } from 'node:path';
import { codeOf, SyncmountError, UsageError } from '../../base/errors.js';
import { silentLog } from '../../base/log.js';
import { formatCount, formatSize } from '../../config/units.js';
import { fuseSubtype } from '../../fuse/binding.js';
import { mountAt } from '../../fuse/mount-table.js';
import { unmountByProgram } from '../../fuse/programs.js';
import { askControl } from '../../mount/control/control.js';
import { isServed, type RegistryEntry, serverGone } from '../../mount/control/registry.js';
import type { DrainProgress, UploadStatus } from '../../mount/control/status.js';
import { clearStaleMount } from '../../mount/session/mountpoint.js';
import { waitingContents } from '../../mount/state/waiting-contents.js';
import { type Context, mountNamed } from '../context.js';
import { complain, INTERRUPTED, print } from '../terminal/output.js';
import { ProgressBar } from '../terminal/progress-bar.js';

/** How long the mount's process may run after its mount is gone, ms. */
const EXIT_PATIENCE = 10_000;

/** A mount that does not answer a simple question for this long hangs, ms. */
const FORCE_PATIENCE = 10_000;

/** The line about contents that are left names at most this many. */
const NAMED = 10;

const OUR_TYPE = `fuse.${fuseSubtype}`;

interface UmountOptions {
  readonly force?: boolean;
  readonly all?: boolean;
}

export async function umountCommand(
  context: Context,
  target: string | undefined,
  options: UmountOptions,
): Promise<void> {
  if (options.all) {
    if (target !== undefined) throw new UsageError(`'${target}' is not expected: --all unmounts everything`);
    const { umountAll } = await import('./all-accounts.js');
    return await umountAll(context, ({ mountpoint }) => umountOne(context, mountpoint, options));
  }
  if (target === undefined) throw new UsageError("missing required argument 'mountpoint'");
  await umountOne(context, target, options);
}

async function umountOne(context: Context, target: string, options: UmountOptions): Promise<void> {
  const { mountpoint, entry } = mountNamed(context, target);
  // If another file system is mounted within ours, the user means that one. (The path stays as typed, because resolving one in a hung mount
  // would hang.)
  const other = await mountAt(resolve(target));
  if (other !== undefined && other.type !== OUR_TYPE) throw notOurs(other.mountpoint, other.type);
  if (entry === undefined || !isServed(entry)) return clearDead(context, mountpoint);
  const shown = progressOf();
  const interrupted = (): void => {
    shown.end();
    complain(standing(mountpoint, shown.left()));
    process.exit(INTERRUPTED);
  };
  process.on('SIGINT', interrupted);
  try {
    // An unmount may be silent as long as the upload of a content takes. `status` is answered at once, unless the process hangs.
    if (!options.force) await askControl(entry.socket, 'status', {}, undefined, FORCE_PATIENCE);
    const command = options.force ? 'unmount-force' : 'unmount';
    const patience = options.force ? FORCE_PATIENCE : undefined;
    const left = await askControl(
      entry.socket,
      command,
      {},
      // Null: it is alive.
      (what) => (what === null ? undefined : shown.show(what as DrainProgress)),
      patience,
    );
    shown.end();
    await serverGone(entry, EXIT_PATIENCE);
    report(left as readonly UploadStatus[]);
  } catch (error) {
    shown.end();
    if (codeOf(error) === 'silent') {
      if (options.force !== true) throw hangs(entry, error);
      return detach(entry);
    }
    if (codeOf(error) !== 'no-answer') throw error;
    await serverGone(entry, EXIT_PATIENCE);
    if (await mountAt(mountpoint)) return clearDead(context, mountpoint);
    context.registry.remove(mountpoint);
    reportSilent(context, entry);
  } finally {
    process.off('SIGINT', interrupted);
  }
}

/** After Ctrl-C the mount still carries out the unmount. */
function standing(mountpoint: string, left: DrainProgress | null): string {
  const more =
    left === null || left.files === 0
      ? 'what was written is being stored'
      : `${left.files} ${left.files === 1 ? 'file is' : 'files are'} still to be stored (${formatSize(left.bytes)})`;
  return `not waiting any longer: ${more}, then ${mountpoint} is unmounted. 'syncmount status' tells how far it is, 'umount --force' unmounts at once`;
}

function hangs({ mountpoint, pid }: RegistryEntry, cause: unknown): SyncmountError {
  const seconds = FORCE_PATIENCE / 1000;
  return new SyncmountError(
    'silent',
    `${mountpoint}: process ${pid} has not answered for ${seconds} s; umount --force removes the mount anyway, and contents that are not stored wait for the next one`,
    { cause },
  );
}

/** If the process hangs, or was stopped, this removes the mount, unless the process has done so itself. */
async function detach({ mountpoint, pid }: RegistryEntry): Promise<void> {
  if ((await mountAt(mountpoint)) !== undefined) await unmountByProgram(mountpoint, { lazy: true });
  complain(
    `unmounted; process ${pid} does not answer and is left alone. What it has not stored waits for the next mount`,
  );
}

/** For a mount that is gone and whose process has ended without an answer: contents that it has not stored are in its journal. */
function reportSilent({ accounts, places }: Context, { account }: RegistryEntry): void {
  const left = waitingContents(account, accounts, places);
  if (left === 0) return;
  const what = left === null ? 'whether everything is stored is not known' : `${left} contents are not stored`;
  throw new SyncmountError('left-pending', `unmounted, but ${what}; what is left waits for the next mount`);
}

/** Clears the dead mount of a process that is gone. Contents that it had not uploaded wait for the next mount. */
async function clearDead(context: Context, mountpoint: string): Promise<void> {
  const mounted = await mountAt(mountpoint);
  if (mounted === undefined) {
    context.registry.remove(mountpoint);
    throw new SyncmountError('not-mounted', `${mountpoint} is not mounted`);
  }
  if (mounted.type !== OUR_TYPE) throw notOurs(mountpoint, mounted.type);
  if (await clearStaleMount(mountpoint, context.registry, silentLog)) {
    const waits = 'what it had not uploaded waits for the next mount';
    return print(`${mountpoint}: cleared the mount of a process that had died; ${waits}`);
  }
  // The mount is alive, but belongs to another state directory, or its registry entry was lost. Unmount through the kernel.
  await unmountByProgram(mountpoint, { lazy: false });
  print(`${mountpoint}: unmounted; its process stores what waits before it ends`);
}

function notOurs(mountpoint: string, type: string): SyncmountError {
  return new SyncmountError('not-ours', `${mountpoint} is not a mount of syncmount (${type})`);
}

function report(left: readonly UploadStatus[]): void {
  if (left.length === 0) return;
  const named = left.slice(0, NAMED).map(({ path, error }) => (error === undefined ? path : `${path} (${error})`));
  const names = [...named, ...(left.length > NAMED ? [`and ${left.length - NAMED} more`] : [])].join(', ');
  throw new SyncmountError('left-pending', `unmounted, but not everything is stored; the next mount has it: ${names}`);
}

interface Shown {
  show(left: DrainProgress): void;
  end(): void;
  /** The last progress shown; null before that. */
  left(): DrainProgress | null;
}

/** Shows a bar on a terminal, elsewhere a line whenever a file is done. */
function progressOf(): Shown {
  let latest: DrainProgress | null = null;
  const view = process.stderr.isTTY ? barView() : lineView();
  return {
    left: () => latest,
    show(now) {
      latest = now;
      view.show(now);
    },
    end: () => view.end(),
  };
}

type View = Omit<Shown, 'left'>;

function lineView(): View {
  let last = '';
  return {
    show(now) {
      const { files, metadata, outage } = now;
      const line = outage === undefined ? whatIsStored(now) : whatIsWaitedFor(outage);
      const subject = outage ?? `${files} ${metadata}`;
      if (line !== '' && subject !== last) complain(line);
      last = subject;
    },
    end: () => undefined,
  };
}

function whatIsStored({ files, bytes, metadata = 0 }: DrainProgress): string {
  if (metadata > 0) return `storing metadata: ${formatCount(metadata, 'change')}`;
  return files > 0 ? `uploading: ${formatCount(files, 'file')}, ${formatSize(bytes)} left` : '';
}

function whatIsWaitedFor(outage: string): string {
  return `waiting for the service, which does not answer (${outage}). 'syncmount umount --force' unmounts at once, and the next mount stores what is left`;
}

function barView(): View {
  const bar = new ProgressBar('uploading {bar} {percentage}% | {told}');
  let total = 0;
  let isTold = false;
  return {
    show(now) {
      const { files, bytes, metadata = 0, outage } = now;
      if (outage !== undefined && !isTold) {
        // The bar continues in the line below.
        if (bar.isShown) process.stderr.write('\n');
        complain(whatIsWaitedFor(outage));
        isTold = true;
      }
      // The last text stays on the line until the mount has ended.
      if (files + metadata === 0) return;
      total = Math.max(total, bytes, 1);
      bar.show(total - bytes, total, whatIsStored(now).replace(/^\w+: /, ''));
    },
    end: () => bar.stop(),
  };
}
