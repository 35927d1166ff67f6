import { constants } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Filesystem } from '../../src/filesystem/api.js';
import { FsError } from '../../src/filesystem/fs-error.js';
import { failed } from '../../src/fuse/kernel/addon.js';
import { attr, attrOutHead, entryOutHead, initOut, interruptIn, openOut } from '../../src/fuse/kernel/structs.js';
import { captured } from './captured-requests.js';
import { FakeDevice, request } from './fake-device.js';
import { MemoryFilesystem } from './memory-filesystem.js';
import { type Call, recordingFilesystem, someAttributes } from './recording-filesystem.js';

const { EINTR, EINVAL, EIO, ENOENT, ENOSYS, EPERM, EILSEQ, ENOTSUP } = constants.errno;

const viewOf = (body: Buffer): DataView => new DataView(body.buffer, body.byteOffset, body.length);

describe('captured requests', () => {
  const openFlags = { read: true, write: false, append: false, truncate: false, exclusive: false };
  /** Root is node 1 for the kernel and inode 7 for the file system; node 2 is inode 1. */
  const expected: Record<Exclude<keyof typeof captured, 'init' | 'releasedir'>, Call[]> = {
    statx: [],
    getattr: [['getattr', 7]],
    lookup: [['lookup', 7, 'none']],
    create: [['create', 7, 'file', 0o644, { ...openFlags, write: true, exclusive: true }]],
    getxattr: [['getxattr', 1, 'security.capability']],
    write: [['write', 1, Buffer.from('hello world'), 0]],
    fsync: [['fsync', 1]],
    fallocate: [['fallocate', 1, 0, 100, false]],
    lseek: [['seek', 1, 3, 'hole']],
    flush: [['flush', 1]],
    // Nobody opened that handle here, so nobody is told to release it.
    release: [],
    open: [['open', 1, openFlags]],
    read: [['read', 2, expect.objectContaining({ length: 4096 }), 0]],
    mkdir: [['mkdir', 7, 'dir', 0o750]],
    opendir: [],
    readdirplus: [],
    rmdir: [['rmdir', 7, 'empty']],
    mknod: [
      ['create', 7, 'node', 0o600, { read: false, write: true, append: false, truncate: false, exclusive: true }],
      ['flush', 78],
    ],
    forget: [],
    setattr: [
      [
        ...['setattr', 1],
        { atime: { sec: 1234567890, nsec: 123456789 }, mtime: { sec: -6, nsec: 500000000 } },
      ] as unknown as Call,
    ],
    setxattr: [['setxattr', 1, 'user.key', Buffer.from('value'), 'either']],
    listxattr: [['listxattr', 1]],
    removexattr: [['removexattr', 1, 'user.key']],
    rename: [['rename', 7, 'file', 2, 'other', { noReplace: false, exchange: false }]],
    rename2: [['rename', 2, 'other', 7, 'back', { noReplace: true, exchange: false }]],
    statfs: [['statfs']],
    symlink: [],
    link: [],
    fsyncdir: [],
    unlink: [['unlink', 7, 'back']],
    batchForget: [],
  };

  it.each(Object.entries(expected))('%s is understood', (kind, calls) => {
    const recording = recordingFilesystem();
    const device = new FakeDevice(recording.fs);
    device.send(request(kind as keyof typeof expected));
    expect(recording.calls).toEqual(calls);
  });

  it.each([
    ['statx', ENOSYS],
    ['symlink', EPERM],
    ['link', EPERM],
  ] as const)('%s is refused', (kind, errno) => {
    expect(new FakeDevice(recordingFilesystem().fs).ask(request(kind))).toMatchObject({ error: -errno });
  });

  it('init is answered with what was offered and wanted', () => {
    const device = new FakeDevice(recordingFilesystem().fs, { init: false });
    const answer = device.ask(Buffer.from(captured.init, 'hex'));
    const view = viewOf(answer?.body ?? Buffer.alloc(0));
    expect(answer).toMatchObject({ error: 0, unique: 2 });
    expect(initOut.major.get(view, 0)).toBe(7);
    expect(initOut.maxWrite.get(view, 0)).toBe(1 << 20);
    expect(initOut.maxPages.get(view, 0)).toBe(256);
    const flags = initOut.flags.get(view, 0);
    // FUSE_EXPLICIT_INVAL_DATA yes, FUSE_AUTO_INVAL_DATA and FUSE_WRITEBACK_CACHE no.
    expect([flags & (1 << 25), flags & (1 << 12), flags & (1 << 16)].map(Boolean)).toEqual([true, false, false]);
  });

  it('an older kernel is turned away with a line that says so, a newer one asked to come down', async () => {
    const init = Buffer.from(captured.init, 'hex');
    init.writeUInt32LE(30, 44);
    const old = new FakeDevice(recordingFilesystem().fs, { init: false });
    expect(old.ask(init)).toMatchObject({ error: -EINVAL });
    await expect(old.session.ready).rejects.toThrow('7.30');
    init.writeUInt32LE(8, 40);
    const later = new FakeDevice(recordingFilesystem().fs, { init: false });
    expect(later.ask(init)).toMatchObject({ error: 0 });
    later.send(Buffer.from(captured.init, 'hex'));
    await later.session.ready;
  });

  it('the caller comes along', async () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    const bytes = request('mkdir');
    bytes.writeUInt32LE(1000, 24);
    bytes.writeUInt32LE(100, 28);
    device.send(bytes);
    expect(fs.lastCaller).toMatchObject({ uid: 1000, gid: 100, pid: 0x1451, umask: 0o022 });
  });
});

describe('answers', () => {
  it('carry attributes as linux/fuse.h lays them out', () => {
    const { body } = new FakeDevice(recordingFilesystem().fs).ask(request('getattr')) ?? { body: Buffer.alloc(0) };
    const view = viewOf(body);
    expect(body.length).toBe(attrOutHead.$bytes + attr.$bytes);
    expect([attrOutHead.attrValid.get(view, 0), attrOutHead.attrValidNsec.get(view, 0)]).toEqual([1, 500_000_000]);
    const at = attrOutHead.$bytes;
    expect(attr.ino.get(view, at)).toBe(someAttributes.ino);
    expect(attr.mode.get(view, at)).toBe(0o100640);
    expect(attr.blocks.get(view, at)).toBe(2);
    expect(attr.mtime.getSigned(view, at)).toBe(-3);
    expect(attr.mtimensec.get(view, at)).toBe(4);
  });

  it('name a node by its inode number plus one, and the root by 1', () => {
    const device = new FakeDevice(recordingFilesystem().fs);
    const { body } = device.ask(request('lookup')) ?? { body: Buffer.alloc(0) };
    expect(entryOutHead.nodeid.get(viewOf(body), 0)).toBe(42);
    expect(attr.ino.get(viewOf(body), entryOutHead.$bytes)).toBe(41);
    const { nodes } = device.session.connection;
    expect([nodes.nodeOf(7), nodes.inoOf(1), nodes.inoOf(2), nodes.inoOf(42)]).toEqual([1, 7, 1, 41]);
  });

  it('let the kernel remember that a name does not exist, as long as the listing is valid', () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    const { error, body } = device.ask(request('lookup')) ?? { error: 1, body: Buffer.alloc(0) };
    expect([error, entryOutHead.nodeid.get(viewOf(body), 0)]).toEqual([0, 0]);
    expect(entryOutHead.entryValid.get(viewOf(body), 0)).toBe(3600);
    fs.validityMs = 0;
    expect(device.ask(request('lookup'))).toMatchObject({ error: -ENOENT });
  });

  it('count every reference that the kernel gets and gives back', () => {
    const device = new FakeDevice(recordingFilesystem().fs);
    const { nodes } = device.session.connection;
    device.send(request('lookup'), request('lookup'), request('mkdir'));
    expect([nodes.isHeld(41), nodes.held]).toEqual([true, 1]);
    const forget = (count: number): Buffer => {
      const body = Buffer.alloc(8);
      body.writeUInt32LE(count);
      return request('forget', { nodeid: 42, body });
    };
    device.send(forget(2));
    expect(nodes.isHeld(41)).toBe(true);
    device.send(forget(1));
    expect(nodes.held).toBe(0);
    device.refusal = failed.noEntry;
    device.send(request('lookup'));
    expect(nodes.held).toBe(0);
  });

  it('release a handle whose open was given up meanwhile', async () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    device.send(request('create'));
    expect(fs.openHandles).toBe(1);
    device.refusal = failed.noEntry;
    device.send(request('open'));
    await expect.poll(() => fs.openHandles).toBe(1);
    device.hangUp();
    await device.session.ended;
    expect(fs.openHandles).toBe(0);
  });

  it('never say ENOSYS where the kernel would never ask again', () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    for (const operation of ['getattr', 'fallocate'] as const)
      fs.fail(operation, new FsError('ENOSYS', 'as the test wants'));
    expect(device.ask(request('getattr'))).toMatchObject({ error: -ENOTSUP });
    expect(device.ask(request('fallocate'))).toMatchObject({ error: -ENOSYS });
  });

  it('refuse names that are not UTF-8, and take every other', () => {
    const { fs, calls } = recordingFilesystem();
    const device = new FakeDevice(fs);
    expect(device.ask(request('lookup', { body: Buffer.from([0x66, 0xff, 0]) }))).toMatchObject({ error: -EILSEQ });
    device.send(request('lookup', { body: Buffer.from('\ufffd 🎉\0') }));
    expect(calls).toEqual([['lookup', 7, '\ufffd 🎉']]);
  });

  it('take the set-id bits away when the kernel says so', async () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    device.send(request('create'));
    await fs.setattr(1, { mode: 0o6755 });
    const write = request('write');
    write.writeUInt32LE(1 << 2, 40 + 20);
    device.send(write);
    expect((await fs.getattr(1)).mode).toBe(0o755);
    // Without group execute the bit means mandatory locking, and stays.
    await fs.setattr(1, { mode: 0o2644 });
    device.send(write);
    expect((await fs.getattr(1)).mode).toBe(0o2644);
  });
});

describe('requests that take time', () => {
  const slow = (): { fs: MemoryFilesystem; finish: () => void } => {
    const fs = new MemoryFilesystem();
    const waiting: (() => void)[] = [];
    for (const operation of ['getattr', 'write', 'flush'] as const)
      fs.plan(
        operation,
        (caller) =>
          new Promise((resolve, reject) => {
            waiting.push(resolve);
            caller?.signal?.addEventListener('abort', () => reject(caller.signal?.reason));
          }),
      );
    return {
      fs,
      finish: () => {
        for (const done of waiting.splice(0)) done();
      },
    };
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const interrupt = (unique: number): Buffer => {
    const body = Buffer.alloc(interruptIn.$bytes);
    body.writeUInt32LE(unique);
    return request({ opcode: 36 }, { unique: unique + 1, body });
  };

  it('are answered out of order, when they are ready', async () => {
    const { fs, finish } = slow();
    const device = new FakeDevice(fs);
    device.send(request('getattr', { unique: 100 }), request('lookup', { unique: 102 }));
    expect(device.answers.map(({ unique }) => unique)).toEqual([102]);
    finish();
    await turn();
    expect(device.answers.map(({ unique }) => unique)).toEqual([102, 100]);
  });

  it('end with EINTR when they are interrupted', async () => {
    const { fs } = slow();
    const device = new FakeDevice(fs);
    device.send(request('create'), request('flush', { unique: 100 }), interrupt(100), interrupt(4444));
    await turn();
    expect(device.answers.slice(1)).toMatchObject([{ unique: 100, error: -EINTR }]);
    expect(device.complaints).toEqual([]);
  });

  it('keep the data of their write, whatever is read meanwhile', async () => {
    const { fs, finish } = slow();
    const device = new FakeDevice(fs);
    device.send(request('create'));
    const writes = 30;
    for (let i = 0; i < writes; i++) {
      const write = request('write', { unique: 1000 + i });
      write.writeUInt32LE(i * 11, 40 + 8);
      write.fill(65 + i, 80);
      device.send(write);
    }
    expect(device.session.connection.keptRequests).toBeLessThanOrEqual(8);
    finish();
    await expect.poll(() => device.answers.length).toBe(1 + writes);
    const content = Buffer.alloc(writes * 11);
    fs.plan('read');
    await fs.read(1, content, 0);
    expect(content.toString('latin1')).toBe(
      Array.from({ length: writes }, (_, i) => String.fromCharCode(65 + i).repeat(11)).join(''),
    );
    expect(device.session.connection.keptRequests).toBe(0);
  });

  it('let notifications about the same object wait, and no others', async () => {
    const { fs, finish } = slow();
    const device = new FakeDevice(fs);
    device.send(request('create'), request('flush', { nodeid: 2 }));
    fs.invalidate({ kind: 'inode', ino: 1, content: true });
    fs.invalidate({ kind: 'entry', parent: 7, name: 'x' });
    fs.invalidate({ kind: 'inode', ino: 555, content: true });
    // The name and its directory's attributes; inode 555 is unknown to the kernel.
    expect(device.notifications.map(({ error }) => error)).toEqual([3, 2]);
    finish();
    await turn();
    expect(device.notifications.map(({ error, body }) => [error, body.readUInt32LE(0)])).toEqual([
      [3, 1],
      [2, 1],
      [2, 2],
    ]);
  });

  it('are carried to their end, or interrupted when they only look, when the mount goes', async () => {
    const { fs, finish } = slow();
    const device = new FakeDevice(fs);
    let interrupted = false;
    fs.plan(
      'lookup',
      (caller) =>
        new Promise((_, reject) =>
          caller?.signal?.addEventListener('abort', () => {
            interrupted = true;
            reject(caller.signal?.reason);
          }),
        ),
    );
    device.send(request('create'), request('flush'), request('lookup'));
    device.hangUp();
    await turn();
    expect([interrupted, fs.openHandles]).toEqual([true, 1]);
    finish();
    await device.session.ended;
    expect(fs.openHandles).toBe(0);
  });
});

describe('listings', () => {
  const chunk = (handle: number, offset: number, size: number): Buffer => {
    const body = Buffer.alloc(40);
    body.writeUInt32LE(handle, 0);
    body.writeUInt32LE(offset, 8);
    body.writeUInt32LE(size, 16);
    return body;
  };
  const create = (fs: MemoryFilesystem, name: string): unknown => fs.mkdir(fs.root, name, 0o755);

  /** Names with their positions; each entry is a fuse_entry_out and a fuse_dirent. */
  function parse(body: Buffer): { name: string; position: number; node: number; size: number }[] {
    const entries = [];
    for (let at = 0; at < body.length; ) {
      const head = entryOutHead.$bytes + attr.$bytes;
      const length = body.readUInt32LE(at + head + 16);
      entries.push({
        name: body.toString('utf8', at + head + 24, at + head + 24 + length),
        position: body.readUInt32LE(at + head + 8),
        node: body.readUInt32LE(at),
        size: body.readUInt32LE(at + entryOutHead.$bytes + attr.size.offset),
      });
      at += head + 24 + ((length + 7) & ~7);
    }
    return entries;
  }

  it('resume after any entry, in one listing and in a later one, whatever was removed', async () => {
    const fs = new MemoryFilesystem();
    for (let i = 0; i < 100; i++) await create(fs, `name${i}`);
    const device = new FakeDevice(fs);
    const open = (): number => openOut.fh.get(viewOf(device.ask(request('opendir'))?.body ?? Buffer.alloc(0)), 0);
    const list = (handle: number, offset: number, size: number) =>
      parse(device.ask(request('readdirplus', { body: chunk(handle, offset, size) }))?.body ?? Buffer.alloc(0));
    const all = ['.', '..', ...Array.from({ length: 100 }, (_, i) => `name${i}`)];

    const first = open();
    const names: string[] = [];
    for (let offset = 0, part = list(first, 0, 1000); part.length > 0; part = list(first, offset, 1000)) {
      names.push(...part.map(({ name }) => name));
      offset = part.at(-1)?.position ?? 0;
    }
    expect(names).toEqual(all);

    const half = list(first, 0, 8000);
    for (const { name } of half.slice(2, 20)) await fs.rmdir(fs.root, name);
    const second = open();
    const rest = list(second, half.at(-1)?.position ?? 0, 100_000).map(({ name }) => name);
    expect([...half.map(({ name }) => name), ...rest]).toEqual(all);
    device.send(request('releasedir', { body: chunk(first, 0, 0).subarray(0, 24) }));
    expect(device.session.connection.directories.openStreams).toBe(1);
  });

  it('give attributes as they are when they are given', async () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    device.send(request('create'), request('opendir'));
    await create(fs, 'second');
    const plus = (offset: number, size: number) =>
      parse(device.ask(request('readdirplus', { body: chunk(1, offset, size) }))?.body ?? Buffer.alloc(0));
    const head = plus(0, 400);
    expect(head.map(({ name }) => name)).toEqual(['.', '..']);
    device.send(request('write'));
    expect(plus(2, 4096).map(({ name, size }) => [name, size])).toEqual([
      ['file', 11],
      ['second', 0],
    ]);
  });

  it('may be kept by the kernel until they are invalidated or run out', async () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    const keeps = (): boolean => {
      const body = device.ask(request('opendir'))?.body ?? Buffer.alloc(0);
      return (openOut.openFlags.get(viewOf(body), 0) & 2) !== 0;
    };
    const read = (handle: number): unknown => device.ask(request('readdirplus', { body: chunk(handle, 0, 4096) }));
    expect(keeps()).toBe(false);
    read(1);
    expect(keeps()).toBe(true);
    fs.invalidate({ kind: 'entry', parent: 7, name: 'new' });
    expect(keeps()).toBe(false);
    fs.validityMs = 0;
    read(3);
    expect(keeps()).toBe(false);
  });
});

describe('whatever comes from the device', () => {
  const kinds = Object.keys(captured).filter((kind) => kind !== 'init') as (keyof typeof captured)[];
  const silent = new Set([2, 36, 42]);

  /** Sends it to a session over both kinds of file system; throws where an answer is missing, doubled or malformed. */
  async function survive(bytes: Buffer): Promise<void> {
    const memory = new MemoryFilesystem();
    await memory.mkdir(memory.root, 'dir', 0o755);
    for (const fs of [recordingFilesystem().fs, memory] as Filesystem[]) {
      const device = new FakeDevice(fs);
      device.send(Buffer.from(bytes));
      await new Promise((resolve) => setImmediate(resolve));
      const wellFormed = bytes.length >= 40 && bytes.readUInt32LE(0) === bytes.length;
      const extensions = wellFormed ? bytes.readUInt16LE(36) * 8 : 0;
      const answerable = wellFormed && bytes.length - extensions >= 40 && !silent.has(bytes.readUInt32LE(4));
      expect(device.answers.length).toBe(answerable ? 1 : 0);
      if (!wellFormed) expect(device.complaints).toHaveLength(1);
    }
  }

  it('answers truncated requests with an error, never with a crash', async () => {
    for (const kind of kinds) {
      const whole = Buffer.from(captured[kind], 'hex');
      for (let length = 0; length < whole.length; length++) {
        await survive(whole.subarray(0, length));
        if (length < 40) continue;
        const honest = Buffer.from(whole.subarray(0, length));
        honest.writeUInt32LE(length);
        await survive(honest);
      }
    }
  });

  it('answers garbage', async () => {
    const mutated = fc
      .record({
        kind: fc.constantFrom(...kinds),
        opcode: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(60) }),
        changes: fc.array(fc.record({ at: fc.nat(200), value: fc.nat(255) }), { maxLength: 12 }),
        tail: fc.uint8Array({ maxLength: 40 }),
      })
      .map(({ kind, opcode, changes, tail }) => {
        const bytes = Buffer.concat([Buffer.from(captured[kind], 'hex'), tail]);
        bytes.writeUInt32LE(bytes.length);
        // The length and the number of the request stay: they are what an answer is measured by.
        for (const { at, value } of changes) if (at >= 16 && at < bytes.length) bytes[at] = value;
        if (opcode !== undefined && opcode !== 26) bytes.writeUInt32LE(opcode, 4);
        return bytes;
      });
    await fc.assert(fc.asyncProperty(mutated, survive), { numRuns: 2000 });
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        survive,
      ),
    );
  });

  it('answers EIO to what a file system must not throw', () => {
    const fs = new MemoryFilesystem();
    fs.plan('getattr', () => {
      throw 'not even an error';
    });
    const device = new FakeDevice(fs);
    expect(device.ask(request('getattr'))).toMatchObject({ error: -EIO });
    expect(device.complaints).toHaveLength(1);
  });
});
