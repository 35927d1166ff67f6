/** The C addon native/fuse_device.c. Its system calls return 0 (or a count, a descriptor) or a negative errno. */

import { constants } from 'node:os';
import { join } from 'node:path';
import { messageOf, SyncmountError } from '../../base/errors.js';
import { isPackage, packageRoot, requireInstalled } from '../../base/installation.js';
import type { MaybePromise } from '../../base/maybe-promise.js';

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
  /** Frees the disk blocks of a range without changing the file's size: fallocate(2). */
  punchHole(fd: number, offset: number, length: number): number;
  /** lseek(2) with SEEK_HOLE or SEEK_DATA: an offset, or a negative errno. */
  seek?(fd: number, offset: number, forHole: boolean): number;
  /** 1 if the file is open or mapped other than by this descriptor, else 0. Found by taking a lease for a moment. */
  isOpenElsewhere(fd: number): number;
  /** 1 if the file is open or mapped for writing, else 0. `fd` itself must be open for reading only. */
  isOpenForWriting(fd: number): number;

  /**
   * Returns the result of `act`. Threads that `act` starts inherit the signal mask: only the synchronous signals reach them. Missing
   * in an addon that was built before this call existed.
   */
  withSignalsBlocked?<T>(act: () => T): T;

  /**
   * Sends a text to a Unix datagram socket without waiting. `@` at the beginning stands for an abstract address. Missing in an addon that
   * was built before this call existed.
   */
  sendDatagram?(address: string, text: string): number;

  /** Opens /dev/fuse. */
  openDevice(): number;
  /** A connected pair of sockets, our end first; or a negative errno. */
  socketPair(): readonly [number, number] | number;
  /** Receives a descriptor from the socket; EAGAIN if there is none. */
  receiveDescriptor(socket: number): number;
  closeDescriptor(fd: number): number;

  /** Takes ownership of `fd`. Calls `onReadable` with 0 when there are requests, with a negative errno when the mount is gone. */
  createDevice(fd: number, onReadable: (status: number) => void): Device;
  /** Does not block: EAGAIN if there is no request. */
  read(device: Device, into: Uint8Array): number;
  /** Writes both parts as one reply. */
  reply(
    device: Device,
    head: Uint8Array,
    headLength: number,
    payload: Uint8Array | undefined,
    payloadLength: number,
  ): number;
  /**
   * The same from a thread of the pool, because the writer waits while the kernel copies a long payload. `headLength` is at most 64. The
   * payload is not empty, and must not change before the promise resolves. Returns a number if the write cannot begin. Missing in an addon
   * that was built before this call existed.
   */
  replyLater?(
    device: Device,
    head: Uint8Array,
    headLength: number,
    payload: Uint8Array,
    payloadLength: number,
  ): MaybePromise<number>;
  /** Passes a notification to the device's own thread, because writing one may wait for kernel locks. */
  notify(device: Device, bytes: Uint8Array): number;
  /** FUSE_DEV_IOC_BACKING_OPEN: lets the kernel read a file by itself; an id, or EPERM without CAP_SYS_ADMIN. */
  backingOpen(device: Device, fd: number): number;
  /** FUSE_DEV_IOC_BACKING_CLOSE */
  backingClose(device: Device, id: number): number;
  close(device: Device): void;
}

let loaded: Addon | undefined;

/** In a checkout, node-gyp has built it. A package contains it. */
const addonFile = join(
  packageRoot,
  isPackage ? `native/prebuilds/${process.platform}-${process.arch}.node` : 'native/build/Release/fuse_device.node',
);

/** Throws `fuse-missing` if the addon was not built for this machine. */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux')
    throw new SyncmountError('fuse-missing', 'the kernel binding needs Linux; the native binding works here');
  try {
    loaded = requireInstalled(addonFile) as Addon;
    return loaded;
  } catch (cause) {
    const mend = isPackage
      ? 'the package is for another machine or damaged'
      : 'apt install build-essential, then npm run build:addon';
    throw new SyncmountError('fuse-missing', `the kernel binding is not built: ${mend}`, {
      cause,
      data: { reason: messageOf(cause) },
    });
  }
}

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** `EBUSY` for -16. */
export function errnoName(result: number): string {
  return names.get(-result) ?? `errno ${-result}`;
}

/** Negative errno values, for comparison with results of the addon. */
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
