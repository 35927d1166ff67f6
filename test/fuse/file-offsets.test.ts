import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { FsError } from '../../src/filesystem/core/fs-error.js';
import {
  copyFileRangeIn,
  fallocateIn,
  inHeader,
  lseekIn,
  readIn,
  setattrIn,
  writeIn,
} from '../../src/fuse/kernel/protocol/structs.js';
import { FakeDevice, request } from './fake-device.js';
import { MemoryFilesystem } from './memory-filesystem.js';

const { EFBIG, ENOTSUP } = constants.errno;

describe('64-bit fields of requests', () => {
  const last = 2n ** 53n - 1n;
  /** A request of `kind` whose 64 bits at `at` of its body are `value`. */
  const withField = (kind: Parameters<typeof request>[0], at: number, value: bigint): Buffer => {
    const bytes = request(kind);
    bytes.writeBigUInt64LE(value, inHeader.$bytes + at);
    return bytes;
  };
  const copy = (at: number, value: bigint): Buffer => {
    const body = Buffer.alloc(copyFileRangeIn.$bytes);
    body.writeBigUInt64LE(1n, 0);
    body.writeBigUInt64LE(1n, 24);
    body.writeBigUInt64LE(value, at);
    return request({ opcode: 47 }, { body });
  };
  const resized = (value: bigint): Buffer => {
    const body = Buffer.alloc(setattrIn.$bytes);
    body.writeUInt32LE(8);
    body.writeBigUInt64LE(value, setattrIn.size.offset);
    return request('setattr', { body });
  };
  const fields: [string, (value: bigint) => Buffer][] = [
    ['write: offset', (value) => withField('write', writeIn.offset.offset, value)],
    ['fallocate: offset', (value) => withField('fallocate', fallocateIn.offset.offset, value)],
    ['fallocate: length', (value) => withField('fallocate', fallocateIn.length.offset, value)],
    ['setattr: size', resized],
    ['copy_file_range: offset in', (value) => copy(copyFileRangeIn.offIn.offset, value)],
    ['copy_file_range: offset out', (value) => copy(copyFileRangeIn.offOut.offset, value)],
    ['lseek: offset', (value) => withField('lseek', lseekIn.offset.offset, value)],
  ];

  it.each(fields)('%s', (name, make) => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    device.send(request('create'));
    fs.calls.clear();
    for (const value of [2n ** 53n, 2n ** 60n, 2n ** 63n - 1n]) {
      expect([value, device.ask(make(value))?.error]).toEqual([value, -EFBIG]);
    }
    // As a signed number it is -1, which only lseek has: a position that the file system itself refuses.
    if (!name.startsWith('lseek')) expect(device.ask(make(2n ** 64n - 1n))?.error).toBe(-EFBIG);
    // No memory holds so much.
    for (const operation of ['fallocate', 'setattr'] as const) fs.fail(operation, new FsError('ENOSPC', 'no room'));
    const before = fs.calls.size;
    const answer = device.ask(make(last));
    // A range that begins at the last byte or is so long ends behind it; the others come through.
    const isRange = name.startsWith('write') || name.startsWith('fallocate: offset');
    if (isRange) expect(answer?.error).toBe(-EFBIG);
    // (This file system copies nothing by itself.)
    else if (!name.startsWith('copy')) expect(fs.calls.size).toBeGreaterThan(before);
    else expect(answer?.error).toBe(-ENOTSUP);
    expect(device.complaints).toEqual([]);
  });

  it('a read behind all files is one at the end', () => {
    const device = new FakeDevice(new MemoryFilesystem());
    device.send(request('create'));
    for (const value of [2n ** 53n, 2n ** 63n - 1n]) {
      const read = withField('read', readIn.offset.offset, value);
      read.writeBigUInt64LE(1n, inHeader.$bytes + readIn.fh.offset);
      expect(device.ask(read)).toMatchObject({ error: 0, body: Buffer.alloc(0) });
    }
  });
});
