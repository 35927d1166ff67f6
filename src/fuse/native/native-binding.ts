/**
 * The binding over npm's fuse-native, which uses libfuse 2's path API. It is for macOS, and for Linux machines on which the
 * kernel binding cannot be built.
 *
 * libfuse 2 or fuse-native sets these limits:
 * - neither of the two times can be set alone (so `touch -m`, `tar x` and `rsync -t` lose modification times), and no time
 *   can be before 1970 or finer than a millisecond;
 * - the caller is unknown, so new objects belong to the mount's owner; a call cannot be interrupted;
 * - the kernel sees a remote change only after 1 s, and does not keep its pages from one open to the next;
 * - no renameat2, fallocate, SEEK_HOLE, requests over 128 KiB, or inode numbers over 32 bits;
 * - O_EXCL and O_APPEND are not passed on at creation; the threads' memory is not freed at unmount.
 */
import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { messageOf, SyncmountError } from '../../base/errors.js';
import type { Filesystem } from '../../filesystem/api.js';
import { settle } from '../answers.js';
import { type Binding, type BindingOptions, fuseSubtype, type Mounted } from '../binding.js';
import { checkDevice } from '../device.js';
import { isMounted, type MountEntry, mountAt } from '../mount-table.js';
import { unmountByProgram } from '../programs.js';
import { loadNative, type NativeFuse, type NativeHandler, probeNative } from './library.js';
import { OpenFiles, operations, type Translation } from './operations.js';
import { Paths } from './paths.js';
import { readTimes } from './times.js';

/** How often we check whether another program has unmounted us, ms: libfuse does not report it. */
const watchIntervalMs = 1000;

/** `op_utimens` of fuse-native.c. */
const opUtimens = 12;

/** The options as one `-o` string. libfuse 2 splits it at commas; a backslash escapes the next character (fuse_opt.c). */
export function mountOptions(options: BindingOptions): string {
  const quote = (value: string): string => value.replace(/[\\,]/g, '\\$&');
  return `-o${[
    `fsname=${quote(options.source)}`,
    `subtype=${fuseSubtype}`,
    'default_permissions',
    // Writes of up to 128 KiB instead of 4 KiB.
    'big_writes',
    // st_ino and d_ino are our inode numbers, not libfuse's counter.
    'use_ino',
    // This binding cannot invalidate the kernel's caches, so every entry in them expires after 1 s.
    'entry_timeout=1',
    'attr_timeout=1',
    ...(options.readOnly ? ['ro'] : []),
    ...options.flags,
    ...(options.allowOther ? ['allow_other'] : []),
  ].join(',')}`;
}

/** A NativeFuse. We replace the handlers that are faulty or incomplete in fuse-native; see library.ts. */
function createFuse(translation: Translation, options: BindingOptions): NativeFuse {
  const Library = loadNative();
  let locals: Buffer | undefined;
  const ops = operations(translation, (reportedMs) => readTimes(locals, reportedMs));
  // By default every operation fails with ETIMEDOUT after 15 s, also a close that waits for its upload.
  const fuse = new Library(options.mountpoint, ops, { timeout: false });
  fuse._fuseOptions = () => mountOptions(options);

  const utimens = fuse._handlers[opUtimens];
  if (utimens !== undefined) {
    const withLocals: NativeHandler = (threadLocals, ...rest) => {
      locals = threadLocals;
      try {
        return utimens(threadLocals, ...rest);
      } finally {
        locals = undefined;
      }
    };
    fuse._handlers[opUtimens] = withLocals;
  }

  // index.js calls `getattr` with the path, but an unlinked file no longer has one.
  const getattr = fuse._op_getattr;
  fuse._op_fgetattr = (signal, path, fd) =>
    getattr.call({ ops: { getattr: (_: string, reply: never) => ops.fgetattr(path, fd, reply) } }, signal, path);

  // index.js copies without checking the buffer's size, and makes lists 128 bytes too long.
  fuse._op_getxattr = (signal, path, name, into) =>
    ops.getxattr(path, name, 0, (error, value) => signal(error || copyInto(into, value), into.buffer));
  fuse._op_listxattr = (signal, path, into) =>
    ops.listxattr(path, (error, names) => {
      const list = Buffer.from((names ?? []).map((name) => `${name}\0`).join(''));
      signal(error || copyInto(into, list), into.buffer);
    });
  return fuse;
}

/** As getxattr(2): returns the length for an empty buffer, and ERANGE for one that is too small. */
function copyInto(into: Buffer, value: Buffer | undefined): number {
  if (value === undefined) return 0;
  if (into.length === 0) return value.length;
  if (into.length < value.length) return -constants.errno.ERANGE;
  value.copy(into);
  return value.length;
}

class NativeMount implements Mounted {
  readonly ended: Promise<void>;
  readonly mountpoint: string;
  readonly #fuse: NativeFuse;
  readonly #translation: Translation;
  readonly #unsubscribe: () => void;
  #resolveEnded: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #unmounted = false;

  constructor(fuse: NativeFuse, translation: Translation, mountpoint: string, entry: MountEntry | undefined) {
    this.#fuse = fuse;
    this.#translation = translation;
    this.mountpoint = mountpoint;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#unsubscribe = translation.fs.onInvalidate((what) => {
      if (what.kind === 'entry') translation.paths.forget(what.parent, what.name);
    });
    // Without an entry in the mount table (macOS) there is nothing to watch.
    if (entry !== undefined) this.#watch(entry);
  }

  async unmount(): Promise<void> {
    if (!this.#unmounted) await unmountByProgram(this.mountpoint, { lazy: false });
    await this.#finish();
  }

  async detach(): Promise<void> {
    if (!this.#unmounted) await unmountByProgram(this.mountpoint, { lazy: true });
    await this.#finish();
  }

  #watch(entry: MountEntry): void {
    this.#timer = setTimeout(() => {
      isMounted(entry).then(
        (mounted) => (mounted && !this.#unmounted ? this.#watch(entry) : this.#finish()),
        () => this.#watch(entry),
      );
    }, watchIntervalMs);
    this.#timer.unref();
  }

  async #finish(): Promise<void> {
    if (!this.#unmounted) {
      this.#unmounted = true;
      clearTimeout(this.#timer);
      this.#unsubscribe();
      // Lets the process end. fuse-native never frees the memory that libfuse's thread uses.
      this.#fuse.unmount(() => {});
      const { fs, files, log } = this.#translation;
      // The kernel drops the releases that are in flight at an unmount, so we release all files here.
      const releases = files.drain().map(
        ({ handle }) =>
          new Promise<void>((resolve) => {
            settle(
              () => fs.release(handle),
              () => resolve(),
              (error) => {
                log.error({ handle, err: error }, 'release failed');
                resolve();
              },
            );
          }),
      );
      await Promise.all(releases);
      this.#resolveEnded();
    }
    await this.ended;
  }
}

async function mountNative(fs: Filesystem, options: BindingOptions): Promise<Mounted> {
  const translation: Translation = { fs, paths: new Paths(fs), files: new OpenFiles(), log: options.log };
  // libfuse 2 is older than this flag of Linux.
  if (options.flags.includes('nosymfollow'))
    throw new SyncmountError('mount-failed', 'nosymfollow: the native binding does not know it; --binding kernel does');
  const fuse = createFuse(translation, options);
  await checkDevice();
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null) resolve();
      // libfuse writes the reason to stderr itself, and reports only that it failed.
      else
        reject(
          new SyncmountError('mount-failed', `cannot mount on ${options.mountpoint}: ${messageOf(error)}`, {
            cause: error,
          }),
        );
    });
  });
  const entry = process.platform === 'linux' ? await mountAt(options.mountpoint) : undefined;
  const mounted = new NativeMount(fuse, translation, options.mountpoint, entry);
  try {
    // INIT has been answered. This call proves that others are answered too.
    await stat(options.mountpoint);
  } catch (cause) {
    await mounted.detach();
    throw new SyncmountError('mount-failed', `${options.mountpoint} does not answer: ${messageOf(cause)}`, { cause });
  }
  return mounted;
}

export const nativeBinding: Binding = { name: 'native', sharesPages: true, probe: probeNative, mount: mountNative };
