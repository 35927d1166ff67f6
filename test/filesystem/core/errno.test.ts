import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { providerErrno, toFsError } from '../../../src/filesystem/core/errno.js';
import { FsError } from '../../../src/filesystem/core/fs-error.js';
import { ProviderError, type ProviderErrorCode } from '../../../src/providers/errors.js';

const expected: Record<ProviderErrorCode, string> = {
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

describe('toFsError', () => {
  it('knows every code of a provider, and no other', () => {
    expect(providerErrno).toEqual(expected);
  });

  it.each(Object.entries(expected) as [ProviderErrorCode, string][])(
    'makes %s %s and keeps what is known',
    (code, name) => {
      const cause = new ProviderError(code, 'what happened', { data: { status: 418 } });
      const error = toFsError(cause);
      expect(error).toMatchObject({ code: name, message: 'what happened', cause, data: { status: 418 } });
      expect(error.errno).toBe((constants.errno as Record<string, number>)[name]);
      expect(error.errno).toBeGreaterThan(0);
    },
  );

  it('makes a used-up request limit EBUSY where it is known until when, whatever else is known', () => {
    const limited = (data: Record<string, unknown>): string =>
      toFsError(new ProviderError('rate-limited', 'used up', { data })).code;
    expect(limited({ resetAt: 1_700_000_000_000, retryAfterMs: 3_600_000 })).toBe('EBUSY');
    expect(limited({ retryAfterMs: 3_600_000 })).toBe('EIO');
    expect(toFsError(new ProviderError('server', 'down', { data: { resetAt: 1 } })).code).toBe('EIO');
  });

  it.each(['ENOSPC', 'EDQUOT', 'EROFS', 'EFBIG'])('hands %s of the local disk on', (code) => {
    expect(toFsError(Object.assign(new Error('disk'), { code })).code).toBe(code);
  });

  it('makes a full table of files ENFILE, whosever it is', () => {
    for (const code of ['EMFILE', 'ENFILE'])
      expect(toFsError(Object.assign(new Error('disk'), { code })).code).toBe('ENFILE');
  });

  it.each([['ENOENT'], ['EACCES'], ['SQLITE_CORRUPT'], [undefined]])('makes a local %s EIO', (code) => {
    expect(toFsError(Object.assign(new Error('disk'), { code })).code).toBe('EIO');
  });

  it('knows a full database, leaves its own errors alone, and takes anything', () => {
    expect(toFsError(Object.assign(new Error('full'), { code: 'SQLITE_FULL' })).code).toBe('ENOSPC');
    const own = new FsError('EXDEV', 'x');
    expect(toFsError(own)).toBe(own);
    expect(toFsError('text')).toMatchObject({ code: 'EIO', message: 'text' });
    expect(toFsError(null).code).toBe('EIO');
  });
});
