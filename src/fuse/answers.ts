/** Helpers of both bindings for the results and errors of a `Filesystem`. */
import { constants as fsConstants } from 'node:fs';
import type { Log } from '../base/log.js';
import { isPromise, type MaybePromise } from '../base/maybe-promise.js';
import type { Attributes, NewNode, NodeKind, OpenFlags } from '../filesystem/api.js';
import { FsError } from '../filesystem/core/fs-error.js';

const EIO = 5;

/** The positive errno for the kernel. An error other than `FsError` is a bug of ours: it is logged, and becomes EIO. */
export function errnoOf(error: unknown, operation: string, log: Log): number {
  if (error instanceof FsError) return error.errno;
  log.error({ operation, err: error }, 'a file system call failed in an unexpected way');
  return EIO;
}

/** Runs `work` and passes on its value or its error: synchronously, unless the value is a promise. */
export function settle<T>(
  work: () => MaybePromise<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  let value: MaybePromise<T>;
  try {
    value = work();
  } catch (error) {
    failed(error);
    return;
  }
  if (isPromise(value)) value.then(done, failed);
  else done(value);
}

/** Calls `next` with a value that may be a promise. (Not named `then`: that would make this module a thenable.) */
export function andThen<A, B>(value: MaybePromise<A>, next: (value: A) => MaybePromise<B>): MaybePromise<B> {
  return isPromise(value) ? value.then(next) : next(value);
}

/**
 * Checks a 64-bit position or length. Throws EFBIG from 2^53 on, where a JavaScript number is no longer exact; also for a
 * range of `length` bytes that ends there.
 */
export function fileOffset(value: number, length = 0): number {
  if (value + length > Number.MAX_SAFE_INTEGER) throw new FsError('EFBIG', 'a file ends before 2^53');
  return value;
}

/** open(2)'s flags, without those that the kernel handles itself (O_DIRECTORY, O_CLOEXEC, O_NOFOLLOW …). */
export function decodeOpenFlags(flags: number): OpenFlags {
  const mode = flags & (fsConstants.O_RDONLY | fsConstants.O_WRONLY | fsConstants.O_RDWR);
  return {
    read: mode !== fsConstants.O_WRONLY,
    write: mode !== fsConstants.O_RDONLY,
    append: (flags & fsConstants.O_APPEND) !== 0,
    truncate: (flags & fsConstants.O_TRUNC) !== 0,
    exclusive: (flags & fsConstants.O_EXCL) !== 0,
    // O_SYNC includes the bit of O_DSYNC.
    sync: (flags & fsConstants.O_DSYNC) !== 0,
    direct: (flags & fsConstants.O_DIRECT) !== 0,
  };
}

/** The file types of inode(7): S_IFDIR and so on. */
export const fileTypeBits: Readonly<Record<NodeKind, number>> = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

/** st_blksize */
export const blockSize = 4096;

/** Units of st_blocks in a block: it counts 512 bytes, whatever the block size: stat(2). */
const unitsInBlock = blockSize / 512;

/** st_blocks, as on a disk: a file takes whole blocks. Holes count, because the service stores their bytes. Other kinds take none. */
export function blocksOf({ kind, size }: Pick<Attributes, 'kind' | 'size'>): number {
  return kind === 'file' ? Math.ceil(size / blockSize) * unitsInBlock : 0;
}

/** S_IFMT */
const fileTypeMask = 0o170000;
const makeable = ['file', 'fifo', 'socket', 'character-device', 'block-device'] as const;

/** Decodes the arguments of mknod(2). Throws EINVAL for a type that mknod(2) does not make. */
export function newNode(mode: number, rdev: number): NewNode {
  const kind = makeable.find((one) => fileTypeBits[one] === (mode & fileTypeMask));
  if (kind === undefined) throw new FsError('EINVAL', 'not a type that mknod(2) makes');
  const isDevice = kind === 'character-device' || kind === 'block-device';
  return { kind, mode: mode & 0o7777, rdev: isDevice ? rdev : 0 };
}
