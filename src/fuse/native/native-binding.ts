/**
 * The binding over npm's fuse-native, that is libfuse 2's path API: for macOS, and for Linux where the kernel binding
 * cannot be built.
 *
 * What it cannot do, because libfuse 2 or fuse-native cannot: set one of the two times alone (so `touch -m`, `tar x` and
 * `rsync -t` lose modification times), times before 1970 or finer than a millisecond; know who calls, so that new objects
 * belong to the mount's owner; interrupt a call; learn of a remote change sooner than after 1 s; keep the kernel's pages
 * from one open to the next; renameat2, fallocate, SEEK_HOLE; requests over 128 KiB; inode numbers over 32 bits; tell
 * O_EXCL and O_APPEND at creation; let go of its threads' memory at unmount.
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

/** How soon an unmount by someone else is noticed: libfuse tells nobody. */
const watchIntervalMs = 1000;

/** `op_utimens` of fuse-native.c. */
const opUtimens = 12;

/** One `-o` string. libfuse 2 splits at commas; a backslash takes away the meaning of the next character (fuse_opt.c). */
export function mountOptions(options: BindingOptions): string {
  const quote = (value: string): string => value.replace(/[\\,]/g, '\\$&');
  return `-o${[
    `fsname=${quote(options.source)}`,
    `subtype=${fuseSubtype}`,
    'default_permissions',
    // Writes of up to 128 KiB instead of 4 KiB.
    'big_writes',
    // st_ino and d_ino are ours, not libfuse's counter.
    'use_ino',
    // The kernel cannot be told about changes here, so what it keeps must soon end by itself: 1 s for everything.
    'entry_timeout=1',
    'attr_timeout=1',
    ...(options.readOnly ? ['ro'] : []),
    ...(options.allowOther ? ['allow_other'] : []),
  ].join(',')}`;
}

/** Replaces what fuse-native does wrong or leaves out; see library.ts. */
function createFuse(translation: Translation, options: BindingOptions): NativeFuse {
  const Library = loadNative();
  let locals: Buffer | undefined;
  const ops = operations(translation, (handedMs) => readTimes(locals, handedMs));
  // With its default every operation fails with ETIMEDOUT after 15 s, an upload on close included.
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

  // index.js asks `getattr` by path instead; the path of an unlinked file leads nowhere.
  const getattr = fuse._op_getattr;
  fuse._op_fgetattr = (signal, path, fd) =>
    getattr.call({ ops: { getattr: (_: string, reply: never) => ops.fgetattr(path, fd, reply) } }, signal, path);

  // index.js copies without looking at the room there is, and makes lists 128 bytes longer than they are.
  fuse._op_getxattr = (signal, path, name, into) =>
    ops.getxattr(path, name, 0, (error, value) => signal(error || fill(into, value), into.buffer));
  fuse._op_listxattr = (signal, path, into) =>
    ops.listxattr(path, (error, names) => {
      const list = Buffer.from((names ?? []).map((name) => `${name}\0`).join(''));
      signal(error || fill(into, list), into.buffer);
    });
  return fuse;
}

/** getxattr(2): the length where nothing is to be filled, ERANGE where the room is too small. */
function fill(into: Buffer, value: Buffer | undefined): number {
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
  #gone = false;

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
    // Without an entry in the table (macOS) there is nothing to watch.
    if (entry !== undefined) this.#watch(entry);
  }

  async unmount(): Promise<void> {
    if (!this.#gone) await unmountByProgram(this.mountpoint, { lazy: false });
    await this.#finish();
  }

  async detach(): Promise<void> {
    if (!this.#gone) await unmountByProgram(this.mountpoint, { lazy: true });
    await this.#finish();
  }

  #watch(entry: MountEntry): void {
    this.#timer = setTimeout(() => {
      isMounted(entry).then(
        (mounted) => (mounted && !this.#gone ? this.#watch(entry) : this.#finish()),
        () => this.#watch(entry),
      );
    }, watchIntervalMs);
    this.#timer.unref();
  }

  async #finish(): Promise<void> {
    if (!this.#gone) {
      this.#gone = true;
      clearTimeout(this.#timer);
      this.#unsubscribe();
      // Lets the process end; what libfuse's thread still uses is never freed (fuse-native keeps it).
      this.#fuse.unmount(() => {});
      const { fs, files, log } = this.#translation;
      // The kernel drops releases that are under way when a mount goes.
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
  const fuse = createFuse(translation, options);
  await checkDevice();
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null) resolve();
      // libfuse writes the reason to stderr itself and reports only that there was one.
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
    // INIT is answered; this makes sure that calls come through as well.
    await stat(options.mountpoint);
  } catch (cause) {
    await mounted.detach();
    throw new SyncmountError('mount-failed', `${options.mountpoint} does not answer: ${messageOf(cause)}`, { cause });
  }
  return mounted;
}

export const nativeBinding: Binding = { name: 'native', sharesPages: true, probe: probeNative, mount: mountNative };
