/** Whatever call fails with an errno that hides its cause: the log has the cause, once. */
import { describe, expect, it } from 'vitest';
import type { Filesystem, HandleId, Ino } from '../../../src/filesystem/api.js';
import { creating, type Mounted, mounted, overwriting, reading, writing } from '../harness.js';

/** They answer without the state, or, as `release`, to nobody. */
type Never = 'root' | 'validity' | 'parentOf' | 'release' | 'countsReferences' | 'forgotten' | 'onInvalidate';

interface Place {
  readonly m: Mounted;
  readonly root: Ino;
  readonly file: Ino;
  readonly handle: HandleId;
}

/** What breaks: the next look at the table, at the open files, or a part of the state database. */
type Broken = 'table' | 'count' | 'files' | 'database';

const data = Buffer.from('data');
const backing = { fd: 0 };

const calls: Record<Exclude<keyof Filesystem, Never>, readonly [Broken, (place: Place) => unknown]> = {
  lookup: ['table', ({ m, root }) => m.fs.lookup(root, 'f')],
  getattr: ['table', ({ m, file }) => m.fs.getattr(file)],
  setattr: ['table', ({ m, file }) => m.fs.setattr(file, { mode: 0o600 })],
  readdir: ['table', ({ m, root }) => m.fs.readdir(root)],
  open: ['table', ({ m, file }) => m.fs.open(file, reading)],
  create: ['table', ({ m, root }) => m.fs.create(root, 'new', 0o644, creating)],
  mkdir: ['table', ({ m, root }) => m.fs.mkdir(root, 'new', 0o755)],
  symlink: ['table', ({ m, root }) => m.fs.symlink(root, 'new', data)],
  readlink: ['table', ({ m, file }) => m.fs.readlink(file)],
  mknod: ['table', ({ m, root }) => m.fs.mknod(root, 'new', { kind: 'fifo', mode: 0o644, rdev: 0 })],
  link: ['table', ({ m, root, file }) => m.fs.link(file, root, 'new')],
  unlink: ['table', ({ m, root }) => m.fs.unlink(root, 'f')],
  rmdir: ['table', ({ m, root }) => m.fs.rmdir(root, 'd')],
  rename: ['table', ({ m, root }) => m.fs.rename(root, 'f', root, 'g', overwriting)],
  backing: ['files', ({ m, handle }) => m.fs.backing(handle)],
  mapBacking: ['files', ({ m, handle }) => m.fs.mapBacking(handle, backing)],
  mountLost: ['files', ({ m, handle }) => m.fs.mountLost(handle)],
  read: ['files', ({ m, handle }) => m.fs.read(handle, Buffer.alloc(4), 0)],
  write: ['files', ({ m, handle }) => m.fs.write(handle, data, 0)],
  flush: ['files', ({ m, handle }) => m.fs.flush(handle)],
  fsync: ['files', ({ m, handle }) => m.fs.fsync(handle)],
  fsyncDirectory: ['table', ({ m, root }) => m.fs.fsyncDirectory(root)],
  fallocate: [
    'files',
    ({ m, handle }) => m.fs.fallocate(handle, { offset: 0, length: 10, keepSize: false, zeroes: false }),
  ],
  seek: ['files', ({ m, handle }) => m.fs.seek(handle, 0, 'data')],
  copyRange: ['files', ({ m, handle }) => m.fs.copyRange(handle, 0, handle, 0, 4)],
  statfs: ['count', ({ m }) => m.fs.statfs()],
  getxattr: ['database', ({ m, file }) => m.fs.getxattr(file, 'user.a')],
  setxattr: ['database', ({ m, file }) => m.fs.setxattr(file, 'user.a', data, { mode: 'either' })],
  listxattr: ['database', ({ m, file }) => m.fs.listxattr(file)],
  removexattr: ['database', ({ m, file }) => m.fs.removexattr(file, 'user.a')],
};

const broken = { name: 'the disk was pulled out' };

/** The next call of `method` throws; later ones are as before. */
function breakNext<T extends object, K extends keyof T>(object: T, method: K): void {
  const before = Object.getOwnPropertyDescriptor(object, method);
  Object.defineProperty(object, method, {
    configurable: true,
    value: () => {
      if (before === undefined) Reflect.deleteProperty(object, method);
      else Object.defineProperty(object, method, before);
      throw new Error(broken.name);
    },
  });
}

async function place(): Promise<Place> {
  const m = await mounted({}, (provider) => {
    provider.other.put('f', 'text');
    provider.other.put('d/inner', 'text');
  });
  const file = await m.ino('f');
  await m.names('d');
  return { m, root: m.fs.root, file, handle: await m.open('f', writing) };
}

function doBreak(what: Broken, { core }: Mounted): RegExp {
  if (what === 'table') breakNext(core.table, 'get');
  if (what === 'count') breakNext(core.table, 'countAtMost');
  if (what === 'files') breakNext(core.files, 'handle');
  if (what !== 'database') return /EIO, the disk was pulled out/;
  core.state.sql.exec('DROP TABLE xattr');
  return /EIO, no such table/;
}

describe('a call that fails for a reason that its errno does not tell', () => {
  it.each(Object.entries(calls))('%s leaves it in the log, once', async (name, [what, call]) => {
    const at = await place();
    const reason = doBreak(what, at.m);
    const before = at.m.messages.length;
    const failure = await Promise.resolve()
      .then(() => call(at))
      .then(
        () => 'no error',
        (error: { code: string }) => error.code,
      );
    expect(failure).toBe('EIO');
    const lines = at.m.messages.slice(before);
    expect(lines).toEqual([expect.stringMatching(reason)]);
    expect(lines[0]).toMatch(new RegExp(`^${name} /`));
  });

  it('names what was removed as it was known last', async () => {
    const { m, root, handle } = await place();
    await m.fs.unlink(root, 'f');
    const before = m.messages.length;
    breakNext(m.core.files, 'handle');
    expect(() => m.fs.read(handle, Buffer.alloc(4), 0)).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect(m.messages.slice(before)).toEqual([expect.stringMatching(/^read \/f \(removed\): EIO/)]);
  });

  it('an upload that close() waited for has one line, not one of the upload and one of the call', async () => {
    const { m, handle } = await place();
    await m.write(handle, 'more');
    m.provider.fail('upload', 'server');
    const before = m.messages.length;
    await expect(m.fs.flush(handle)).rejects.toMatchObject({ code: 'EIO' });
    expect(m.messages.slice(before)).toEqual([expect.stringMatching(/^\/f is not stored/)]);
  });

  it('nothing is said of answers that say all there is to say', async () => {
    const { m, root, file } = await place();
    const before = m.messages.length;
    const answers: readonly (() => unknown)[] = [
      () => m.fs.mkdir(root, 'd', 0o755),
      () => m.fs.rmdir(root, 'd'),
      () => m.fs.unlink(root, 'missing'),
      () => m.fs.rename(root, 'missing', root, 'g', overwriting),
      () => m.fs.create(root, 'f', 0o644, creating),
      () => m.fs.removexattr(file, 'user.missing'),
      () => m.fs.removexattr(file, 'security.selinux'),
      () => m.fs.read(4711, Buffer.alloc(1), 0),
      () => m.fs.open(root, reading),
      () => m.fs.readdir(file),
    ];
    for (const answer of answers)
      await expect(Promise.resolve().then(answer)).rejects.toMatchObject({ errno: expect.any(Number) });
    expect(m.messages.slice(before)).toEqual([]);
  });
});
