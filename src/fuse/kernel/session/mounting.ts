/**
 * Gets a mounted descriptor of /dev/fuse: by mount(2) if we have the privilege; otherwise from fusermount3(1), which is
 * setuid, mounts for us, and passes the descriptor over a socket.
 */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { codeOf, SyncmountError } from '../../../base/errors.js';
import { type BindingOptions, fuseSubtype } from '../../binding.js';
import { checkDevice } from '../../device.js';
import { mountAt } from '../../mount-table.js';
import { busyError, findFusermount, isRoot, unmountByProgram } from '../../programs.js';
import { type Addon, errnoName, failed } from '../addon.js';

/** mount(2) */
const mountFlag = { readOnly: 1, noSetId: 2, noDevices: 4, noexec: 8, nosymfollow: 256 } as const;
/** umount(2) */
const unmountFlag = { force: 1, detach: 2, noFollow: 8 } as const;

/**
 * How far the kernel reads ahead: one request of the largest size, instead of 128 KiB. Not more, because a page fault in
 * a mapped file reads this much around the page. The core itself reads further ahead.
 */
const readAheadKiB = 1024;

/** Mount options for mount(2) and fusermount3(1): mount.fuse3(8). */
const commonOptions = (options: BindingOptions): string[] => [
  'default_permissions',
  ...(options.allowOther ? ['allow_other'] : []),
];

/** Resolves with the descriptor. Throws `fuse-missing`, `permission` or `mount-failed`. */
export async function openMount(addon: Addon, options: BindingOptions): Promise<number> {
  await checkDevice();
  const fd = await mountDevice(addon, options);
  if (options.flags.length === 0) return fd;
  // An older Linux ignores a flag that it does not know.
  const held = (await mountAt(options.mountpoint))?.flags ?? [];
  const missing = options.flags.find((flag) => !held.includes(flag));
  if (missing === undefined) return fd;
  addon.closeDescriptor(fd);
  await closeMount(addon, options.mountpoint, { lazy: true });
  throw new SyncmountError('mount-failed', `${missing}: this kernel does not know it`);
}

async function mountDevice(addon: Addon, options: BindingOptions): Promise<number> {
  if (!isRoot()) return mountByProgram(addon, options);
  const fd = addon.openDevice();
  if (fd < 0) throw new SyncmountError('fuse-missing', `/dev/fuse cannot be opened (${errnoName(fd)}): modprobe fuse`);
  const data = [
    `fd=${fd}`,
    // S_IFDIR in octal: the root's mode until the first GETATTR.
    'rootmode=40000',
    `user_id=${process.geteuid?.() ?? 0}`,
    `group_id=${process.getegid?.() ?? 0}`,
    ...commonOptions(options),
  ].join(',');
  const flags =
    mountFlag.noSetId |
    mountFlag.noDevices |
    (options.readOnly ? mountFlag.readOnly : 0) |
    options.flags.reduce((sum, flag) => sum | mountFlag[flag], 0);
  const result = await addon.mount(options.source, options.mountpoint, `fuse.${fuseSubtype}`, flags, data);
  if (result === 0) return fd;
  addon.closeDescriptor(fd);
  // Root in a container may lack the privilege to mount; fusermount3, if installed, may have it.
  if (result === failed.notPermitted) return mountByProgram(addon, options);
  throw new SyncmountError('mount-failed', `cannot mount on ${options.mountpoint}: ${errnoName(result)}`, {
    data: { mountpoint: options.mountpoint, errno: errnoName(result) },
  });
}

async function mountByProgram(addon: Addon, options: BindingOptions): Promise<number> {
  const program = await findFusermount();
  const pair = addon.socketPair();
  if (typeof pair === 'number') throw new SyncmountError('mount-failed', `cannot make a socket: ${errnoName(pair)}`);
  const [ours, theirs] = pair;
  // fusermount3 splits at commas; a backslash escapes the next character.
  const quote = (value: string): string => value.replace(/[\\,]/g, '\\$&');
  const list = [
    options.readOnly ? 'ro' : 'rw',
    'nosuid',
    'nodev',
    ...options.flags,
    `fsname=${quote(options.source)}`,
    `subtype=${fuseSubtype}`,
    ...commonOptions(options),
  ];
  try {
    await runFusermount(program, ['-o', list.join(','), '--', options.mountpoint], theirs, options.mountpoint);
    const fd = addon.receiveDescriptor(ours);
    if (fd < 0) throw new SyncmountError('mount-failed', `${program} sent no descriptor: ${errnoName(fd)}`);
    return fd;
  } finally {
    addon.closeDescriptor(ours);
    addon.closeDescriptor(theirs);
  }
}

function runFusermount(program: string, args: string[], socket: number, mountpoint: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // The child gets its end of the socket as descriptor 3.
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe', socket],
      env: { ...process.env, LC_ALL: 'C', _FUSE_COMMFD: '3' },
    });
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said += String(chunk);
    });
    child.on('error', (cause) => reject(new SyncmountError('mount-failed', `cannot run ${program}`, { cause })));
    child.on('close', (code) => {
      if (code === 0) return resolve();
      const line =
        said
          .trim()
          .split('\n')[0]
          ?.replace(/^\S*fusermount3?: /, '') || `exit code ${code}`;
      // fusermount3 reports an option that it does not know.
      const unknown = /^unknown option '(\w+)'$/.exec(line)?.[1];
      if (unknown === 'nosymfollow')
        return reject(
          new SyncmountError(
            'mount-failed',
            'nosymfollow: fuse3 before 3.17.1 does not know it; root can mount with it',
          ),
        );
      const denied = /user_allow_other|no write access|not owned|permission|not permitted/i.test(line);
      reject(new SyncmountError(denied ? 'permission' : 'mount-failed', `cannot mount on ${mountpoint}: ${line}`));
    });
  });
}

/** Unmounts. Not lazy: throws `busy` while a file is open. Lazy: detaches at once, with force if we have the privilege. */
export async function closeMount(addon: Addon, mountpoint: string, how: { lazy: boolean }): Promise<void> {
  if (!isRoot()) return unmountByProgram(mountpoint, how);
  const flags = unmountFlag.noFollow | (how.lazy ? unmountFlag.detach | unmountFlag.force : 0);
  const result = await addon.unmount(mountpoint, flags);
  if (result === 0) return;
  if (result === failed.busy) throw busyError(mountpoint);
  if (result === failed.notPermitted) return unmountByProgram(mountpoint, how);
  throw new SyncmountError('unmount-failed', `cannot unmount ${mountpoint}: ${errnoName(result)}`, {
    data: { mountpoint, errno: errnoName(result) },
  });
}

/** Sets the kernel's read-ahead for the mount. Only root may; for others it stays at 128 KiB. */
export async function raiseReadAhead(mountpoint: string): Promise<boolean> {
  const entry = await mountAt(mountpoint);
  if (entry === undefined) return false;
  try {
    await writeFile(`/sys/class/bdi/${entry.device}/read_ahead_kb`, String(readAheadKiB));
    return true;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
  }
}
