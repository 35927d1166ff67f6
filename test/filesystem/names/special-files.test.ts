import { describe, expect, it } from 'vitest';
import type { NewNode } from '../../../src/filesystem/api.js';
import { emptying, errnoOf, type Mounted, mounted, settle, withFiles, writing } from '../harness.js';

async function symlink(m: Mounted, target: string | Uint8Array, path: string): Promise<void> {
  const { parent, name } = await m.split(path);
  await m.fs.symlink(parent, name, typeof target === 'string' ? Buffer.from(target) : target);
}

async function mknod(m: Mounted, path: string, kind: NewNode['kind'], rdev = 0): Promise<void> {
  const { parent, name } = await m.split(path);
  await m.fs.mknod(parent, name, { kind, mode: 0o640, rdev });
}

const readlink = async (m: Mounted, path: string): Promise<string> =>
  Buffer.from(m.fs.readlink(await m.ino(path))).toString('latin1');

describe('an entry without an object', () => {
  it('is made, shown, renamed and removed without a request, and is there after a remount and a crash', async () => {
    const m = await withFiles({ 'd/x': 'x' });
    await m.names('d');
    m.provider.counts();
    const bytes = Buffer.from([0xff, 0x2f, 0x0a, 0x80]);
    await symlink(m, bytes, 'l');
    await mknod(m, 'p', 'fifo');
    await mknod(m, 's', 'socket');
    await mknod(m, 'c', 'character-device', 0x103);
    await mknod(m, 'b', 'block-device', 0x800);
    await m.mv('p', 'd/p');
    await m.mv('s', 'l2');
    await m.rm('b');
    expect(m.provider.counts()).toEqual({});
    const check = async (at: Mounted): Promise<void> => {
      expect(await at.names()).toEqual(['c', 'd', 'l', 'l2']);
      expect(await at.names('d')).toEqual(['p', 'x']);
      expect(await readlink(at, 'l')).toBe(bytes.toString('latin1'));
      expect(await at.stat('l')).toMatchObject({ kind: 'symlink', size: 4, mode: 0o777, nlink: 1 });
      expect(await at.stat('d/p')).toMatchObject({ kind: 'fifo', size: 0, mode: 0o640 });
      expect(await at.stat('l2')).toMatchObject({ kind: 'socket' });
      expect(await at.stat('c')).toMatchObject({ kind: 'character-device', rdev: 0x103 });
    };
    await check(m);
    const inos = [await m.ino('l'), await m.ino('d/p')];
    const again = await m.remount();
    await check(again);
    expect([await again.ino('l'), await again.ino('d/p')]).toEqual(inos);
    await check(await again.crash());
    expect(m.provider.other.tree()).toEqual({ 'd/x': 'x' });
  });

  it('answers as on a local disk what cannot be', async () => {
    const m = await withFiles({ f: 'text' });
    await symlink(m, 'f', 'l');
    await mknod(m, 'p', 'fifo');
    expect(await errnoOf(symlink(m, 'x', 'f'))).toBe('EEXIST');
    expect(await errnoOf(symlink(m, 'x', 'l'))).toBe('EEXIST');
    expect(await errnoOf(mknod(m, 'p', 'socket'))).toBe('EEXIST');
    expect(await errnoOf(symlink(m, '', 'none'))).toBe('ENOENT');
    expect(await errnoOf(symlink(m, Buffer.alloc(4096, 'x'), 'none'))).toBe('ENAMETOOLONG');
    expect(await errnoOf(symlink(m, 'x', 'n'.repeat(256)))).toBe('ENAMETOOLONG');
    expect(await errnoOf(() => m.open('l'))).toBe('ELOOP');
    expect(await errnoOf(() => m.open('p', writing))).toBe('ENXIO');
    expect(await errnoOf(() => m.create('p', emptying))).toBe('ESTALE');
    expect(await errnoOf(() => readlink(m, 'f'))).toBe('EINVAL');
    expect(await errnoOf(() => readlink(m, 'p'))).toBe('EINVAL');
    expect(await errnoOf(m.rmdir('l'))).toBe('ENOTDIR');
    expect(await errnoOf(async () => m.fs.setattr(await m.ino('l'), { mode: 0o600 }))).toBe('ENOTSUP');
    const frozen = await m.remount({ readOnly: true });
    expect(await errnoOf(symlink(frozen, 'x', 'new'))).toBe('EROFS');
    expect(await errnoOf(frozen.rm('l'))).toBe('EROFS');
    expect(await readlink(frozen, 'l')).toBe('f');
  });

  it('of two that are made at once under one name, one is', async () => {
    const m = await mounted();
    const outcomes = await Promise.all([errnoOf(symlink(m, 'a', 'l')), errnoOf(mknod(m, 'l', 'fifo'))]);
    expect(outcomes.toSorted()).toEqual(['EEXIST', 'no error']);
  });

  it('has owner, times and mode of its own', async () => {
    const m = await mounted();
    await mknod(m, 'p', 'fifo');
    await symlink(m, 'x', 'l');
    const mtime = { sec: 1_000, nsec: 5 };
    for (const path of ['p', 'l']) await m.fs.setattr(await m.ino(path), { uid: 7, gid: 8, mtime });
    await m.fs.setattr(await m.ino('p'), { mode: 0o600 });
    const again = await m.remount();
    expect(await again.stat('p')).toMatchObject({ uid: 7, gid: 8, mtime, mode: 0o600 });
    expect(await again.stat('l')).toMatchObject({ uid: 7, gid: 8, mtime, mode: 0o777 });
  });

  it('makes its directory not empty', async () => {
    const m = await mounted();
    await m.mkdir('d');
    await symlink(m, 'x', 'd/l');
    await m.mkdir('e');
    expect(await errnoOf(m.rmdir('d'))).toBe('ENOTEMPTY');
    expect(await errnoOf(m.mv('e', 'd'))).toBe('ENOTEMPTY');
    await m.rm('d/l');
    await m.rmdir('d');
    expect(await m.names()).toEqual(['e']);
  });

  it('goes on while it is referenced, without a name', async () => {
    const m = await mounted();
    await mknod(m, 'p', 'fifo');
    const ino = await m.ino('p');
    await m.rm('p');
    expect(m.fs.getattr(ino)).toMatchObject({ kind: 'fifo', nlink: 0, size: 0 });
    expect(await errnoOf(m.rm('p'))).toBe('ENOENT');
    expect((await m.remount()).core.table.get(ino)).toBeUndefined();
  });
});

describe('a listing', () => {
  it('takes no such entry away, and gives an object of its name another one', async () => {
    const m = await withFiles({ 'd/x': 'x' }, { ttl: 0 });
    await symlink(m, 'x', 'd/l');
    await mknod(m, 'd/p', 'fifo');
    m.provider.other.put('d/l', 'theirs');
    m.provider.other.delete('d/x');
    const names = await m.names('d');
    expect(names).toEqual(['l', expect.stringMatching(/^l \(~.+\)$/), 'p']);
    expect(await m.cat(`d/${names[1]}`)).toBe('theirs');
    expect(await readlink(m, 'd/l')).toBe('x');
    m.provider.other.delete('d/l');
    expect(await m.names('d')).toEqual(['l', 'p']);
  });

  it('that lacks a directory takes its entries with it', async () => {
    const m = await withFiles({ 'd/x': 'x' }, { ttl: 0 });
    await symlink(m, 'x', 'd/l');
    const ino = await m.ino('d/l');
    m.provider.other.delete('d');
    expect(await m.names()).toEqual([]);
    expect((await m.remount()).core.table.get(ino)).toBeUndefined();
  });

  it('leaves them in a directory that stays for what is not stored', async () => {
    const m = await withFiles({ 'd/x': 'x' }, { ttl: 0, writeBack: true });
    await symlink(m, 'x', 'd/l');
    const gate = m.provider.gate('upload');
    const handle = await m.create('d/new');
    await m.write(handle, 'not stored');
    m.provider.other.delete('d');
    expect(await m.names()).toEqual(['d']);
    expect(await m.names('d')).toEqual(['l', 'new']);
    gate.open();
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ 'd/new': 'not stored' });
    expect(await m.names('d')).toEqual(['l', 'new']);
  });

  it('counts them in statfs, and not among what waits', async () => {
    const m = await mounted();
    const { files } = m.fs.statfs();
    await symlink(m, 'x', 'l');
    expect(m.fs.statfs().files).toBe(files + 1);
    expect(await m.pending()).toEqual([]);
    expect(m.isClean()).toBe(true);
  });
});

describe('rename', () => {
  it.each([['symlink'], ['fifo'], ['stored'], ['unstored']] as const)('of a link over %s', async (kind) => {
    const m = await withFiles({ stored: 'old' });
    await symlink(m, 'x', 'l');
    await symlink(m, 'y', 'symlink');
    await mknod(m, 'fifo', 'fifo');
    const handle = await m.create('unstored');
    await m.write(handle, 'text');
    const before = await m.stat('l');
    m.clock.advance(5);
    m.provider.counts();
    await m.mv('l', kind);
    expect(m.provider.counts()).toEqual(kind === 'stored' ? { trash: 1 } : {});
    expect(await readlink(m, kind)).toBe('x');
    const after = await m.stat(kind);
    expect(after.ino).toBe(before.ino);
    expect(after.ctime).not.toEqual(before.ctime);
    expect(await m.names()).not.toContain('l');
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({
      ...(kind === 'stored' ? {} : { stored: 'old' }),
      ...(kind === 'unstored' ? {} : { unstored: 'text' }),
    });
    expect(m.isClean()).toBe(true);
  });

  it.each([['stored'], ['unstored']])('of a %s file over a link', async (kind) => {
    const m = await withFiles({ stored: 'text' });
    await symlink(m, 'x', 'l');
    const handle = await m.create('unstored');
    await m.write(handle, 'text');
    m.provider.counts();
    await m.mv(kind, 'l');
    expect(m.provider.counts()).toEqual(kind === 'stored' ? { move: 1 } : {});
    expect(await m.stat('l')).toMatchObject({ kind: 'file', size: 4 });
    await m.close(handle);
    expect(m.provider.other.tree()).toMatchObject({ l: 'text' });
    expect(m.isClean()).toBe(true);
  });

  it('between links and directories is refused as everywhere', async () => {
    const m = await mounted();
    await m.mkdir('d');
    await symlink(m, 'x', 'l');
    expect(await errnoOf(m.mv('l', 'd'))).toBe('EISDIR');
    expect(await errnoOf(m.mv('d', 'l'))).toBe('ENOTDIR');
    expect(await errnoOf(m.mv('l', 'd', { noReplace: true, exchange: false }))).toBe('EEXIST');
  });

  it('over a stored file that is open leaves its readers what they need', async () => {
    const m = await withFiles({ f: 'text' });
    const handle = await m.open('f');
    await symlink(m, 'x', 'l');
    await m.mv('l', 'f');
    expect(await m.read(handle)).toBe('text');
    expect(m.fs.getattr(await m.ino('f'))).toMatchObject({ kind: 'symlink' });
    await m.fs.release(handle);
    await settle();
    expect(m.provider.other.tree()).toEqual({});
  });

  it('over a stored file whose removal fails is done, and the object goes later, also after a crash', async () => {
    const m = await withFiles({ f: 'text' });
    await m.names();
    await symlink(m, 'x', 'l');
    m.provider.fail('trash', 'server');
    await m.mv('l', 'f');
    expect(await readlink(m, 'f')).toBe('x');
    expect(m.provider.other.tree()).toEqual({ f: 'text' });
    const again = await m.crash();
    await expect.poll(() => again.provider.other.tree()).toEqual({});
    expect(await again.names()).toEqual(['f']);
    expect(await readlink(again, 'f')).toBe('x');
  });
});

describe('the link count of a directory', () => {
  it('is 2 and its subdirectories where it was listed, and 1 where it was not, without a request', async () => {
    const m = await withFiles({ 'd/e/x': '', 'd/f/x': '', 'd/g': '' });
    expect(await m.stat('d')).toMatchObject({ nlink: 1 });
    await m.names('d');
    m.provider.counts();
    expect(await m.stat('d')).toMatchObject({ nlink: 4 });
    expect(await m.stat('d/e')).toMatchObject({ nlink: 1 });
    expect(m.provider.counts()).toEqual({});
  });

  it('follows what is made, moved and removed', async () => {
    const m = await mounted({ ttl: 0 });
    const counts = async (): Promise<number[]> =>
      Promise.all(['', 'a', 'b'].map(async (path) => (await m.stat(path)).nlink));
    await m.mkdir('a');
    await m.mkdir('b');
    expect(await counts()).toEqual([4, 2, 2]);
    await m.mkdir('a/c');
    await symlink(m, 'x', 'a/l');
    expect(await counts()).toEqual([4, 3, 2]);
    await m.mv('a/c', 'b/c');
    expect(await counts()).toEqual([4, 2, 3]);
    await m.rmdir('b/c');
    await m.rm('a/l');
    await m.mv('a', 'b');
    expect((await m.stat('')).nlink).toBe(3);
    const { ino } = await m.stat('b');
    m.provider.other.put('theirs/x', '');
    await m.names();
    expect((await m.stat('')).nlink).toBe(4);
    await m.rmdir('b');
    expect(m.fs.getattr(ino).nlink).toBe(0);
  });
});
