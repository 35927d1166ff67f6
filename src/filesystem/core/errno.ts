/** The one place where an error of a lower layer becomes an errno. */
import { codeOf, messageOf } from '../../base/errors.js';
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.js';
import { type ErrnoName, FsError } from './fs-error.js';

/**
 * The errno for each provider error. `auth` is EACCES, not EIO: nothing is broken, the person has to log in again.
 * `network`, `timeout` and `rate-limited` arrive only after the provider's deadline, so a program may take them as
 * final; EAGAIN would make some programs try for ever. A `rate-limited` error that names its end (`resetAt`) is EBUSY,
 * at once: nothing is wrong, and the message says until when.
 */
export const providerErrno: Readonly<Record<ProviderErrorCode, ErrnoName>> = {
  'not-found': 'ENOENT',
  exists: 'EEXIST',
  'invalid-name': 'EINVAL',
  permission: 'EACCES',
  auth: 'EACCES',
  quota: 'ENOSPC',
  'too-large': 'EFBIG',
  limit: 'EDQUOT',
  'rate-limited': 'EIO',
  'revision-changed': 'ESTALE',
  integrity: 'EIO',
  unsupported: 'ENOTSUP',
  network: 'ENETUNREACH',
  timeout: 'EIO',
  server: 'EIO',
  protocol: 'EIO',
  aborted: 'EINTR',
};

function errnoOf({ code, data }: ProviderError): ErrnoName {
  return code === 'rate-limited' && typeof data.resetAt === 'number' ? 'EBUSY' : providerErrno[code];
}

/** Errors of the local disk (spool, state) that programs understand; every other disk error is EIO. */
const diskErrno: ReadonlySet<string> = new Set<ErrnoName>(['ENOSPC', 'EDQUOT', 'EROFS', 'EFBIG']);

/** Turns any thrown value into the answer to the kernel. The `FsError` keeps the original as its cause. */
export function toFsError(error: unknown): FsError {
  if (error instanceof FsError) return error;
  if (error instanceof ProviderError) {
    return new FsError(errnoOf(error), error.message, { cause: error, data: { ...error.data } });
  }
  // The default reason of an AbortSignal.
  if (error instanceof Error && error.name === 'AbortError')
    return new FsError('EINTR', 'interrupted', { cause: error });
  const code = codeOf(error) ?? '';
  if (diskErrno.has(code)) return new FsError(code as ErrnoName, messageOf(error), { cause: error });
  // For a program, the system has too many open files: EMFILE would mean the program's own.
  if (code === 'EMFILE' || code === 'ENFILE') return new FsError('ENFILE', messageOf(error), { cause: error });
  if (code === 'SQLITE_FULL') return new FsError('ENOSPC', 'the state directory is full', { cause: error });
  return new FsError('EIO', messageOf(error), { cause: error });
}
