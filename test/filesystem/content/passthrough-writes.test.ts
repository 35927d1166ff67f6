/** Files that are written without a word (the kernel does so, by passthrough): what is known of them must be right all the same. */
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { HandleId, OpenFlags } from '../../../src/filesystem/api.js';
import {
  appending,
  creating,
  emptying,
  type HarnessOptions,
  type Mounted,
  mounted,
  reading,
  writing,
} from '../harness.js';

const options: HarnessOptions = { writeBack: true };
const only = (flags: OpenFlags): OpenFlags => ({ ...flags, read: false });

/** The descriptor that the handle's program writes to by itself. */
function handedOut(m: Mounted, handle: HandleId): number {
  const backing = m.fs.backing(handle);
  if (backing === null) throw new Error('not handed out');
  return backing.fd;
}

/** As the kernel has it: whatever becomes of ours. */
function dup(m: Mounted, handle: HandleId): number {
  return openSync(`/proc/self/fd/${handedOut(m, handle)}`, 'r+');
}

/** `lent` is what is handed out, `fd` what the kernel makes of it. */
async function creatingOf(m: Mounted, path = 'f'): Promise<{ handle: HandleId; fd: number; lent: number }> {
  const handle = await m.create(path, only(creating));
  return { handle, fd: dup(m, handle), lent: handedOut(m, handle) };
}

describe.skipIf(process.platform !== 'linux')('what is written without a word (Linux only)', () => {
  it('shows at once in size and times, and is stored at the last close', async () => {
    const m = await mounted(options);
    const { handle, fd } = await creatingOf(m);
    expect((await m.stat('f')).size).toBe(0);
    writeSync(fd, 'hello');
    const { size, mtime } = await m.stat('f');
    expect([size, mtime.sec]).toEqual([5, Math.floor(fstatSync(fd).mtimeMs / 1000)]);
    expect(await m.fs.uploader.pending(m.fs.root)).toMatchObject([{ path: '/f', size: 5 }]);
    await m.fs.flush(handle);
    writeSync(fd, ' world');
    await m.fs.flush(handle);
    expect(m.provider.counts()).toEqual({ list: 1 });
    await m.fs.release(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ f: 'hello world' });
    expect(m.provider.counts()).toMatchObject({ upload: 1 });
    expect((await m.stat('f')).size).toBe(11);
  });

  it('is read through the backing file, and by handles that cannot use it', async () => {
    const m = await mounted(options);
    const { handle, fd, lent } = await creatingOf(m);
    writeSync(fd, 'hello');
    const reader = await m.open('f', reading);
    expect(handedOut(m, reader)).toBe(lent);
    const direct = await m.fs.open(await m.ino('f'), { ...reading, direct: true });
    expect([m.fs.backing(direct.handle), direct.passthroughWriters]).toEqual([null, true]);
    expect(await m.read(direct.handle)).toBe('hello');
    writeSync(fd, 'HELLO THERE', 0);
    expect(await m.read(direct.handle)).toBe('HELLO THERE');
    for (const one of [handle, reader, direct.handle]) await m.close(one);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ f: 'HELLO THERE' });
  });

  it('sees what other handles write, append and cut', async () => {
    const m = await mounted(options);
    const { handle, fd, lent } = await creatingOf(m);
    writeSync(fd, '0123456789');
    const other = await m.open('f', writing);
    expect(m.fs.backing(other)).toBeNull();
    await m.write(other, 'AB', 2);
    const appender = await m.open('f', appending);
    writeSync(fd, 'x', 10);
    await m.write(appender, 'end');
    expect(await m.read(other)).toBe('01AB456789xend');
    await m.fs.setattr(await m.ino('f'), { size: 4, handle: other });
    expect([fstatSync(fd).size, (await m.stat('f')).size]).toEqual([4, 4]);
    writeSync(fd, '!', 4);
    await expect(
      m.fs.fallocate(other, { offset: 0, length: 100, keepSize: false, zeroes: false }),
    ).rejects.toMatchObject({ code: 'ENOTSUP' });
    await m.fs.fallocate(handle, { offset: 0, length: 7, keepSize: false, zeroes: false });
    const joined = await m.open('f', only(appending));
    expect(handedOut(m, joined)).toBe(lent);
    for (const one of [other, appender, handle]) await m.close(one);
    writeSync(fd, 'Z', 6);
    await m.close(joined);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ f: '01AB!\0Z' });
  });

  it('takes back no time that was set, and a later write sets another', async () => {
    const m = await mounted(options);
    const { handle, fd } = await creatingOf(m);
    const ino = await m.ino('f');
    const set = { sec: 1_000_000_000, nsec: 5 };
    writeSync(fd, 'hello');
    await m.fs.setattr(ino, { mtime: set });
    expect((await m.stat('f')).mtime).toEqual(set);
    await m.fs.fsync(handle);
    await m.fs.flush(handle);
    expect((await m.stat('f')).mtime).toEqual(set);
    writeSync(fd, 'HELLO', 0);
    expect((await m.stat('f')).mtime.sec).toBeGreaterThan(set.sec);
    await m.fs.setattr(ino, { mtime: set });
    await m.close(handle);
    await m.fs.uploader.drain();
    expect((await m.stat('f')).mtime).toEqual(set);
  });

  it('is not uploaded while it may change, whoever asks', async () => {
    const m = await mounted(options);
    const { handle, fd } = await creatingOf(m);
    writeSync(fd, 'half');
    await m.fs.flush(handle);
    m.fs.retryFailed();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({});
    writeSync(fd, ' and half', 4);
    const reader = await m.open('f');
    await m.close(handle);
    // A reader is in nobody's way.
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ f: 'half and half' });
    await m.close(reader);
  });

  it('is dropped when its file is removed, and continues when it is renamed', async () => {
    const m = await mounted(options);
    const { handle, fd } = await creatingOf(m);
    writeSync(fd, 'hello');
    await m.fs.rename(m.fs.root, 'f', m.fs.root, 'g', { noReplace: false, exchange: false });
    writeSync(fd, ' again', 5);
    expect((await m.stat('g')).size).toBe(11);
    const gone = await creatingOf(m, 'gone');
    writeSync(gone.fd, 'never');
    await m.rm('gone');
    writeSync(gone.fd, 'ever', 5);
    expect((await m.fs.getattr(m.core.files.handle(gone.handle).state.ino)).size).toBe(9);
    await m.close(gone.handle);
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ g: 'hello again' });
  });

  it('replaces what another content was', async () => {
    const m = await mounted(options, (provider) => provider.other.put('f', 'the old one'));
    const handle = await m.open('f', only(emptying));
    const fd = dup(m, handle);
    writeSync(fd, 'new');
    expect([(await m.stat('f')).size, await m.cat('f')]).toEqual([3, 'new']);
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ f: 'new' });
  });

  it.each<[string, HarnessOptions, OpenFlags]>([
    ['close() is to wait for the upload', {}, only(creating)],
    ['he reads as well, and might map it', options, creating],
    ['each write is to be durable', options, { ...only(creating), sync: true }],
    ['O_DIRECT', options, { ...only(creating), direct: true }],
    ['he appends', options, only({ ...creating, append: true })],
  ])('is not allowed where %s', async (_why, how, flags) => {
    const m = await mounted(how);
    const handle = await m.create('f', flags);
    expect(m.fs.backing(handle)).toBeNull();
    await m.close(handle);
  });

  it('is not allowed beside other handles, to existing content, and to a program that may have a file copied', async () => {
    const m = await mounted({ ...options, provider: { capabilities: { copyFile: true } } }, (provider) => {
      provider.other.put('stored', 'stored');
    });
    const first = await m.create('f', creating);
    const second = await m.open('f', only(emptying));
    expect(m.fs.backing(second)).toBeNull();
    await m.write(first, 'x');
    for (const handle of [first, second]) await m.close(handle);
    const third = await m.open('f', only(writing));
    expect(m.fs.backing(third)).toBeNull();
    await m.close(third);
    // An empty file that waits for its upload: the journal says that it is closed.
    await m.close(await m.create('empty', only(creating)));
    const fourth = await m.open('empty', only(writing));
    expect(m.fs.backing(fourth)).toBeNull();
    await m.close(fourth);
    const source = (await m.fs.open(await m.ino('stored'), reading, { pid: 7 })).handle;
    const copy = await m.create('copy', only(creating), { pid: 7 });
    expect(m.fs.backing(copy)).toBeNull();
    const elsewhere = await m.create('elsewhere', only(creating), { pid: 8 });
    expect(m.fs.backing(elsewhere)).not.toBeNull();
    for (const handle of [source, copy, elsewhere]) await m.close(handle);
  });
});

describe.skipIf(process.platform !== 'linux')('after a crash, of what was written without a word (Linux only)', () => {
  it('nothing was promised: all of it is kept, and not stored unasked', async () => {
    const m = await mounted(options);
    const { fd } = await creatingOf(m);
    writeSync(fd, 'half a fi');
    const after = await m.crash();
    await after.fs.uploader.drain();
    expect(await after.cat('f')).toBe('half a fi');
    expect(await after.fs.uploader.pending(after.fs.root)).toMatchObject([{ path: '/f', size: 9, state: 'failed' }]);
  });

  it.each(['fsync', 'flush'] as const)('what %s promised is stored', async (promise) => {
    const m = await mounted(options);
    const { handle, fd } = await creatingOf(m);
    const text = 'p'.repeat(100_000);
    writeSync(fd, text);
    await m.fs[promise](handle);
    writeSync(fd, 'later', 100_000);
    const after = await m.crash();
    await after.fs.uploader.drain();
    expect(after.provider.other.tree()).toEqual({ f: text });
  });

  it('and nothing is stored in the place of what was there, where only an empty file was promised', async () => {
    const m = await mounted(options, (provider) => provider.other.put('f', 'the old one'));
    const handle = await m.open('f', only(emptying));
    const fd = dup(m, handle);
    // As `echo … > f` does with a duplicate.
    await m.fs.flush(handle);
    writeSync(fd, 'half a fi');
    const after = await m.crash();
    await after.fs.uploader.drain();
    expect(after.provider.other.tree()).toEqual({ f: 'the old one' });
    expect(await after.cat('f')).toBe('half a fi');
    expect(await after.fs.uploader.pending(after.fs.root)).toMatchObject([{ path: '/f', state: 'failed' }]);
  });

  it('an empty file that was promised is stored', async () => {
    const m = await mounted(options, (provider) => provider.other.put('f', 'the old one'));
    const handle = await m.open('f', only(emptying));
    handedOut(m, handle);
    await m.fs.flush(handle);
    const after = await m.crash();
    await after.fs.uploader.drain();
    expect(after.provider.other.tree()).toEqual({ f: '' });
  });

  it('what the program goes on writing is no part of it', async () => {
    const m = await mounted({ ...options, isOpenElsewhere: () => true });
    const { handle } = await creatingOf(m);
    const fd = dup(m, handle);
    writeSync(fd, 'promised');
    await m.fs.fsync(handle);
    const after = await m.crash();
    writeSync(fd, 'WRITTEN ON', 0);
    closeSync(fd);
    await after.fs.uploader.drain();
    expect(await after.cat('f')).toBe('promised');
    expect(after.provider.other.tree()).toEqual({ f: 'promised' });
  });

  it('and is stored by the next mount if this one ended while its program was writing', async () => {
    const m = await mounted({ ...options, isOpenElsewhere: () => true });
    const { handle } = await creatingOf(m);
    const fd = dup(m, handle);
    writeSync(fd, 'promised');
    await m.fs.flush(handle);
    m.fs.mountLost(handle);
    await m.fs.release(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({});
    const after = await m.remount();
    writeSync(fd, 'WRITTEN ON', 0);
    closeSync(fd);
    await after.fs.uploader.drain();
    expect(after.provider.other.tree()).toEqual({ f: 'promised' });
  });

  it('a disk whose file was cut behind our back is noticed', async () => {
    const m = await mounted(options);
    const { handle, fd } = await creatingOf(m);
    writeSync(fd, 'x'.repeat(100_000));
    await m.fs.flush(handle);
    ftruncateSync(fd, 10);
    const after = await m.crash();
    expect(await after.fs.uploader.pending(after.fs.root)).toMatchObject([{ state: 'failed', code: 'EIO' }]);
  });
});
