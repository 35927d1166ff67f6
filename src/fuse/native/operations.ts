/** Translates each call of libfuse 2's path API into calls of the file system. It contains no policy. */
import type { Log } from '../../base/log.js';
import type { MaybePromise } from '../../base/maybe-promise.js';
import type { Filesystem, HandleId, Ino } from '../../filesystem/api.js';
import { FsError } from '../../filesystem/core/fs-error.js';
import { andThen, decodeOpenFlags, errnoOf, fileOffset, fileTypeBits, newNode, settle } from '../answers.js';
import type { NativeOperations } from './library.js';
import { isHiddenName, type Paths, type Place, requireUtf8 } from './paths.js';
import { toStat, toStatFs, toTimespec } from './stat.js';

/** (uid_t)-1 of chown(2): do not change the id. */
const unchangedId = 0xffff_ffff;

interface OpenFile {
  readonly handle: HandleId;
  readonly ino: Ino;
}

/** Numbers for open files. fuse-native passes on 32 bits of them, and 0 means none. */
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

  /** Removes all open files and returns them. */
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

/** `timesOf` finds both times of a utimens call, given the one time that fuse-native reports (times.ts). */
export function operations(
  { fs, paths, files, log }: Translation,
  timesOf: (reportedMs: number) => { atimeMs: number; mtimeMs: number },
): NativeOperations {
  /** Replies with a value. */
  function respond<T, R>(
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
  /** Replies with success, without a value. */
  function respondDone(operation: string, reply: (error: number) => void, work: () => MaybePromise<unknown>): void {
    respond(operation, reply, work, () => undefined);
  }
  /** Replies with a count of bytes, in the place of the error code. */
  function respondCount(operation: string, reply: (result: number) => void, work: () => MaybePromise<number>): void {
    settle(work, reply, (error) => reply(-errnoOf(error, operation, log)));
  }
  const onIno = <T>(path: string, next: (ino: Ino) => MaybePromise<T>): MaybePromise<T> =>
    andThen(paths.ino(path), next);
  const onPlace = <T>(path: string, next: (place: Place) => MaybePromise<T>): MaybePromise<T> =>
    andThen(paths.place(path), next);

  /** See paths.ts: when libfuse renames an open file to a hidden name, the caller wants it removed. */
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
    getattr: (path, reply) => respond('getattr', reply, () => paths.attributes(path), toStat),
    fgetattr: (_path, fd, reply) => respond('fgetattr', reply, () => fs.getattr(files.get(fd).ino), toStat),
    statfs: (_path, reply) => respond('statfs', reply, () => fs.statfs(), toStatFs),

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

    // The kernel computes the offset of an append, and writes mapped pages back through any handle.
    open: (path, flags, reply) =>
      respond(
        'open',
        reply,
        () =>
          onIno(path, (ino) =>
            andThen(fs.open(ino, { ...decodeOpenFlags(flags), append: false }), ({ handle }) => ({ handle, ino })),
          ),
        (file) => files.add(file),
      ),
    // fuse-native does not pass the flags on. The kernel has just seen that the name is free, so O_EXCL holds except in a
    // race. The kernel also computes the offsets of O_APPEND.
    create: (path, mode, reply) =>
      respond(
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
    mknod: (path, mode, dev, reply) =>
      respondDone('mknod', reply, () => {
        const node = newNode(mode, dev);
        return onPlace(path, ({ parent, name }) => fs.mknod(parent, name, node));
      }),
    symlink: (target, path, reply) =>
      respondDone('symlink', reply, () => {
        requireUtf8(target);
        return onPlace(path, ({ parent, name }) => fs.symlink(parent, name, Buffer.from(target)));
      }),
    readlink: (path, reply) =>
      settle(
        () => onIno(path, (ino) => fs.readlink(ino)),
        (target) => reply(0, Buffer.from(target).toString()),
        (error) => reply(-errnoOf(error, 'readlink', log), ''),
      ),

    read: (_path, fd, buffer, length, offset, reply) =>
      respondCount('read', reply, () => fs.read(files.get(fd).handle, buffer.subarray(0, length), offset)),
    write: (_path, fd, buffer, length, offset, reply) =>
      respondCount('write', reply, () =>
        fs.write(files.get(fd).handle, buffer.subarray(0, length), fileOffset(offset, length)),
      ),
    flush: (_path, fd, reply) => respondDone('flush', reply, () => fs.flush(files.get(fd).handle)),
    fsync: (_path, _datasync, fd, reply) => respondDone('fsync', reply, () => fs.fsync(files.get(fd).handle)),
    release: (_path, fd, reply) =>
      respondDone('release', reply, () => {
        const file = files.remove(fd);
        return file === undefined ? undefined : fs.release(file.handle);
      }),

    truncate: (path, size, reply) =>
      respondDone('truncate', reply, () => onIno(path, (ino) => fs.setattr(ino, { size: fileOffset(size) }))),
    ftruncate: (_path, fd, size, reply) =>
      respondDone('ftruncate', reply, () => {
        const { ino, handle } = files.get(fd);
        return fs.setattr(ino, { size: fileOffset(size), handle });
      }),
    utimens: (path, reportedMs, _same, reply) =>
      respondDone('utimens', reply, () => {
        const { atimeMs, mtimeMs } = timesOf(reportedMs);
        return onIno(path, (ino) => fs.setattr(ino, { atime: toTimespec(atimeMs), mtime: toTimespec(mtimeMs) }));
      }),
    chmod: (path, mode, reply) =>
      respondDone('chmod', reply, () => onIno(path, (ino) => fs.setattr(ino, { mode: mode & 0o7777 }))),
    chown: (path, uid, gid, reply) =>
      respondDone('chown', reply, () =>
        onIno(path, (ino) =>
          fs.setattr(ino, { ...(uid === unchangedId ? {} : { uid }), ...(gid === unchangedId ? {} : { gid }) }),
        ),
      ),

    mkdir: (path, mode, reply) =>
      respondDone('mkdir', reply, () => onPlace(path, ({ parent, name }) => fs.mkdir(parent, name, mode & 0o7777))),
    unlink: (path, reply) =>
      respondDone('unlink', reply, () =>
        onPlace(path, ({ parent, name }) => (paths.unhide(parent, name) ? undefined : fs.unlink(parent, name))),
      ),
    rmdir: (path, reply) =>
      respondDone('rmdir', reply, () =>
        onPlace(path, ({ parent, name }) => {
          paths.forget(parent, name);
          return fs.rmdir(parent, name);
        }),
      ),
    rename: (from, to, reply) =>
      respondDone('rename', reply, () => onPlace(from, (source) => onPlace(to, (target) => rename(source, target)))),
    link: (from, to, reply) =>
      respondDone('link', reply, () =>
        onIno(from, (ino) => onPlace(to, ({ parent, name }) => fs.link(ino, parent, name))),
      ),

    setxattr: (path, name, value, _position, flags, reply) =>
      respondDone('setxattr', reply, () => {
        // The kernel would not check permissions by the ACL: it negotiates that only with libfuse 3.
        if (name.startsWith('system.posix_acl_')) throw new FsError('ENOTSUP', 'libfuse 2 has no ACLs');
        const mode = flags === xattrFlags.create ? 'create' : flags === xattrFlags.replace ? 'replace' : 'either';
        // Copied, because libfuse frees the memory after the reply.
        return onIno(path, (ino) => fs.setxattr(ino, name, Uint8Array.from(value), { mode }));
      }),
    getxattr: (path, name, _position, reply) =>
      respond(
        'getxattr',
        reply,
        () =>
          andThen(
            onIno(path, (ino) => fs.getxattr(ino, name)),
            (value) => {
              if (value === undefined) throw new FsError('ENODATA', `no attribute ${name}`);
              return value;
            },
          ),
        (value) => Buffer.from(value),
      ),
    listxattr: (path, reply) =>
      respond(
        'listxattr',
        reply,
        () => onIno(path, (ino) => fs.listxattr(ino)),
        (names) => [...names],
      ),
    removexattr: (path, name, reply) =>
      respondDone('removexattr', reply, () => onIno(path, (ino) => fs.removexattr(ino, name))),
  };
}

/** XATTR_CREATE and XATTR_REPLACE of setxattr(2). macOS has other values. */
const xattrFlags = process.platform === 'darwin' ? { create: 2, replace: 4 } : { create: 1, replace: 2 };
