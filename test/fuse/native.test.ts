import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { BindingOptions } from '../../src/fuse/binding.js';
import { mountOptions } from '../../src/fuse/native/native-binding.js';
import { toStat, toStatFs, toTimespec } from '../../src/fuse/native/stat.js';
import { readTimes } from '../../src/fuse/native/times.js';

describe('readTimes', () => {
  const locals = (atime: number, mtime: number, offset = 104): Buffer => {
    const struct = Buffer.alloc(352);
    struct.writeBigInt64LE(BigInt(atime), offset);
    struct.writeBigInt64LE(BigInt(mtime), offset + 8);
    return struct;
  };

  it('finds the modification time behind the access time', () => {
    expect(readTimes(locals(1000, 2345), 1000, 'linux')).toEqual({ atimeMs: 1000, mtimeMs: 2345 });
    expect(readTimes(locals(1000, 2345, 96), 1000, 'darwin')).toEqual({ atimeMs: 1000, mtimeMs: 2345 });
  });

  it('sees times before 1970 for what they are', () => {
    expect(readTimes(locals(-1500, -2500), 2 ** 64 - 1500, 'linux')).toEqual({ atimeMs: -1500, mtimeMs: -2500 });
  });

  it('makes do with the access time where the struct is another', () => {
    const both = { atimeMs: 1000, mtimeMs: 1000 };
    expect(readTimes(locals(999, 2345), 1000, 'linux')).toEqual(both);
    expect(readTimes(Buffer.alloc(64), 1000, 'linux')).toEqual(both);
    expect(readTimes(undefined, 1000, 'linux')).toEqual(both);
    expect(readTimes(locals(1000, 2345), 1000, 'freebsd')).toEqual(both);
  });
});

it('turns milliseconds into seconds and nanoseconds, also negative ones', () => {
  expect(toTimespec(1234)).toEqual({ sec: 1, nsec: 234_000_000 });
  expect(toTimespec(-1)).toEqual({ sec: -1, nsec: 999_000_000 });
});

it('rounds times down to what fuse-native can carry', () => {
  const time = { sec: -5, nsec: 0 };
  const exact = { sec: 10, nsec: 1_999_999 };
  const attributes = { ino: 3, kind: 'file', size: 513, mode: 0o640, nlink: 1, uid: 1, gid: 2 } as const;
  expect(toStat({ ...attributes, atime: time, mtime: exact, ctime: exact })).toMatchObject({
    ...{ ino: 3, mode: 0o100640, blocks: 8, atime: 0, mtime: 10_001 },
  });
});

it('keeps block counts within 32 bits', () => {
  const small = toStatFs({ total: 8192, free: 4096, files: 1, maxNameBytes: 255 });
  expect(small).toMatchObject({ bsize: 4096, blocks: 2, bfree: 1, bavail: 1, namemax: 255 });
  const large = toStatFs({ total: 2 ** 60, free: 2 ** 59, files: 1, maxNameBytes: 255 });
  expect(large.blocks).toBeLessThan(2 ** 32);
  expect(large.blocks * large.frsize).toBe(2 ** 60);
});

it('passes options that fuse-native does not know, and quotes the source', () => {
  const options: BindingOptions = {
    mountpoint: '/m',
    source: 'a,b\\c',
    readOnly: true,
    flags: ['noexec'],
    allowOther: true,
    log: silentLog,
  };
  expect(mountOptions(options)).toBe(
    '-ofsname=a\\,b\\\\c,subtype=syncmount,default_permissions,big_writes,use_ino,entry_timeout=1,attr_timeout=1,ro,noexec,allow_other',
  );
});
