import { describe, expect, it } from 'vitest';
import {
  type DeathPlace,
  dieAt,
  errnoOf,
  intents,
  type Mounted,
  mounted,
  settle,
  withFiles,
  writing,
} from '../harness.js';
import { ln, tree } from './hard-link-support.js';

describe('RENAME_EXCHANGE', () => {
  const exchanging = { noReplace: false, exchange: true };

  it('swaps names that only this machine has, without a request', async () => {
    const m = await withFiles({ a: 'a', 'd/x': '' });
    await m.names('d');
    await ln(m, 'a', 'further');
    await m.fs.symlink(m.fs.root, 'link', Buffer.from('x'));
    const handle = await m.create('unstored');
    await m.write(handle, 'u');
    const inos = async (names: string[]): Promise<number[]> => Promise.all(names.map((name) => m.ino(name)));
    const [further = 0, link = 0, unstored = 0] = await inos(['further', 'link', 'unstored']);
    m.provider.counts();
    await m.mv('further', 'link', exchanging);
    expect(await inos(['further', 'link'])).toEqual([link, further]);
    await m.mv('further', 'unstored', exchanging);
    expect(await inos(['further', 'unstored'])).toEqual([unstored, link]);
    await m.mv('link', 'further', exchanging);
    expect(await inos(['link', 'further'])).toEqual([unstored, further]);
    expect(m.provider.counts()).toEqual({});
    expect((await m.stat('a')).nlink).toBe(2);
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ a: 'a', 'd/x': '', link: 'u' });
    const all = await tree(m);
    expect(Object.keys(all).toSorted()).toEqual(['a', 'd/x', 'further', 'link', 'unstored']);
    expect(await tree(await m.remount())).toEqual(all);
  });

  it('of an inode with itself changes nothing, and of a name that is missing is ENOENT', async () => {
    const m = await withFiles({ a: 'a', b: 'b' });
    await ln(m, 'a', 'c');
    expect(await errnoOf(m.mv('c', 'none', exchanging))).toBe('ENOENT');
    await m.mv('a', 'c', exchanging);
    expect(await m.names()).toEqual(['a', 'b', 'c']);
  });

  it('is refused where the provider cannot move what it has', async () => {
    const m = await mounted({ provider: { capabilities: { moveFile: false, moveFolder: false } } }, (memory) => {
      for (const path of ['a', 'b', 'd/x']) memory.other.put(path, path);
    });
    await m.fs.symlink(m.fs.root, 'link', Buffer.from('x'));
    for (const [one, other] of [
      ['a', 'b'],
      ['link', 'a'],
      ['a', 'link'],
      ['d', 'a'],
    ] as const)
      expect(await errnoOf(m.mv(one, other, exchanging))).toBe('EINVAL');
  });

  it('is refused for a directory and what is in it', async () => {
    const m = await withFiles({ 'd/e/x': 'x' });
    await m.names('d/e');
    expect(await errnoOf(m.mv('d', 'd/e', exchanging))).toBe('EINVAL');
    expect(await errnoOf(m.mv('d/e/x', 'd', exchanging))).toBe('EINVAL');
    expect(m.provider.other.tree()).toEqual({ 'd/e/x': 'x' });
  });
});

const places: DeathPlace[] = [1, 2, 3].flatMap((nth) => [
  { method: 'move' as const, nth, when: 'before' as const },
  { method: 'move' as const, nth, when: 'after' as const },
]);
const was = { 'd/a': 'of a', 'e/b': 'of b', 'e/in/x': 'x' };
const exchanged = { 'd/a': 'of b', 'e/b': 'of a', 'e/in/x': 'x' };

describe.each([[false], [true]])('RENAME_EXCHANGE of what the provider has (new ids: %s)', (newIds) => {
  const exchanging = { noReplace: false, exchange: true };
  const start = (more: object = {}) =>
    mounted({ provider: { newIds }, ...more }, (memory) => {
      for (const [path, data] of Object.entries(was)) memory.other.put(path, data);
    });
  const listed = async (more?: object): Promise<Mounted> => {
    const m = await start(more);
    for (const directory of ['', 'd', 'e', 'e/in']) await m.names(directory);
    return m;
  };

  it('takes three requests, and keeps the inodes with their contents, times and modes', async () => {
    const m = await listed();
    const inos = [await m.ino('d/a'), await m.ino('e/b')];
    const [a, b] = [await m.stat('d/a'), await m.stat('e/b')];
    m.provider.counts();
    await m.mv('d/a', 'e/b', exchanging);
    expect(m.provider.counts()).toEqual({ move: 3 });
    expect([await m.ino('e/b'), await m.ino('d/a')]).toEqual(inos);
    expect([await m.cat('e/b'), await m.cat('d/a')]).toEqual(['of a', 'of b']);
    expect([(await m.stat('e/b')).mtime, (await m.stat('d/a')).mtime]).toEqual([a.mtime, b.mtime]);
    expect(m.provider.other.tree()).toEqual(exchanged);
    expect(intents(m)).toBe(0);
    const again = await m.remount();
    expect([await again.ino('e/b'), await again.ino('d/a')]).toEqual(inos);
  });

  it('of one that the provider has with one that it has not takes one request', async () => {
    const m = await listed();
    await m.fs.symlink(m.fs.root, 'link', Buffer.from('x'));
    m.provider.counts();
    await m.mv('link', 'e/b', exchanging);
    expect(m.provider.counts()).toEqual({ move: 1 });
    expect(m.provider.other.tree()).toEqual({ 'd/a': 'of a', link: 'of b', 'e/in/x': 'x' });
    expect([(await m.stat('e/b')).kind, await m.cat('link')]).toEqual(['symlink', 'of b']);
    await m.mv('link', 'e/b', exchanging);
    expect(m.provider.other.tree()).toEqual(was);
  });

  it('of a directory and a file swaps both', async () => {
    const m = await listed();
    await m.mv('d/a', 'e/in', exchanging);
    expect(m.provider.other.tree()).toEqual({ 'd/a/x': 'x', 'e/b': 'of b', 'e/in': 'of a' });
    expect([await m.cat('d/a/x'), await m.cat('e/in')]).toEqual(['x', 'of a']);
  });

  it('of files with changes that are not stored yet stores each under its new name', async () => {
    const m = await listed({ writeBack: true });
    const handle = await m.open('d/a', writing);
    await m.write(handle, ' and more', 4);
    await m.mv('d/a', 'e/b', exchanging);
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ ...exchanged, 'e/b': 'of a and more' });
    expect(m.isClean()).toBe(true);
  });

  it.each(places)('that died $when move number $nth is finished or undone by the next mount', async (place) => {
    const m = await listed();
    const revived = await dieAt(m, place, () => m.mv('d/a', 'e/b', exchanging));
    await settle(20);
    const tree = revived.provider.other.tree();
    expect([was, exchanged]).toContainEqual(tree);
    expect(intents(revived)).toBe(0);
    for (const path of ['d/a', 'e/b'] as const) expect(await revived.cat(path)).toBe(tree[path]);
    expect([await revived.names('d'), await revived.names('e')]).toEqual([['a'], ['b', 'in']]);
  });

  it.each([1, 2, 3])('whose move number %i is refused changes nothing, or is done', async (nth) => {
    const m = await listed();
    for (let n = 1; n < nth; n++) m.provider.during('move', 'before', () => undefined);
    m.provider.fail('move', 'permission');
    const errno = await errnoOf(m.mv('d/a', 'e/b', exchanging));
    const tree = m.provider.other.tree();
    // After the second, going on is as near as going back.
    expect([tree, errno]).toEqual(nth === 3 ? [exchanged, 'no error'] : [was, 'EACCES']);
    for (const path of ['d/a', 'e/b'] as const) expect(await m.cat(path)).toBe(tree[path]);
    expect(intents(m)).toBe(0);
  });

  it.each([1, 2, 3])(
    'whose answer to move number %i is lost ends with both names swapped, or as they were',
    async (nth) => {
      const m = await listed();
      for (let n = 1; n < nth; n++) m.provider.during('move', 'after', () => undefined);
      m.provider.loseAnswer('move');
      await m.mv('d/a', 'e/b', exchanging).catch(() => undefined);
      const tree = m.provider.other.tree();
      expect([was, exchanged]).toContainEqual(tree);
      for (const path of ['d/a', 'e/b'] as const) expect(await m.cat(path)).toBe(tree[path]);
      expect(intents(m)).toBe(0);
    },
  );

  it('that could not be settled is settled by the same mount after a while', async () => {
    const m = await listed();
    m.provider.during('move', 'before', () => undefined);
    m.provider.fail('move', 'server', 2);
    expect(await errnoOf(m.mv('d/a', 'e/b', exchanging))).toBe('EIO');
    m.clock.advance(10_000);
    await settle(20);
    expect(m.provider.other.tree()).toEqual(was);
    expect(intents(m)).toBe(0);
    expect([await m.cat('d/a'), await m.cat('e/b')]).toEqual(['of a', 'of b']);
  });

  it.each([1, 2, 3])('whose directories are listed anew before move number %i keeps both inodes', async (nth) => {
    const m = await listed();
    const inos = [await m.ino('d/a'), await m.ino('e/b')];
    for (let n = 1; n < nth; n++) m.provider.during('move', 'before', () => undefined);
    m.provider.during('move', 'before', async () => {
      for (const directory of ['d', 'e']) await m.core.directories.refresh(await m.ino(directory));
    });
    await m.mv('d/a', 'e/b', exchanging);
    expect([await m.ino('e/b'), await m.ino('d/a')]).toEqual(inos);
    for (const directory of ['d', 'e']) await m.core.directories.refresh(await m.ino(directory));
    expect([await m.ino('e/b'), await m.ino('d/a')]).toEqual(inos);
    expect([await m.cat('e/b'), await m.cat('d/a')]).toEqual(['of a', 'of b']);
  });

  it('keeps what another client puts under a name meanwhile', async () => {
    const m = await listed();
    m.provider.during('move', 'after', () => void m.provider.other.put('d/a', 'theirs'));
    expect(await errnoOf(m.mv('d/a', 'e/b', exchanging))).toBe('EEXIST');
    const tree = m.provider.other.tree();
    expect(tree).toMatchObject({ 'd/a': 'theirs', 'e/b': 'of b' });
    expect(Object.values(tree).toSorted()).toEqual(['of a', 'of b', 'theirs', 'x']);
    expect(intents(m)).toBe(0);
  });
});
