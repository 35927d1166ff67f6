/**
 * The helper that umount(8) calls for the type `fuse.syncmount`: `umount.fuse.syncmount DIR [-flnrv] [-N NAMESPACE] [-t TYPE]`. A link of
 * that name to the program makes it the helper. Contents are stored before the mount goes, so that at shutdown systemd keeps the network
 * until then.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { codeOf, messageOf, UsageError } from '../../base/errors.js';
import { formatCount, formatSize } from '../../config/units.js';
import { fuseSubtype } from '../../fuse/binding.js';
import { isMounted, type MountEntry, mountAt } from '../../fuse/mount-table.js';
import { isRoot } from '../../fuse/programs.js';
import { askControl } from '../../mount/control/control.js';
import { isServed } from '../../mount/control/registry.js';
import type { DrainProgress, UploadStatus } from '../../mount/control/status.js';
import { createContext } from '../context.js';
import { complain } from '../terminal/output.js';
import { OutageWatch } from '../terminal/signals.js';
import { environmentOf, personOf } from './caller.js';

export interface UmountCall {
  readonly target: string;
  /** Flags for umount(8), if the mount is still there. */
  readonly flags: readonly string[];
  /** -l or -f: do not wait. */
  readonly isForced: boolean;
}

/** How long an unmount waits for uploads, ms. systemd gives umount(8) 90 s. */
const DRAIN_PATIENCE_MS = 60_000;

/** A mount that is silent for this long hangs, ms. It reports four times a second. */
const SILENCE_PATIENCE_MS = 10_000;

/** Throws `UsageError` for anything that umount(8) does not send. */
export function parseUmountCall(args: readonly string[]): UmountCall {
  const operands: string[] = [];
  const flags: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] as string;
    if (!/^-./.test(word)) operands.push(word);
    else if (word === '-t') at++;
    else if (word === '-N') throw new UsageError('-N: run umount within that namespace instead (nsenter)');
    else if (/^-[flnrv]+$/.test(word)) flags.push(word);
    else throw new UsageError(`unknown option '${word}' of an umount helper`);
  }
  const [target, ...more] = operands;
  if (target === undefined || more.length > 0)
    throw new UsageError('an umount helper is called with the mountpoint: DIR');
  return { target, flags, isForced: flags.some((word) => /[fl]/.test(word)) };
}

/** Returns the exit status for umount(8). */
export async function umountHelper(args: readonly string[]): Promise<number> {
  const { target, flags, isForced } = parseUmountCall(args);
  const mounted = await mountAt(target);
  if (mounted?.type === `fuse.${fuseSubtype}` && !isForced) {
    const left = await drained(mounted);
    if (left !== null) complain(`${target}: ${left}`);
    if (!(await isMounted(mounted))) return 0;
  }
  // -i: do not call us again. -c: do not resolve the path, because a mount that hangs might never answer.
  const child = spawn('umount', ['-i', '-c', ...flags, '--', target], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/**
 * Makes the process of the mount store pending contents and unmount. Returns a message about contents that are left. Null: nothing is left,
 * or the mount cannot be asked, and umount(8) says what is wrong.
 */
async function drained(mounted: MountEntry): Promise<string | null> {
  const { owner, mountpoint } = mounted;
  const outage = new OutageWatch();
  const end = performance.now() + DRAIN_PATIENCE_MS;
  let giveUp: (left: string) => void = () => undefined;
  const tooLong = new Promise<string>((resolve) => {
    giveUp = resolve;
  });
  const follow = (left: DrainProgress): void => {
    const now = performance.now();
    if (now < end && !outage.isLong(left.outage !== undefined, now)) return;
    const { files, bytes, metadata = 0 } = left;
    const what = files > 0 ? `${formatCount(files, 'file')} (${formatSize(bytes)})` : formatCount(metadata, 'change');
    giveUp(`not stored yet: ${what}; its process goes on with that, or else the next mount does`);
  };
  const isOther = isRoot() && owner !== 0;
  try {
    const { registry } = createContext(isOther ? environmentOf(process.env, personOf(owner)) : process.env);
    // The socket belongs to the user of the mount. Root connects to it with that user's rights only.
    if (isOther) process.seteuid?.(owner);
    const entry = registry.find(mountpoint);
    if (entry === undefined || !isServed(entry)) return null;
    const heard = (what: unknown): void => follow(what as DrainProgress);
    const asked = askControl(entry.socket, 'unmount', {}, heard, SILENCE_PATIENCE_MS) as Promise<UploadStatus[]>;
    return await Promise.race([tooLong, asked.then(({ length }) => (length === 0 ? null : leftOver(length)))]);
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    return code === 'no-answer' || code === 'silent' ? null : messageOf(error);
  } finally {
    if (isOther) process.seteuid?.(0);
  }
}

const leftOver = (count: number): string => `${formatCount(count, 'file')} not stored; the next mount has what is left`;
