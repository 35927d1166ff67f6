import { constants } from 'node:os';
import { SyncmountError } from '../../base/errors.js';

/** The errno names that the file system answers with. */
export type ErrnoName =
  | 'E2BIG'
  | 'EACCES'
  | 'EAGAIN'
  | 'EBADF'
  | 'EBUSY'
  | 'EDQUOT'
  | 'EEXIST'
  | 'EFBIG'
  | 'EILSEQ'
  | 'EINTR'
  | 'EINVAL'
  | 'EIO'
  | 'EISDIR'
  | 'ELOOP'
  | 'ENAMETOOLONG'
  | 'ENETUNREACH'
  | 'ENFILE'
  | 'ENODATA'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'ENOTDIR'
  | 'ENOTEMPTY'
  | 'ENOTSUP'
  | 'ENXIO'
  | 'EPERM'
  | 'ERANGE'
  | 'EROFS'
  | 'ESTALE'
  | 'EXDEV';

const numbers: Readonly<Record<string, number>> = constants.errno;

/**
 * An error answer to the kernel: `code` is the errno's name, `errno` its (positive) number on this system.
 *
 * It has no stack of its own: most are ordinary answers (ENOENT, many thousand a second), and taking a stack costs ten
 * times the rest of the call. The error below, in `cause`, has its own.
 */
export class FsError extends SyncmountError {
  declare readonly code: ErrnoName;
  readonly errno: number;

  constructor(code: ErrnoName, message: string, options: { cause?: unknown; data?: Record<string, unknown> } = {}) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(code, message, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.errno = numbers[code] ?? 5;
  }
}
