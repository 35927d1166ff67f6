/** The C addon of native/fuse_device.c: system calls that answer 0 (a count, a descriptor) or a negative errno. */

import { constants } from 'node:os';
import { join } from 'node:path';
import { messageOf, SyncmountError } from '../../base/errors.js';
import { packageRoot, requireInstalled } from '../../base/installation.js';

declare const deviceBrand: unique symbol;
/** An open /dev/fuse with its place on the event loop. */
export interface Device {
  readonly [deviceBrand]: never;
}

export interface Addon {
  /** mount(2), in a thread of the pool. */
  mount(source: string, target: string, type: string, flags: number, data: string): Promise<number>;
  /** umount2(2), in a thread of the pool. */
  unmount(target: string, flags: number): Promise<number>;
  /** Gives the blocks of a range back to the disk, without changing the file's size: fallocate(2). */
  punchHole(fd: number, offset: number, length: number): number;
  /** 1 where anybody but this descriptor has the file open or mapped, else 0: by a lease that is given back at once. */
  isOpenElsewhere(fd: number): number;
  /** 1 where anybody has the file open or mapped for writing, else 0. `fd` itself must be open for reading only. */
  isOpenForWriting(fd: number): number;

  /** Opens /dev/fuse. */
  openDevice(): number;
  /** A connected pair, ours first; or a negative errno. */
  socketPair(): readonly [number, number] | number;
  /** The descriptor that lies in the socket; EAGAIN where there is none. */
  receiveDescriptor(socket: number): number;
  closeDescriptor(fd: number): number;

  /** Takes `fd` over. `onReadable` is called with 0 when there are requests, with a negative errno when the mount is gone. */
  createDevice(fd: number, onReadable: (status: number) => void): Device;
  /** Never waits: EAGAIN. */
  read(device: Device, into: Uint8Array): number;
  /** Writes both parts as one reply. */
  reply(
    device: Device,
    head: Uint8Array,
    headLength: number,
    payload: Uint8Array | undefined,
    payloadLength: number,
  ): number;
  /** Hands a notification to the device's own thread, which may have to wait for the kernel's locks. */
  notify(device: Device, bytes: Uint8Array): number;
  /** FUSE_DEV_IOC_BACKING_OPEN: lets the kernel read a file by itself; an id, or EPERM without CAP_SYS_ADMIN. */
  backingOpen(device: Device, fd: number): number;
  /** FUSE_DEV_IOC_BACKING_CLOSE */
  backingClose(device: Device, id: number): number;
  close(device: Device): void;
}

let loaded: Addon | undefined;

/** Throws `fuse-missing` where the addon was not built for this machine. */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux')
    throw new SyncmountError('fuse-missing', 'the kernel binding needs Linux; the native binding works here');
  try {
    loaded = requireInstalled(join(packageRoot, 'native/build/Release/fuse_device.node')) as Addon;
    return loaded;
  } catch (cause) {
    throw new SyncmountError(
      'fuse-missing',
      'the kernel binding is not built: apt install build-essential, then npm run build:addon',
      { cause, data: { reason: messageOf(cause) } },
    );
  }
}

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** `EBUSY` for -16. */
export function errnoName(result: number): string {
  return names.get(-result) ?? `errno ${-result}`;
}

/** What the results are compared with. */
export const failed = {
  again: -constants.errno.EAGAIN,
  interrupted: -constants.errno.EINTR,
  noEntry: -constants.errno.ENOENT,
  noDevice: -constants.errno.ENODEV,
  aborted: -constants.errno.ECONNABORTED,
  busy: -constants.errno.EBUSY,
  notPermitted: -constants.errno.EPERM,
  accessDenied: -constants.errno.EACCES,
  invalid: -constants.errno.EINVAL,
} as const;
