import { describe, expect, it } from 'vitest';
import { errnoOf, mounted, writing } from './harness.js';

describe('attributes', () => {
  it('are kept here, to the nanosecond, and cost no request', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'text'));
    const ino = await m.ino('a');
    m.provider.counts();
    const atime = { sec: 1_700_000_000, nsec: 123_456_789 };
    const mtime = { sec: -1, nsec: 999_999_999 };
    await m.fs.setattr(ino, { mode: 0o100640, uid: 3, gid: 4, atime, mtime });
    expect(await m.stat('a')).toMatchObject({ mode: 0o640, uid: 3, gid: 4, atime, mtime });
    await m.fs.setattr(ino, { atime: 'now' });
    expect((await m.stat('a')).atime.sec).toBe(Math.floor(m.clock.now() / 1000));
    expect((await m.stat('a')).mtime).toEqual(mtime);
    expect(m.provider.counts()).toEqual({});
  });

  it('that were set while the file was written survive its upload', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'text');
    const mtime = { sec: 1_000_000_000, nsec: 5 };
    await m.fs.setattr(await m.ino('a'), { mtime });
    await m.close(handle);
    expect((await m.stat('a')).mtime).toEqual(mtime);
    m.clock.advance(60_000);
    expect((await m.stat('a')).mtime).toEqual(mtime);
  });

  it('have defaults that follow the umask and the access at the provider', async () => {
    const m = await mounted({ umask: 0o027 }, ({ other }) => {
      other.put('a', '');
      other.put('locked', '');
      other.mkdir('d');
      const locked = other.at('locked');
      if (locked !== undefined) locked.access = 'read';
    });
    expect(await m.stat('a')).toMatchObject({ mode: 0o640, uid: 1000, gid: 1000 });
    expect(await m.stat('d')).toMatchObject({ mode: 0o750, kind: 'directory' });
    expect(await m.stat('locked')).toMatchObject({ mode: 0o440 });
    expect(await errnoOf(m.open('locked', writing))).toBe('EACCES');
  });

  it('of the directory move when an entry comes or goes', async () => {
    const m = await mounted();
    await m.mkdir('d');
    m.clock.advance(5000);
    await m.put('d/a', 'x');
    const made = (await m.stat('d')).mtime;
    expect(made.sec * 1000 + made.nsec / 1e6).toBe(m.clock.now());
    m.clock.advance(5000);
    await m.rm('d/a');
    expect((await m.stat('d')).mtime.sec).toBe(made.sec + 5);
  });
});

describe('extended attributes', () => {
  it('of the user namespace are kept, others are refused', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', ''));
    const ino = await m.ino('a');
    m.fs.setxattr(ino, 'user.b', Buffer.from([0, 255]), 'create');
    m.fs.setxattr(ino, 'user.a', Buffer.from('x'), 'either');
    expect(m.fs.listxattr(ino)).toEqual(['user.a', 'user.b']);
    expect([...m.fs.getxattr(ino, 'user.b')]).toEqual([0, 255]);
    expect(await errnoOf(() => m.fs.setxattr(ino, 'user.b', Buffer.from('y'), 'create'))).toBe('EEXIST');
    expect(await errnoOf(() => m.fs.setxattr(ino, 'user.c', Buffer.from('y'), 'replace'))).toBe('ENODATA');
    expect(await errnoOf(() => m.fs.setxattr(ino, 'security.x', Buffer.from('y'), 'either'))).toBe('ENOTSUP');
    expect(await errnoOf(() => m.fs.setxattr(ino, 'user.c', Buffer.alloc(65537), 'either'))).toBe('ERANGE');
    m.fs.removexattr(ino, 'user.b');
    expect(await errnoOf(() => m.fs.getxattr(ino, 'user.b'))).toBe('ENODATA');
    expect(await errnoOf(() => m.fs.removexattr(ino, 'user.b'))).toBe('ENODATA');
    expect(await errnoOf(() => m.fs.getxattr(ino, 'security.capability'))).toBe('ENOTSUP');
  });
});
