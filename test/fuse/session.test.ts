import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { FsError } from '../../src/filesystem/core/fs-error.js';
import { failed } from '../../src/fuse/kernel/addon.js';
import { attr, attrOutHead, entryOutHead, initOut, interruptIn } from '../../src/fuse/kernel/protocol/structs.js';
import { captured } from './captured-requests.js';
import { FakeDevice, request, viewOf } from './fake-device.js';
import { MemoryFilesystem } from './memory-filesystem.js';
import { type Call, recordingFilesystem, someAttributes } from './recording-filesystem.js';

const { EINTR, EINVAL, ENOSYS, ENOTSUP } = constants.errno;

describe('captured requests', () => {
  const plain = { append: false, truncate: false, exclusive: false, sync: false, direct: false };
  const openFlags = { read: true, write: false, ...plain };
  /** Root is node 1 for the kernel and inode 7 for the file system; node 2 is inode 1. */
  const expected: Record<Exclude<keyof typeof captured, 'init' | 'releasedir'>, Call[]> = {
    statx: [],
    getattr: [['getattr', 7, undefined]],
    lookup: [['lookup', 7, 'none']],
    create: [['create', 7, 'file', 0o644, { ...openFlags, write: true, exclusive: true }]],
    getxattr: [['getxattr', 1, 'security.capability']],
    write: [['write', 1, Buffer.from('hello world'), 0, 'call']],
    fsync: [['fsync', 1]],
    fallocate: [['fallocate', 1, { offset: 0, length: 100, keepSize: false, zeroes: false }]],
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
    mknod: [['mknod', 7, 'node', { kind: 'file', mode: 0o600, rdev: 0 }]],
    forget: [],
    setattr: [
      [
        ...['setattr', 1],
        { atime: { sec: 1234567890, nsec: 123456789 }, mtime: { sec: -6, nsec: 500000000 } },
      ] as unknown as Call,
    ],
    setxattr: [['setxattr', 1, 'user.key', Buffer.from('value'), { mode: 'either', killSetGroupId: true }]],
    listxattr: [['listxattr', 1]],
    removexattr: [['removexattr', 1, 'user.key']],
    rename: [['rename', 7, 'file', 2, 'other', { noReplace: false, exchange: false }]],
    rename2: [['rename', 2, 'other', 7, 'back', { noReplace: true, exchange: false }]],
    statfs: [['statfs']],
    symlink: [['symlink', 7, 'b', Buffer.from('a')]],
    link: [['link', 1, 7, 'b']],
    fsyncdir: [['fsyncDirectory', 7]],
    unlink: [['unlink', 7, 'back']],
    batchForget: [],
  };

  it.each(Object.entries(expected))('%s is understood', (kind, calls) => {
    const recording = recordingFilesystem();
    const device = new FakeDevice(recording.fs);
    device.send(request(kind as keyof typeof expected));
    expect(recording.calls).toEqual(calls);
  });

  it.each([['statx', ENOSYS]] as const)('%s is refused', (kind, errno) => {
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
    expect(attr.blocks.get(view, at)).toBe(8);
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
    // FUSE_LOOKUP of linux/fuse.h: node 0 is ENOENT with a time for which it holds.
    const absence = (): number[] => {
      const { error, body } = device.ask(request('lookup')) ?? { error: 1, body: Buffer.alloc(0) };
      return [error, entryOutHead.nodeid.get(viewOf(body), 0), entryOutHead.entryValid.get(viewOf(body), 0)];
    };
    expect(absence()).toEqual([0, 0, 3600]);
    fs.validityMs = 0;
    expect(absence()).toEqual([0, 0, 0]);
  });

  it('count every reference that the kernel gets and gives back', () => {
    const device = new FakeDevice(recordingFilesystem().fs);
    const { nodes } = device.session.connection;
    device.send(request('lookup'), request('lookup'), request('mkdir'));
    expect([nodes.isHeld(42), nodes.held]).toEqual([true, 1]);
    const forget = (count: number): Buffer => {
      const body = Buffer.alloc(8);
      body.writeUInt32LE(count);
      return request('forget', { nodeid: 42, body });
    };
    device.send(forget(2));
    expect(nodes.isHeld(42)).toBe(true);
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

  it('take every name, with a character for each byte that is not UTF-8', () => {
    const { fs, calls } = recordingFilesystem();
    const device = new FakeDevice(fs);
    device.send(request('lookup', { body: Buffer.from([0x66, 0xff, 0]) }));
    device.send(request('lookup', { body: Buffer.from('\ufffd 🎉\0') }));
    expect(calls).toEqual([
      ['lookup', 7, 'f\uefff'],
      ['lookup', 7, '\ufffd 🎉'],
    ]);
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

  it('end with EINTR when their caller is about to die, and at no other signal', async () => {
    const { fs } = slow();
    let isDying = false;
    const device = new FakeDevice(fs, { looks: { isDying: () => isDying, isKilled: () => false } });
    device.send(request('create'), request('flush', { unique: 100 }), interrupt(100), interrupt(4444));
    await turn();
    expect(device.answers.slice(1)).toEqual([]);
    // Of what comes later the kernel tells nothing.
    isDying = true;
    await expect.poll(() => device.answers.length).toBe(2);
    expect(device.answers.slice(1)).toMatchObject([{ unique: 100, error: -EINTR }]);
    expect(device.complaints).toEqual([]);
  });

  it('end with EINTR where a killed program closes its files, which the kernel does not report', async () => {
    const { fs } = slow();
    const looked: number[] = [];
    const isKilled = (tid: number): boolean => looked.push(tid) > 0;
    const device = new FakeDevice(fs, { looks: { isDying: () => false, isKilled } });
    device.send(request('create'), request('flush', { unique: 100 }));
    await turn();
    // A close that is answered soon costs no look.
    expect(looked).toEqual([]);
    await expect.poll(() => device.answers.length).toBe(2);
    device.send(request('flush', { unique: 102 }));
    await turn();
    // The same program's next close does not wait for the look.
    expect(device.answers.slice(1)).toMatchObject([
      { unique: 100, error: -EINTR },
      { unique: 102, error: -EINTR },
    ]);
    expect(looked).toHaveLength(2);
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
