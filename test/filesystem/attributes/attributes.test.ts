import { describe, expect, it } from 'vitest';
import { aclOf } from '../../support/acl-text.js';
import { creating, errnoOf, mounted, writing } from '../harness.js';

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
  it('of the namespaces of xattr(7) are kept, others are refused', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', ''));
    const ino = await m.ino('a');
    const set = (name: string, value: Uint8Array | string, mode: 'create' | 'replace' | 'either' = 'either') =>
      errnoOf(() => m.fs.setxattr(ino, name, Buffer.from(value), { mode }));
    expect(await set('user.b', Buffer.from([0, 255]), 'create')).toBe('no error');
    expect(await set('trusted.t', 'x')).toBe('no error');
    expect(await set('security.s', 'x')).toBe('no error');
    expect(m.fs.listxattr(ino, { uid: 0 })).toEqual(['security.s', 'trusted.t', 'user.b']);
    expect([...(m.fs.getxattr(ino, 'user.b') ?? [])]).toEqual([0, 255]);
    expect(await set('user.b', 'y', 'create')).toBe('EEXIST');
    expect(await set('user.c', 'y', 'replace')).toBe('ENODATA');
    expect(await set('system.other', 'y')).toBe('ENOTSUP');
    expect(await set('user.', 'y')).toBe('EINVAL');
    expect(await set('user.c', Buffer.alloc(65536))).toBe('no error');
    expect(await set('user.c', Buffer.alloc(65537))).toBe('E2BIG');
    expect(await set(`user.${'n'.repeat(250)}`, '')).toBe('no error');
    expect(await set(`user.${'n'.repeat(251)}`, '')).toBe('ERANGE');
    m.fs.removexattr(ino, 'user.b');
    expect(m.fs.getxattr(ino, 'user.b')).toBeUndefined();
    expect(await errnoOf(() => m.fs.removexattr(ino, 'user.b'))).toBe('ENODATA');
  });

  it('of `trusted` are listed for root alone', async () => {
    const m = await mounted();
    await m.put('a', '');
    const ino = await m.ino('a');
    m.fs.setxattr(ino, 'trusted.t', Buffer.from('x'), { mode: 'either' });
    expect(m.fs.listxattr(ino, { uid: 1000 })).toEqual([]);
    expect(m.fs.listxattr(ino)).toEqual([]);
  });

  it('move ctime, and nothing else', async () => {
    const m = await mounted();
    await m.put('a', 'text');
    const ino = await m.ino('a');
    const before = await m.stat('a');
    m.clock.advance(5000);
    m.fs.setxattr(ino, 'user.a', Buffer.from('x'), { mode: 'either' });
    const set = await m.stat('a');
    expect(set.ctime.sec).toBe(before.ctime.sec + 5);
    expect(set).toEqual({ ...before, ctime: set.ctime });
    m.fs.removexattr(ino, 'user.a');
    expect((await m.stat('a')).ctime).toEqual({ ...set.ctime, nsec: set.ctime.nsec + 1 });
  });

  it('make `ls` stop asking for labels as long as there is none', async () => {
    const m = await mounted();
    await m.put('a', '');
    await m.put('b', '');
    const [a, b] = [await m.ino('a'), await m.ino('b')];
    const label = 'security.selinux';
    expect(await errnoOf(() => m.fs.getxattr(a, label))).toBe('ENOTSUP');
    m.fs.setxattr(a, label, Buffer.from('x'), { mode: 'either' });
    expect(m.fs.getxattr(b, label)).toBeUndefined();
  });

  it('lose the capability when content or owner change, and keep it otherwise', async () => {
    const m = await mounted();
    const name = 'security.capability';
    const has = async (): Promise<boolean> => m.fs.listxattr(await m.ino('a')).includes(name);
    await m.put('a', 'text');
    const ino = await m.ino('a');
    const give = () => m.fs.setxattr(ino, name, Buffer.from('x'), { mode: 'either' });
    give();
    await m.fs.setattr(ino, { mode: 0o755, atime: 'now' });
    expect(await has()).toBe(true);
    await m.fs.setattr(ino, { uid: 5 });
    expect(await has()).toBe(false);
    give();
    await m.fs.setattr(ino, { size: 4 });
    expect(await has()).toBe(false);
    give();
    const handle = await m.open('a', writing);
    expect(await has()).toBe(true);
    await m.write(handle, 'x');
    expect(await has()).toBe(false);
    await m.close(handle);
    give();
    const again = await m.remount();
    const opened = await again.open('a', writing);
    await again.write(opened, 'y');
    expect(again.fs.listxattr(await again.ino('a'))).toEqual([]);
    await again.close(opened);
  });
});

describe('an access ACL', () => {
  const name = 'system.posix_acl_access';
  const extended = aclOf('u::rw- u:5:r-x g::r-- m::rwx o::---');

  it('sets the mode, of which its mask is the group', async () => {
    const m = await mounted();
    await m.put('a', '');
    const ino = await m.ino('a');
    await m.fs.setattr(ino, { mode: 0o2755 });
    m.fs.setxattr(ino, name, extended, { mode: 'either' });
    expect((await m.stat('a')).mode).toBe(0o2670);
    m.fs.setxattr(ino, name, extended, { mode: 'either', killSetGroupId: true });
    expect((await m.stat('a')).mode).toBe(0o670);
    expect(m.fs.listxattr(ino)).toEqual([name]);
  });

  it('follows chmod', async () => {
    const m = await mounted();
    await m.put('a', '');
    const ino = await m.ino('a');
    m.fs.setxattr(ino, name, extended, { mode: 'either' });
    await m.fs.setattr(ino, { mode: 0o4751 });
    expect(Buffer.from(m.fs.getxattr(ino, name) ?? [])).toEqual(aclOf('u::rwx u:5:r-x g::r-- m::r-x o::--x'));
    expect((await m.stat('a')).mode).toBe(0o4751);
  });

  it('that says no more than a mode is a mode', async () => {
    const m = await mounted();
    await m.put('a', '');
    const ino = await m.ino('a');
    m.fs.setxattr(ino, name, extended, { mode: 'either' });
    m.fs.setxattr(ino, name, aclOf('u::rw- g::r-- o::---'), { mode: 'either' });
    expect((await m.stat('a')).mode).toBe(0o640);
    expect(m.fs.listxattr(ino)).toEqual([]);
    // removexattr(2) of an ACL that is not there is no error on a local disk.
    m.fs.removexattr(ino, name);
  });
});

describe('a default ACL', () => {
  const name = 'system.posix_acl_default';
  const acl = aclOf('u::rwx u:5:rw- g::r-x m::rwx o::r--');

  it('belongs to a directory', async () => {
    const m = await mounted();
    await m.put('a', '');
    const set = async () => m.fs.setxattr(await m.ino('a'), name, acl, { mode: 'either' });
    expect(await errnoOf(set())).toBe('EACCES');
  });

  it('is inherited, instead of the umask', async () => {
    const m = await mounted();
    await m.mkdir('d');
    m.fs.setxattr(await m.ino('d'), name, acl, { mode: 'either' });
    const caller = { uid: 7, gid: 7, umask: 0o077 };
    await m.close((await m.fs.create(await m.ino('d'), 'f', 0o660, creating, caller)).handle);
    await m.fs.mkdir(await m.ino('d'), 's', 0o777, caller);
    expect(await m.stat('d/f')).toMatchObject({ mode: 0o660, uid: 7 });
    expect(await m.stat('d/s')).toMatchObject({ mode: 0o774, uid: 7 });
    const [f, s] = [await m.ino('d/f'), await m.ino('d/s')];
    expect(m.fs.listxattr(f)).toEqual(['system.posix_acl_access']);
    expect(Buffer.from(m.fs.getxattr(f, 'system.posix_acl_access') ?? [])).toEqual(
      aclOf('u::rw- u:5:rw- g::r-x m::rw- o::---'),
    );
    expect(m.fs.listxattr(s)).toEqual(['system.posix_acl_access', name]);
    expect(Buffer.from(m.fs.getxattr(s, name) ?? [])).toEqual(acl);
    // Elsewhere the umask counts.
    await m.fs.mkdir(m.fs.root, 'e', 0o777, caller);
    expect((await m.stat('e')).mode).toBe(0o700);
  });
});
