import { describe, expect, it } from 'vitest';
import type { Filesystem } from '../../../src/filesystem/api.js';
import { CloudFilesystem } from '../../../src/filesystem/cloud-filesystem.js';
import { formatTrashInfo, itemNameOf, trashOwner } from '../../../src/filesystem/trash/trash-info.js';
import { ProviderError } from '../../../src/providers/errors.js';
import { creating, errnoOf, type Mounted, overwriting, reading, settle, withFiles } from '../harness.js';

const uid = 1000;
const top = `.Trash-${uid}`;

/** What programs do with the trash, in paths. */
class Desktop {
  readonly fs: Filesystem;

  constructor(readonly m: Mounted) {
    this.fs = m.fs.withTrash();
  }

  async ino(path: string): Promise<number> {
    let at = this.fs.root;
    for (const name of path.split('/').filter(Boolean)) {
      const found = await this.fs.lookup(at, name);
      if (found === undefined) throw new Error(`${path} does not exist`);
      at = found.ino;
    }
    return at;
  }

  async names(path: string): Promise<string[]> {
    return (await this.fs.readdir(await this.ino(path))).map(({ name }) => name).sort();
  }

  async mv(from: string, to: string): Promise<void> {
    const [a, b] = [split(from), split(to)];
    await this.fs.rename(await this.ino(a.parent), a.name, await this.ino(b.parent), b.name, overwriting);
  }

  async rm(path: string): Promise<void> {
    const { parent, name } = split(path);
    await this.fs.unlink(await this.ino(parent), name);
  }

  async rmdir(path: string): Promise<void> {
    const { parent, name } = split(path);
    await this.fs.rmdir(await this.ino(parent), name);
  }

  async write(path: string, text: string): Promise<void> {
    const { parent, name } = split(path);
    const { handle } = await this.fs.create(await this.ino(parent), name, 0o600, creating);
    await this.fs.write(handle, Buffer.from(text), 0);
    await this.fs.flush(handle);
    await this.fs.release(handle);
  }

  async cat(path: string): Promise<string> {
    const { handle } = await this.fs.open(await this.ino(path), reading);
    const into = Buffer.alloc(4096);
    const length = await this.fs.read(handle, into, 0);
    await this.fs.release(handle);
    return into.subarray(0, length).toString();
  }

  /** As GIO does it: reserves a name by its info file, writes that under a temporary name, and moves. */
  async discard(path: string): Promise<void> {
    const { name } = split(path);
    await this.write(`${top}/info/${name}.trashinfo`, '');
    await this.write(`${top}/info/${name}.trashinfo.ABCDEF`, `[Trash Info]\nPath=${path}\n`);
    await this.mv(`${top}/info/${name}.trashinfo.ABCDEF`, `${top}/info/${name}.trashinfo`);
    await this.mv(path, `${top}/files/${name}`);
  }
}

function split(path: string): { readonly parent: string; readonly name: string } {
  const at = path.lastIndexOf('/');
  return { parent: path.slice(0, Math.max(at, 0)), name: path.slice(at + 1) };
}

async function desktopWith(files: Record<string, string>, options = {}): Promise<Desktop> {
  return new Desktop(await withFiles(files, options));
}

describe('the names of a trash', () => {
  it.each([
    ['.Trash-1000', 1000],
    ['.Trash-0', 0],
    ['.Trash-4294967294', 4294967294],
    ['.Trash-4294967295', undefined],
    ['.Trash-01', undefined],
    ['.Trash-', undefined],
    ['.Trash', undefined],
    ['x.Trash-1', undefined],
  ])('%s is of user %s', (name, owner) => expect(trashOwner(name)).toBe(owner));

  it('escapes the path of an info file, and gives the local time', () => {
    const noon = new Date(2026, 1, 3, 12, 5, 9).getTime();
    expect(formatTrashInfo(['a b', 'é%.txt'], noon)).toBe(
      '[Trash Info]\nPath=a%20b/%C3%A9%25.txt\nDeletionDate=2026-02-03T12:05:09\n',
    );
    expect([itemNameOf('a.trashinfo'), itemNameOf('.trashinfo'), itemNameOf('a')]).toEqual(['a', undefined, undefined]);
  });
});

describe('a trash directory', () => {
  it('is there for those who name it, in no listing, and costs no request', async () => {
    const d = await desktopWith({ 'a.txt': 'a' });
    expect(await d.names('')).toEqual(['a.txt']);
    d.m.provider.counts();
    const found = await d.fs.lookup(d.fs.root, top);
    expect(found).toMatchObject({ kind: 'directory', mode: 0o700, uid });
    expect(await d.names(top)).toEqual(['files', 'info']);
    expect(d.m.provider.counts()).toEqual({});
  });

  it('takes a file, and gives it back, with one request each and all its attributes', async () => {
    const d = await desktopWith({ 'docs/a.txt': 'content' });
    await d.names('docs');
    await d.fs.setattr(await d.ino('docs/a.txt'), { mode: 0o640, mtime: { sec: 7, nsec: 9 } });
    const { ino } = await d.m.stat('docs/a.txt');
    d.m.provider.counts();

    await d.discard('docs/a.txt');
    expect(d.m.provider.counts()).toEqual({ trash: 1 });
    expect(d.m.provider.other.trash()).toEqual(['a.txt']);
    expect(await d.names('docs')).toEqual([]);
    expect(await d.names(`${top}/files`)).toEqual(['a.txt']);
    expect(await d.cat(`${top}/info/a.txt.trashinfo`)).toBe('[Trash Info]\nPath=docs/a.txt\n');
    d.m.provider.counts();

    await d.mv(`${top}/files/a.txt`, 'docs/a.txt');
    expect(d.m.provider.counts()).toEqual({ untrash: 1 });
    expect(d.m.provider.other.tree()).toEqual({ 'docs/a.txt': 'content' });
    expect(await d.m.stat('docs/a.txt')).toMatchObject({ ino, mode: 0o640, mtime: { sec: 7, nsec: 9 } });
    expect(await d.m.cat('docs/a.txt')).toBe('content');
    expect(await d.names(`${top}/files`)).toEqual([]);
  });

  it('takes a folder in one request, and keeps the attributes of what is in it across a remount', async () => {
    const d = await desktopWith({ 'f/in/a.txt': 'x', 'f/b': 'y' });
    await d.names('f/in');
    await d.fs.setattr(await d.ino('f/in/a.txt'), { mode: 0o600 });
    await d.m.fs.symlink(await d.ino('f'), 'link', Buffer.from('b'));
    d.m.provider.counts();
    await d.discard('f');
    expect(d.m.provider.counts()).toEqual({ trash: 1 });

    const again = new Desktop(await d.m.remount());
    expect(await again.names(`${top}/files`)).toEqual(['f']);
    expect(await again.names(`${top}/files/f`)).toEqual([]);
    await again.mv(`${top}/files/f`, 'f');
    expect(await again.names('f')).toEqual(['b', 'in', 'link']);
    expect(await again.m.stat('f/in/a.txt')).toMatchObject({ mode: 0o600 });
  });

  it('shows what another client has removed, with where it was, and restores it', async () => {
    const d = await desktopWith({ 'docs/a b.txt': 'theirs' });
    await d.names('docs');
    d.m.provider.other.discard('docs/a b.txt');
    expect(await d.names(`${top}/files`)).toEqual(['a b.txt']);
    expect(await d.names(`${top}/info`)).toEqual(['a b.txt.trashinfo']);
    expect(await d.cat(`${top}/info/a b.txt.trashinfo`)).toMatch(
      /^\[Trash Info\]\nPath=docs\/a%20b\.txt\nDeletionDate=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\n$/,
    );
    await d.mv(`${top}/files/a b.txt`, 'other name');
    expect(d.m.provider.other.tree()).toEqual({ 'other name': 'theirs' });
  });

  it('gives each of several objects of one name its own', async () => {
    const d = await desktopWith({ 'a/x': '1', 'b/x': '2', 'c/x': '3' });
    for (const folder of ['a', 'b', 'c']) await d.names(folder);
    d.m.provider.other.discard('a/x');
    await d.discard('b/x');
    d.m.provider.other.discard('c/x');
    d.m.clock.advance(120_000);
    const names = await d.names(`${top}/files`);
    expect(names).toHaveLength(3);
    expect(names).toContain('x');
    expect((await d.names(`${top}/info`)).sort()).toEqual(names.map((name) => `${name}.trashinfo`).sort());
    expect(await d.cat(`${top}/info/x.trashinfo`)).toContain('Path=b/x');
  });

  it('removes for ever, file and folder, with one request each', async () => {
    const d = await desktopWith({ 'a.txt': 'a', 'f/b': 'b' });
    await d.names('');
    await d.discard('a.txt');
    await d.discard('f');
    d.m.provider.counts();
    await d.rm(`${top}/files/a.txt`);
    await d.rmdir(`${top}/files/f`);
    expect(d.m.provider.counts()).toEqual({ remove: 2 });
    expect(d.m.provider.other.trash()).toEqual([]);
    // The programs' own files went with them.
    expect(await d.names(`${top}/info`)).toEqual([]);
  });

  it('lets gvfs set aside what it deletes', async () => {
    const d = await desktopWith({ 'f/b': 'b' });
    await d.names('');
    await d.discard('f');
    await d.mv(`${top}/files/f`, `${top}/expunged/4711`);
    await d.rm(`${top}/info/f.trashinfo`);
    expect(await d.names(`${top}/files`)).toEqual([]);
    expect(await d.names(`${top}/info`)).toEqual([]);
    await d.rmdir(`${top}/expunged/4711`);
    expect(d.m.provider.other.trash()).toEqual([]);
  });

  it('restores to a chosen place, also while the old name is taken', async () => {
    const d = await desktopWith({ 'docs/a': 'old', 'other/x': '' });
    await d.names('docs');
    await d.names('other');
    await d.discard('docs/a');
    await d.m.put('docs/a', 'new');
    expect(await errnoOf(() => d.mv(`${top}/files/a`, 'docs/a'))).toBe('EEXIST');
    await d.mv(`${top}/files/a`, 'other/a');
    expect(d.m.provider.other.tree()).toEqual({ 'docs/a': 'new', 'other/a': 'old', 'other/x': '' });
  });

  it('tells the kernel, which knows a name for missing, that a command has restored it', async () => {
    const d = await desktopWith({ 'docs/a': 'a' });
    await d.names('docs');
    await d.discard('docs/a');
    const parent = await d.ino('docs');
    d.m.invalidations.length = 0;
    const progress: number[] = [];
    const restored = await d.m.fs.trash.restoreNamed(
      ['a'],
      (done) => progress.push(done),
      new AbortController().signal,
    );
    expect(restored).toEqual([{ name: 'a', path: '/docs/a' }]);
    expect(progress).toEqual([1]);
    await settle();
    expect(d.m.invalidations).toContainEqual({ kind: 'entry', parent, name: 'a' });
    expect(await d.m.cat('docs/a')).toBe('a');
  });

  it('has what was below the mounted folder, if that is a folder of the account', async () => {
    const d = await desktopWith({ 'docs/in/a': 'a', 'other/b': 'b' });
    for (const folder of ['docs', 'docs/in', 'other']) await d.names(folder);
    for (const path of ['docs/in/a', 'other/b']) d.m.provider.other.discard(path);
    const root = await d.ino('docs');
    const part = new CloudFilesystem(d.m.core, root, await d.m.provider.account()).withTrash();
    const files = async (folder: string): Promise<string[]> => {
      const found = await part.lookup((await part.lookup(root, top))?.ino ?? 0, folder);
      return (await part.readdir(found?.ino ?? 0)).map(({ name }) => name);
    };
    expect([await files('files'), await files('info')]).toEqual([['a'], ['a.trashinfo']]);
  });

  it('forgets what is not in it any more', async () => {
    const d = await desktopWith({ 'a.txt': 'a' });
    await d.names('');
    await d.discard('a.txt');
    d.m.provider.other.forget(d.m.provider.other.anyNode('file', d.m.provider.other.trashed()[0]?.entry.id ?? ''));
    d.m.clock.advance(120_000);
    expect(await d.names(`${top}/files`)).toEqual([]);
    d.m.clock.advance(2 * 60 * 60_000);
    expect(await d.names(`${top}/info`)).toEqual([]);
  });

  it('loses nothing when the process dies while an object goes in', async () => {
    for (const when of ['before', 'after'] as const) {
      const d = await desktopWith({ 'docs/a.txt': 'a' });
      await d.names('docs');
      await d.write(`${top}/info/a.txt.trashinfo`, 'Path=docs/a.txt');
      const gate = d.m.provider.gate('trash', when);
      const moving = d.mv('docs/a.txt', `${top}/files/a.txt`).catch(() => undefined);
      await gate.reached;
      const revived = new Desktop(await d.m.crash());
      gate.open(new ProviderError('network', 'the process is dead'));
      await moving;
      await settle();
      expect(await revived.names('docs')).toEqual(when === 'before' ? ['a.txt'] : []);
      expect(await revived.names(`${top}/files`)).toEqual(when === 'before' ? [] : ['a.txt']);
      expect(await revived.names(`${top}/info`)).toEqual(when === 'before' ? [] : ['a.txt.trashinfo']);
      if (when === 'after') expect(await revived.cat(`${top}/info/a.txt.trashinfo`)).toBe('Path=docs/a.txt');
    }
  });

  it('keeps no info file of an object that had not gone in, or had come back, when the process died', async () => {
    const d = await desktopWith({ 'docs/a.txt': 'a', 'docs/b.txt': 'b' });
    await d.names('docs');
    await d.discard('docs/b.txt');
    await d.mv(`${top}/files/b.txt`, 'docs/b.txt');
    await d.write(`${top}/info/a.txt.trashinfo`, 'Path=docs/a.txt');
    expect(await d.names(`${top}/info`)).toEqual(['a.txt.trashinfo', 'b.txt.trashinfo']);
    const revived = new Desktop(await d.m.crash());
    expect(await revived.names(`${top}/info`)).toEqual([]);
  });

  it('keeps the object where it was if the service refuses', async () => {
    const d = await desktopWith({ 'a.txt': 'a' });
    await d.names('');
    d.m.provider.fail('trash', 'permission');
    expect(await errnoOf(() => d.mv('a.txt', `${top}/files/a.txt`))).toBe('EACCES');
    expect(await d.names(`${top}/files`)).toEqual([]);
    expect(await d.m.cat('a.txt')).toBe('a');
  });

  it('stores first what is not stored yet, and refuses what a program is writing', async () => {
    const d = await desktopWith({}, { writeBack: true });
    await d.m.mkdir('f');
    await d.m.put('f/a', 'written');
    await d.mv('f', `${top}/files/f`);
    await d.mv(`${top}/files/f`, 'f');
    expect(d.m.provider.other.tree()).toEqual({ 'f/a': 'written' });
    const handle = await d.m.create('f/b');
    await d.m.write(handle, 'half');
    expect(await errnoOf(() => d.mv('f', `${top}/files/f`))).toBe('EBUSY');
    await d.m.close(handle);
  });

  it('leaves links to those who delete them for good', async () => {
    const d = await desktopWith({ a: 'a', 'f/b': 'b' });
    await d.names('f');
    await d.m.fs.symlink(d.fs.root, 'link', Buffer.from('a'));
    await d.m.fs.link(await d.ino('f/b'), d.fs.root, 'further');
    for (const name of ['link', 'further', 'f']) {
      expect(await errnoOf(() => d.mv(name, `${top}/files/${name}`))).toBe('EXDEV');
    }
    await d.mv('a', `${top}/files/a`);
  });

  it('lets nobody make, open or remove what is its own', async () => {
    const d = await desktopWith({ 'a.txt': 'a' });
    await d.names('');
    await d.discard('a.txt');
    expect(await errnoOf(() => d.write(`${top}/files/new`, 'x'))).toBe('EPERM');
    expect(await errnoOf(() => d.cat(`${top}/files/a.txt`))).toBe('EPERM');
    expect(await errnoOf(() => d.rmdir(`${top}/files`))).toBe('EBUSY');
    expect(await errnoOf(() => d.rmdir(top))).toBe('EBUSY');
    expect(await errnoOf(() => d.mv(top, 'elsewhere'))).toBe('EBUSY');
    expect(await errnoOf(() => d.mv(`${top}/info/a.txt.trashinfo`, 'elsewhere'))).toBe('EXDEV');
    expect(await errnoOf(async () => d.fs.mkdir(d.fs.root, top, 0o700))).toBe('EEXIST');
  });

  it('is no directory where the service has none', async () => {
    const d = await desktopWith({ 'a.txt': 'a' }, { provider: { capabilities: { trash: false } } });
    expect(await d.fs.lookup(d.fs.root, top)).toMatchObject({ kind: 'file', mode: 0 });
    expect(await d.names('')).toEqual(['a.txt']);
  });

  it('is the object of the account where that has one of the name', async () => {
    const d = await desktopWith({ [`${top}/files/old`]: 'old' });
    expect(await d.names('')).toEqual([top]);
    expect(await d.names(`${top}/files`)).toEqual(['old']);
    expect(await d.m.cat(`${top}/files/old`)).toBe('old');
  });

  it('tells df the room at once after something has left it for ever', async () => {
    const d = await desktopWith({ 'a.txt': 'a' });
    await d.names('');
    await d.discard('a.txt');
    await d.rm(`${top}/files/a.txt`);
    d.m.provider.counts();
    await d.fs.statfs();
    expect(d.m.provider.counts()).toEqual({ account: 1 });
    await d.fs.statfs();
    expect(d.m.provider.counts()).toEqual({});
  });
});
