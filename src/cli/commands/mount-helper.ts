/**
 * The helper that mount(8) calls for the types `syncmount` and `fuse.syncmount`: `mount.syncmount SOURCE DIR [-sfnv] [-N NAMESPACE] [-o
 * OPTIONS] [-t TYPE]`. A link of that name to the program makes it the helper.
 */
import { readdir } from 'node:fs/promises';
import { SyncmountError, UsageError } from '../../base/errors.js';
import { parseDashO, splitDashO } from '../../config/option-texts.js';
import { kernelFlags } from '../../config/options.js';
import { fuseSubtype } from '../../fuse/binding.js';
import { mountAt } from '../../fuse/mount-table.js';
import { run } from '../../fuse/programs.js';
import { askControl } from '../../mount/control/control.js';
import { isServed } from '../../mount/control/registry.js';
import type { MountStatus } from '../../mount/control/status.js';
import { automountType } from '../../mount/session/mountpoint.js';
import { createContext } from '../context.js';
import { environmentOf, personOf } from './caller.js';

export interface HelperCall {
  readonly source: string;
  readonly target: string;
  /** The lists after -o. */
  readonly options: readonly string[];
  /** -f: do everything but mount. */
  readonly isFake: boolean;
  /** -s: ignore unknown options. */
  readonly isSloppy: boolean;
}

/** A live mount answers this fast whether it is read-only, ms. */
const STATUS_PATIENCE = 5000;

/** Throws `UsageError` for anything that mount(8) does not send. */
export function parseHelperCall(args: readonly string[]): HelperCall {
  const operands: string[] = [];
  const options: string[] = [];
  let isFake = false;
  let isSloppy = false;
  for (let at = 0; at < args.length; at++) {
    const word = args[at] as string;
    if (!/^-./.test(word)) operands.push(word);
    else if (/^-[oNt]$/.test(word)) {
      const value = args[++at];
      if (value === undefined) throw new UsageError(`${word} needs a value`);
      if (word === '-N') throw new UsageError('-N: run mount within that namespace instead (nsenter)');
      if (word === '-o') options.push(value);
    } else if (/^-[sfnv]+$/.test(word)) {
      isFake ||= word.includes('f');
      isSloppy ||= word.includes('s');
    } else throw new UsageError(`unknown option '${word}' of a mount helper`);
  }
  const [source, target, ...more] = operands;
  if (source === undefined || target === undefined || more.length > 0)
    throw new UsageError('a mount helper is called with the account and the mountpoint: NAME:[/PATH] DIR -o OPTIONS');
  return { source, target, options, isFake, isSloppy };
}

/** `remount,ro` or `remount,rw`; null: this is no remount. */
export function remountOf(options: readonly string[]): 'ro' | 'rw' | null {
  const words = options.flatMap((list) => list.split(','));
  if (!words.includes('remount')) return null;
  return words.findLast((word) => word === 'ro' || word === 'rw') === 'ro' ? 'ro' : 'rw';
}

/** Returns the words of a command line that does what mount(8) asks for, or null if it is done already. */
export async function helperCommand(args: readonly string[]): Promise<string[] | null> {
  const call = parseHelperCall(args);
  if (call.isFake) return null;
  const remount = remountOf(call.options);
  if (remount === null) {
    if (await isMountedBySystemd(call)) return null;
    const lists = call.isSloppy ? call.options.map(knownOf) : call.options;
    return ['mount', call.source, call.target, ...lists.flatMap((list) => ['-o', list])];
  }
  await requireWritable(remount, call);
  const mounted = await mountAt(call.target);
  if (mounted?.type !== `fuse.${fuseSubtype}`)
    throw new SyncmountError('remount', `cannot remount ${call.target}: no account is mounted there`);
  // A remount replaces every flag. Without `nosuid` and `nodev`, a file in an account could make its owner root. mount(8) passes the other
  // flags that must hold, from fstab or from the present mount, and leaves out its own defaults (`exec`).
  const words = call.options.flatMap((list) => list.split(','));
  const asked = kernelFlags.filter((flag) => words.findLast((word) => word === flag || `no${word}` === flag) === flag);
  const kept = mounted.flags.filter((flag) => !/^r[ow]$/.test(flag) && kernelFlags.every((ours) => ours !== flag));
  const flags = [...kept, remount, ...asked];
  // The kernel enforces the flags. -i: do not call this helper again. If the source is given, mount(8) does not read fstab.
  const { code, message } = await run('mount', [
    '-i',
    '-o',
    ['remount', ...flags].join(','),
    mounted.source,
    call.target,
  ]);
  if (code !== 0) throw new SyncmountError('remount', `cannot remount ${call.target}: ${message.split('\n')[0]}`);
  return null;
}

/**
 * In `mount -a`, systemd may wait at the mountpoint for the first access (`x-systemd.automount`). Our own mount would be that access, and
 * end up beside systemd's mount. So this function accesses the directory first. If systemd itself has called us, the kernel lets our access
 * through without telling systemd.
 */
async function isMountedBySystemd({ source, target }: HelperCall): Promise<boolean> {
  if ((await mountAt(target))?.type !== automountType) return false;
  // If its mount fails, ours tells why.
  await readdir(target).catch(() => undefined);
  const mounted = await mountAt(target);
  return mounted?.type === `fuse.${fuseSubtype}` && mounted.source === source;
}

/** A list without the options that we do not know. */
export function knownOf(list: string): string {
  return splitDashO(list)
    .filter((option) => {
      try {
        parseDashO([option]);
        return true;
      } catch (error) {
        if (error instanceof UsageError) return false;
        throw error;
      }
    })
    .join(',');
}

/** Throws for a mount that was made read-only: it refuses changes itself, whatever the kernel allows. */
async function requireWritable(remount: 'ro' | 'rw', { target, options }: HelperCall): Promise<void> {
  if (remount === 'ro') return;
  const user = /(?:^|,)user=([^,]+)/.exec(options.join(','))?.[1];
  const { registry } = createContext(user === undefined ? process.env : environmentOf(process.env, personOf(user)));
  const entry = registry.find(target);
  if (entry === undefined || !isServed(entry)) return;
  const status = (await askControl(entry.socket, 'status', {}, undefined, STATUS_PATIENCE)) as MountStatus;
  if (status.readOnly)
    throw new SyncmountError('remount', `${target} was mounted read-only: unmount, and mount it again to write`);
}
