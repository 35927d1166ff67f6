/** Every call of libfuse 2's path API, translated into calls of the file system. No policy lives here. */
import type { Log } from '../../base/log.js';
import type { MaybePromise } from '../../base/maybe-promise.js';
import type { Filesystem, HandleId, Ino } from '../../filesystem/api.js';
import { FsError } from '../../filesystem/core/fs-error.js';
import { andThen, decodeOpenFlags, errnoOf, fileOffset, fileTypeBits, settle } from '../answers.js';
import type { NativeOperations } from './library.js';
import { isHiddenName, type Paths, type Place } from './paths.js';
import { toStat, toStatFs, toTimespec } from './stat.js';

const fileTypeMask = 0o170000;
/** (uid_t)-1 of chown(2): leave it as it is. */
const unchangedId = 0xffff_ffff;

interface OpenFile {
  readonly handle: HandleId;
  readonly ino: Ino;
}

/** Our own small numbers for open files: fuse-native carries 32 bits of them, and takes 0 for none. */
export class OpenFiles {
  readonly #files = new Map<number, OpenFile>();
  #last = 0;

  add(file: OpenFile): number {
    do this.#last = this.#last >= 0x7fff_ffff ? 1 : this.#last + 1;
    while (this.#files.has(this.#last));
    this.#files.set(this.#last, file);
    return this.#last;
  }

  get(fd: number): OpenFile {
    const file = this.#files.get(fd);
    if (file === undefined) throw new FsError('EBADF', `no open file ${fd}`);
    return file;
  }

  remove(fd: number): OpenFile | undefined {
    const file = this.#files.get(fd);
    this.#files.delete(fd);
    return file;
  }

  isOpen(ino: Ino): boolean {
    for (const file of this.#files.values()) if (file.ino === ino) return true;
    return false;
  }

  /** Everything still open, which no longer is afterwards. */
  drain(): OpenFile[] {
    const files = [...this.#files.values()];
    this.#files.clear();
    return files;
  }
}

export interface Translation {
  readonly fs: Filesystem;
  readonly paths: Paths;
  readonly files: OpenFiles;
  readonly log: Log;
}

/** `timesOf` is given the time that fuse-native hands over and finds both (times.ts). */
export function operations(
  { fs, paths, files, log }: Translation,
  timesOf: (handedMs: number) => { atimeMs: number; mtimeMs: number },
): NativeOperations {
  /** Answers with a value. */
  function give<T, R>(
    operation: string,
    reply: (error: number, value?: R) => void,
    work: () => MaybePromise<T>,
    convert: (value: T) => R,
  ): void {
    settle(
      work,
      (value) => reply(0, convert(value)),
      (error) => reply(-errnoOf(error, operation, log)),
    );
  }
  /** Answers with success only. */
  function act(operation: string, reply: (error: number) => void, work: () => MaybePromise<unknown>): void {
    give(operation, reply, work, () => undefined);
  }
  /** Answers with a count of bytes, which takes the place of the error. */
  function count(operation: string, reply: (result: number) => void, work: () => MaybePromise<number>): void {
    settle(work, reply, (error) => reply(-errnoOf(error, operation, log)));
  }
  const onIno = <T>(path: string, next: (ino: Ino) => MaybePromise<T>): MaybePromise<T> =>
    andThen(paths.ino(path), next);
  const onPlace = <T>(path: string, next: (place: Place) => MaybePromise<T>): MaybePromise<T> =>
    andThen(paths.place(path), next);
  const notPermitted = (what: string) => (): never => {
    throw new FsError('EPERM', `a cloud account holds no ${what}`);
  };

  /** See paths.ts: what libfuse renames away because it is open is in truth to be removed. */
  function rename(from: Place, to: Place): MaybePromise<void> {
    if (!isHiddenName(to.name) || to.parent !== from.parent) return move(from, to);
    return andThen(fs.lookup(from.parent, from.name), (found) => {
      if (found === undefined || !files.isOpen(found.ino)) return move(from, to);
      return andThen(fs.unlink(from.parent, from.name), () => paths.hide(to.parent, to.name, found.ino));
    });
  }
  function move(from: Place, to: Place): MaybePromise<void> {
    paths.forget(from.parent, from.name);
    paths.forget(to.parent, to.name);
    return fs.rename(from.parent, from.name, to.parent, to.name, { noReplace: false, exchange: false });
  }

  return {
    getattr: (path, reply) => give('getattr', reply, () => paths.attributes(path), toStat),
    fgetattr: (_path, fd, reply) => give('fgetattr', reply, () => fs.getattr(files.get(fd).ino), toStat),
    statfs: (_path, reply) => give('statfs', reply, () => fs.statfs(), toStatFs),

    readdir: (path, reply) =>
      settle(
        () => onIno(path, (ino) => andThen(fs.readdir(ino), (entries) => ({ ino, entries }))),
        ({ ino, entries }) => {
          const names = ['.', '..'];
          const stats: { ino: Ino; mode: number }[] = [
            { ino, mode: fileTypeBits.directory },
            { ino: fs.parentOf(ino), mode: fileTypeBits.directory },
          ];
          for (const { name, attributes } of entries) {
            names.push(name);
            stats.push({ ino: attributes.ino, mode: fileTypeBits[attributes.kind] });
          }
          reply(0, names, stats);
        },
        (error) => reply(-errnoOf(error, 'readdir', log)),
      ),

    // The kernel works out where an append goes, and writes pages of mappings back through any handle.
    open: (path, flags, reply) =>
      give(
        'open',
        reply,
        () =>
          onIno(path, (ino) =>
            andThen(fs.open(ino, { ...decodeOpenFlags(flags), append: false }), ({ handle }) => ({ handle, ino })),
          ),
        (file) => files.add(file),
      ),
    // The flags do not come along. The kernel has just seen that the name is free, so O_EXCL is met but for a race, and
    // it works out O_APPEND's offsets itself.
    create: (path, mode, reply) =>
      give(
        'create',
        reply,
        () =>
          onPlace(path, ({ parent, name }) =>
            fs.create(parent, name, mode & 0o7777, {
              read: true,
              write: true,
              append: false,
              truncate: false,
              exclusive: false,
            }),
          ),
        ({ handle, attributes }) => files.add({ handle, ino: attributes.ino }),
      ),
    mknod: (path, mode, _dev, reply) =>
      act('mknod', reply, () => {
        if ((mode & fileTypeMask) !== fileTypeBits.file) return notPermitted('devices, pipes or sockets')();
        return onPlace(path, ({ parent, name }) => {
          const flags = { read: false, write: true, append: false, truncate: false, exclusive: true };
          return andThen(fs.create(parent, name, mode & 0o7777, flags), ({ handle }) =>
            andThen(fs.flush(handle), () => fs.release(handle)),
          );
        });
      }),

    read: (_path, fd, buffer, length, offset, reply) =>
      count('read', reply, () => fs.read(files.get(fd).handle, buffer.subarray(0, length), offset)),
    write: (_path, fd, buffer, length, offset, reply) =>
      count('write', reply, () =>
        fs.write(files.get(fd).handle, buffer.subarray(0, length), fileOffset(offset, length)),
      ),
    flush: (_path, fd, reply) => act('flush', reply, () => fs.flush(files.get(fd).handle)),
    fsync: (_path, _datasync, fd, reply) => act('fsync', reply, () => fs.fsync(files.get(fd).handle)),
    release: (_path, fd, reply) =>
      act('release', reply, () => {
        const file = files.remove(fd);
        return file === undefined ? undefined : fs.release(file.handle);
      }),

    truncate: (path, size, reply) =>
      act('truncate', reply, () => onIno(path, (ino) => fs.setattr(ino, { size: fileOffset(size) }))),
    ftruncate: (_path, fd, size, reply) =>
      act('ftruncate', reply, () => {
        const { ino, handle } = files.get(fd);
        return fs.setattr(ino, { size: fileOffset(size), handle });
      }),
    utimens: (path, handedMs, _same, reply) =>
      act('utimens', reply, () => {
        const { atimeMs, mtimeMs } = timesOf(handedMs);
        return onIno(path, (ino) => fs.setattr(ino, { atime: toTimespec(atimeMs), mtime: toTimespec(mtimeMs) }));
      }),
    chmod: (path, mode, reply) =>
      act('chmod', reply, () => onIno(path, (ino) => fs.setattr(ino, { mode: mode & 0o7777 }))),
    chown: (path, uid, gid, reply) =>
      act('chown', reply, () =>
        onIno(path, (ino) =>
          fs.setattr(ino, { ...(uid === unchangedId ? {} : { uid }), ...(gid === unchangedId ? {} : { gid }) }),
        ),
      ),

    mkdir: (path, mode, reply) =>
      act('mkdir', reply, () => onPlace(path, ({ parent, name }) => fs.mkdir(parent, name, mode & 0o7777))),
    unlink: (path, reply) =>
      act('unlink', reply, () =>
        onPlace(path, ({ parent, name }) => (paths.unhide(parent, name) ? undefined : fs.unlink(parent, name))),
      ),
    rmdir: (path, reply) =>
      act('rmdir', reply, () =>
        onPlace(path, ({ parent, name }) => {
          paths.forget(parent, name);
          return fs.rmdir(parent, name);
        }),
      ),
    rename: (from, to, reply) =>
      act('rename', reply, () => onPlace(from, (source) => onPlace(to, (target) => rename(source, target)))),
    link: (_from, _to, reply) => act('link', reply, notPermitted('hard links')),
    symlink: (_target, _path, reply) => act('symlink', reply, notPermitted('symbolic links')),

    setxattr: (path, name, value, _position, flags, reply) =>
      act('setxattr', reply, () => {
        const mode = flags === xattrFlags.create ? 'create' : flags === xattrFlags.replace ? 'replace' : 'either';
        // The memory belongs to libfuse and is gone after the reply.
        return onIno(path, (ino) => fs.setxattr(ino, name, Uint8Array.from(value), mode));
      }),
    getxattr: (path, name, _position, reply) =>
      give(
        'getxattr',
        reply,
        () => onIno(path, (ino) => fs.getxattr(ino, name)),
        (value) => Buffer.from(value),
      ),
    listxattr: (path, reply) =>
      give(
        'listxattr',
        reply,
        () => onIno(path, (ino) => fs.listxattr(ino)),
        (names) => [...names],
      ),
    removexattr: (path, name, reply) =>
      act('removexattr', reply, () => onIno(path, (ino) => fs.removexattr(ino, name))),
  };
}

/** XATTR_CREATE and XATTR_REPLACE of setxattr(2); macOS counts them otherwise. */
const xattrFlags = process.platform === 'darwin' ? { create: 2, replace: 4 } : { create: 1, replace: 2 };
