/**
 * Loads fuse-native 2.2.6 (CommonJS, without types, an optional dependency), and declares the parts that the binding uses.
 *
 * Members with an underscore are internal to the package. We rely on them because its public options are not enough. Therefore
 * the dependency is pinned to the exact version whose source we have read.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import { requireInstalled } from '../../base/installation.js';
import type { Probe } from '../binding.js';
import { checkDevice } from '../device.js';
import { type Addon, loadAddon } from '../kernel/addon.js';
import { findProgram, isRoot } from '../programs.js';

/** fuse-native makes a `struct stat` of it. Numbers have 32 bits (the size has more), times are whole milliseconds since 1970. */
export interface NativeStat {
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
}

export interface NativeStatFs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly favail: number;
  readonly namemax: number;
}

/** `error` is 0 or a negative errno. `read` and `write` pass the count of bytes in it. */
type Reply = (error: number) => void;
type ReplyWith<T> = (error: number, value?: T) => void;

/** The operations that we implement, as fuse-native's index.js calls them. We choose `fd`: 32 bits, never 0. */
export interface NativeOperations {
  getattr(path: string, reply: ReplyWith<NativeStat>): void;
  /** Declared so that libfuse asks by descriptor. index.js would then call `getattr`, so `_op_fgetattr` is replaced. */
  fgetattr(path: string, fd: number, reply: ReplyWith<NativeStat>): void;
  statfs(path: string, reply: ReplyWith<NativeStatFs>): void;
  readdir(path: string, reply: (error: number, names?: string[], stats?: Partial<NativeStat>[]) => void): void;
  open(path: string, flags: number, reply: ReplyWith<number>): void;
  create(path: string, mode: number, reply: ReplyWith<number>): void;
  /** `target` must be a string in every answer: fuse-native reads it even after an error. */
  readlink(path: string, reply: (error: number, target: string) => void): void;
  mknod(path: string, mode: number, dev: number, reply: Reply): void;
  read(path: string, fd: number, buffer: Buffer, length: number, offset: number, reply: Reply): void;
  write(path: string, fd: number, buffer: Buffer, length: number, offset: number, reply: Reply): void;
  flush(path: string, fd: number, reply: Reply): void;
  fsync(path: string, datasync: number, fd: number, reply: Reply): void;
  release(path: string, fd: number, reply: Reply): void;
  truncate(path: string, size: number, reply: Reply): void;
  ftruncate(path: string, fd: number, size: number, reply: Reply): void;
  utimens(path: string, atimeMs: number, mtimeMs: number, reply: Reply): void;
  chmod(path: string, mode: number, reply: Reply): void;
  chown(path: string, uid: number, gid: number, reply: Reply): void;
  mkdir(path: string, mode: number, reply: Reply): void;
  unlink(path: string, reply: Reply): void;
  rmdir(path: string, reply: Reply): void;
  rename(from: string, to: string, reply: Reply): void;
  link(from: string, to: string, reply: Reply): void;
  symlink(target: string, path: string, reply: Reply): void;
  setxattr(path: string, name: string, value: Buffer, position: number, flags: number, reply: Reply): void;
  getxattr(path: string, name: string, position: number, reply: ReplyWith<Buffer>): void;
  listxattr(path: string, reply: ReplyWith<string[]>): void;
  removexattr(path: string, name: string, reply: Reply): void;
}

/** `locals` is a Buffer over the calling thread's C struct `fuse_thread_locals_t`. */
export type NativeHandler = (locals: Buffer, opcode: number, ...rest: unknown[]) => unknown;

export interface NativeFuse {
  mount(callback: (error: Error | null) => void): void;
  unmount(callback: (error: Error | null) => void): void;
  _fuseOptions(): string;
  _handlers: NativeHandler[];
  _op_fgetattr(signal: (error: number, stat?: Uint32Array) => void, path: string, fd: number): void;
  _op_getattr(signal: (error: number, stat?: Uint32Array) => void, path: string): void;
  _op_getxattr(signal: (error: number, value: ArrayBufferLike) => void, path: string, name: string, into: Buffer): void;
  _op_listxattr(signal: (error: number, list: ArrayBufferLike) => void, path: string, into: Buffer): void;
}

export interface NativeLibrary {
  new (mountpoint: string, operations: NativeOperations, options: { timeout: false }): NativeFuse;
  /** The package's `unmount()` calls it first. We replace it, because it always unmounts lazily. */
  unmount(mountpoint: string, callback: (error: Error | null) => void): void;
}

/** The compiled part of fuse-native, which its index.js calls by these names. */
interface NativeCode {
  /** Starts libfuse's threads. */
  fuse_native_mount(...args: readonly unknown[]): unknown;
}

/** A one-line error that says what to install. */
export function missingLibrary(cause: unknown): SyncmountError {
  const message = messageOf(cause);
  const line = /libfuse\.so/.test(message)
    ? 'libfuse 2 is not installed: apt install libfuse2'
    : /osxfuse|macfuse/i.test(message)
      ? 'macFUSE is not installed: brew install --cask macfuse'
      : codeOf(cause) === 'MODULE_NOT_FOUND'
        ? 'the npm package fuse-native is not installed: npm install fuse-native@2.2.6'
        : `fuse-native cannot be loaded: ${message.split('\n')[0]}`;
  return new SyncmountError('fuse-missing', line, { cause });
}

let loaded: NativeLibrary | undefined;

export function loadNative(): NativeLibrary {
  if (loaded !== undefined) return loaded;
  try {
    const library: NativeLibrary = requireInstalled('fuse-native');
    // The package's own function runs `fusermount -uz`. We have unmounted ourselves before.
    library.unmount = (_mountpoint, callback) => callback(null);
    keepSignalsFromThreads();
    loaded = library;
    return library;
  } catch (error) {
    throw missingLibrary(error);
  }
}

/**
 * At an unmount libfuse cancels its threads. A thread that runs libuv's handler of SIGCHLD at that moment dies while it holds libuv's
 * signal lock. After that, the process never learns of the end of a child. So the mounting thread blocks signals while libfuse starts its
 * first thread, which inherits the mask and passes it on to later threads. Without the addon nothing can block signals.
 */
function keepSignalsFromThreads(): void {
  let withSignalsBlocked: Addon['withSignalsBlocked'];
  try {
    ({ withSignalsBlocked } = loadAddon());
  } catch (error) {
    if (codeOf(error) !== 'fuse-missing') throw error;
  }
  if (withSignalsBlocked === undefined) return;
  const block = withSignalsBlocked;
  const index = requireInstalled.resolve('fuse-native');
  // Loaded in the same way as in index.js, so it is the same object.
  const code: NativeCode = createRequire(index)('node-gyp-build')(dirname(index));
  const mount = code.fuse_native_mount;
  code.fuse_native_mount = (...args) => block(() => mount(...args));
}

export async function probeNative(): Promise<Probe> {
  try {
    loadNative();
    await checkDevice();
    // libfuse 2 calls the helper only by this name. Root mounts without a helper.
    if (process.platform === 'linux' && !isRoot() && (await findProgram('fusermount')) === undefined)
      return { ok: false, message: 'fusermount is not installed: apt install fuse3' };
    return { ok: true, message: 'fuse-native 2.2.6 over libfuse 2' };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}
