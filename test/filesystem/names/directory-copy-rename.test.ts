/** Renames of directories where the provider has none: all files are copied, then the old ones are removed (as on 5sync). */
import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/providers/errors.js';
import {
  appending,
  type DeathPlace,
  dieAt,
  errnoOf,
  intents,
  type Mounted,
  mounted,
  rested,
  settle,
} from '../harness.js';

const capabilities = { moveFile: false, moveFolder: false, trash: false, md5: false } as const;
const provider = { newIds: true, capabilities };
const before = { 'd/a': 'one', 'd/b': 'two', 'd/deep/c': 'three', other: 'x' };
const after = { 'e/a': 'one', 'e/b': 'two', 'e/deep/c': 'three', other: 'x' };

function withTree(options: Parameters<typeof mounted>[0] = {}): Promise<Mounted> {
  return mounted({ provider, ...options }, (memory) => {
    for (const [path, content] of Object.entries(before)) memory.other.put(path, content);
  });
}

/** The answer to one of the copies was lost. Another client's file keeps the new folder, and its id. */
async function withLostCopy(): Promise<Mounted> {
  const m = await withTree();
  await m.names('d/deep');
  m.provider.during('upload', 'before', () => {
    m.provider.other.put('e/theirs', 'theirs');
    throw new ProviderError('network', 'the answer was lost');
  });
  expect(await errnoOf(m.mv('d', 'e'))).toBe('ENETUNREACH');
  await settle();
  return m;
}

describe('a directory renamed by copying', () => {
  it('keeps the numbers and times of all that is in it, and those who read go on', async () => {
    const m = await withTree();
    const paths = ['', '/a', '/b', '/deep', '/deep/c'];
    const were = await Promise.all(paths.map((path) => m.stat(`d${path}`)));
    const reader = await m.open('d/a');
    await m.mv('d', 'e');
    const are = await Promise.all(paths.map((path) => m.stat(`e${path}`)));
    expect(are.map(({ ino }) => ino)).toEqual(were.map(({ ino }) => ino));
    expect(are.slice(1).map(({ mtime, ctime }) => ({ mtime, ctime }))).toEqual(
      were.slice(1).map(({ mtime, ctime }) => ({ mtime, ctime })),
    );
    expect(m.provider.other.tree()).toEqual(after);
    expect(await m.names()).toEqual(['e', 'other']);
    expect(await m.read(reader)).toBe('one');
    await m.close(reader);
    expect(await m.cat('e/deep/c')).toBe('three');
    await m.core.directories.refresh(1);
    expect(await m.names()).toEqual(['e', 'other']);
    expect(await errnoOf(m.stat('d'))).toBe('ENOENT');
    expect(intents(m)).toBe(0);
    expect(m.isClean()).toBe(true);
  });

  it('stores each file once and removes it once', async () => {
    const m = await withTree();
    await m.names('d/deep');
    m.provider.counts();
    await m.mv('d', 'e');
    expect(m.provider.counts()).toMatchObject({ upload: 3, read: 3, createFolder: 2 });
  });

  it('replaces an empty directory, and no other', async () => {
    const m = await withTree();
    await m.mkdir('empty');
    await m.mv('d', 'empty');
    expect(await m.names()).toEqual(['empty', 'other']);
    await m.mkdir('full');
    await m.put('full/x', 'x');
    expect(await errnoOf(m.mv('empty', 'full'))).toBe('ENOTEMPTY');
    expect(m.provider.other.tree()).toEqual({
      'empty/a': 'one',
      'empty/b': 'two',
      'empty/deep/c': 'three',
      'full/x': 'x',
      other: 'x',
    });
  });

  it('goes into another directory', async () => {
    const m = await withTree();
    await m.mkdir('to');
    await m.mv('d', 'to/d');
    expect(m.provider.other.tree()).toMatchObject({ 'to/d/a': 'one', 'to/d/deep/c': 'three' });
    expect(await m.cat('to/d/deep/c')).toBe('three');
  });

  it('keeps an empty directory in it', async () => {
    const m = await withTree();
    await m.mkdir('d/none');
    await m.mv('d', 'e');
    expect(await m.names('e')).toEqual(['a', 'b', 'deep', 'none']);
  });

  it.each([
    ['too many files', (m: Mounted) => Array.from({ length: 101 }, (_, i) => m.provider.other.put(`d/f${i}`, ''))],
    ['too many bytes', (m: Mounted) => m.provider.other.put('d/large', Buffer.alloc(64 * 1024 * 1024))],
  ])('is EXDEV with %s, so that mv copies', async (_, fill) => {
    const m = await withTree();
    fill(m);
    m.provider.counts();
    expect(await errnoOf(m.mv('d', 'e'))).toBe('EXDEV');
    expect(m.provider.counts().upload).toBeUndefined();
  });

  it('takes along what is not stored yet', async () => {
    const m = await withTree({ writeBack: true });
    await m.names('d');
    m.provider.offline = true;
    await m.put('d/new', 'not stored');
    await settle();
    m.provider.offline = false;
    await m.mv('d', 'e');
    m.fs.retryFailed();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ ...after, 'e/new': 'not stored' });
  });

  it('takes along what is written to a file meanwhile', async () => {
    const m = await withTree();
    const handle = await m.open('d/a', appending);
    await m.write(handle, ', longer', 3);
    m.provider.during('upload', 'after', () => m.write(handle, ' still', 11));
    await m.mv('d', 'e');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ ...after, 'e/a': 'one, longer still' });
    expect(m.isClean()).toBe(true);
  });

  it('takes along a file that is made in it meanwhile', async () => {
    const m = await withTree();
    await m.names('d');
    m.provider.during('upload', 'after', () => m.put('d/deep/new', 'just now'));
    await m.mv('d', 'e');
    expect(m.provider.other.tree()).toEqual({ ...after, 'e/deep/new': 'just now' });
    expect(await m.cat('e/deep/new')).toBe('just now');
  });

  it("leaves another client's new file where it is", async () => {
    const m = await withTree();
    await m.names('d');
    m.provider.during('upload', 'after', () => void m.provider.other.put('d/theirs', 'theirs'));
    await m.mv('d', 'e');
    await m.core.directories.refresh(1);
    expect(m.provider.other.tree()).toEqual({ ...after, 'd/theirs': 'theirs' });
    expect(await m.cat('d/theirs')).toBe('theirs');
  });

  it('changes nothing where one of the files cannot be stored', async () => {
    const m = await withTree();
    const were = await m.ino('d/a');
    m.provider.during('upload', 'before', () => undefined);
    m.provider.fail('upload', 'quota');
    expect(await errnoOf(m.mv('d', 'e'))).toBe('ENOSPC');
    await rested(m);
    expect(m.provider.other.tree()).toEqual(before);
    expect(await m.names()).toEqual(['d', 'other']);
    expect(await m.ino('d/a')).toBe(were);
    expect(await m.cat('d/deep/c')).toBe('three');
    expect(m.isClean()).toBe(true);
  });

  it('is undone once the service can be asked, where the answer to a copy was lost', async () => {
    const m = await withTree();
    await m.names('d/deep');
    m.provider.during('upload', 'after', () => {
      m.provider.offline = true;
      throw new ProviderError('network', 'the answer was lost');
    });
    expect(await errnoOf(m.mv('d', 'e'))).toBe('ENETUNREACH');
    expect(m.provider.other.tree()).not.toEqual(before);
    m.provider.offline = false;
    m.clock.advance(10_000);
    await rested(m);
    expect(m.provider.other.tree()).toEqual(before);
    expect(m.isClean()).toBe(true);
  });

  it('leaves a file that a program makes in the place, with the same content, of a copy that was never stored', async () => {
    const m = await withLostCopy();
    await m.core.directories.refresh(1);
    expect(await m.names('e')).toEqual(['theirs']);
    await m.put('e/a', 'one');
    await m.put('e/b', 'two');
    await rested(m);
    expect(m.provider.other.tree()).toEqual({ ...before, 'e/a': 'one', 'e/b': 'two', 'e/theirs': 'theirs' });
    expect(await m.names('e')).toEqual(['a', 'b', 'theirs']);
  });

  it('is undone where the service stores a copy after its answer was lost', async () => {
    const m = await withLostCopy();
    expect(m.provider.other.tree()).toEqual({ ...before, 'e/theirs': 'theirs' });
    m.provider.other.put('e/a', 'one');
    await rested(m);
    expect(m.provider.other.tree()).toEqual({ ...before, 'e/theirs': 'theirs' });
    expect(m.isClean()).toBe(true);
  });

  it.each([
    ['one of the files cannot be stored', 'ENOSPC', (m: Mounted) => m.provider.fail('upload', 'quota')],
    [
      'something comes into it',
      'ENOTEMPTY',
      (m: Mounted) => m.provider.during('upload', 'after', () => m.put('empty/new', 'x')),
    ],
  ])('leaves the empty directory that it was to replace, where %s', async (_, errno, spoil) => {
    const m = await withTree();
    await m.mkdir('empty');
    const were = [await m.ino('empty'), await m.ino('d/a')];
    spoil(m);
    expect(await errnoOf(m.mv('d', 'empty'))).toBe(errno);
    await rested(m);
    const come = errno === 'ENOTEMPTY' ? { 'empty/new': 'x' } : {};
    expect(m.provider.other.tree()).toMatchObject({ ...before, ...come });
    expect(await m.names('empty')).toEqual(errno === 'ENOTEMPTY' ? ['new'] : []);
    expect([await m.ino('empty'), await m.ino('d/a')]).toEqual(were);
    await m.core.directories.refresh(1);
    expect(await m.names()).toEqual(['d', 'empty', 'other']);
    expect(m.isClean()).toBe(true);
  });

  const places: [DeathPlace, 'before' | 'after'][] = [
    [{ method: 'createFolder', when: 'after' }, 'before'],
    [{ method: 'upload', when: 'before' }, 'before'],
    [{ method: 'upload', when: 'after' }, 'before'],
    [{ method: 'upload', nth: 3, when: 'before' }, 'before'],
    [{ method: 'upload', nth: 3, when: 'after' }, 'before'],
    [{ method: 'remove', when: 'before' }, 'after'],
    [{ method: 'remove', when: 'after' }, 'after'],
    [{ method: 'remove', nth: 3, when: 'after' }, 'after'],
  ];
  it.each(places)('that died at %o is not torn: all is as it was %s', async (place, when) => {
    const m = await withTree();
    await m.names('d/deep');
    const revived = await rested(await dieAt(m, place, () => m.mv('d', 'e')));
    expect(revived.provider.other.tree()).toEqual(when === 'before' ? before : after);
    // A folder that is empty now may stay; where files imply folders, it is gone with them.
    const [at, empty] = when === 'before' ? ['d', 'e'] : ['e', 'd'];
    expect((await revived.names()).filter((name) => name !== empty)).toEqual([at, 'other']);
    expect(await revived.cat(`${at}/a`)).toBe('one');
    expect(await revived.cat(`${at}/deep/c`)).toBe('three');
    expect(revived.isClean()).toBe(true);
  });

  it.each(places.slice(1))(
    'that died at %o keeps the empty directory that it was to replace, or replaces it (%s)',
    async (place, when) => {
      const m = await withTree();
      await m.mkdir('e');
      const [ours, theirs] = [await m.ino('d'), await m.ino('e')];
      await m.names('d/deep');
      const revived = await rested(await dieAt(m, place, () => m.mv('d', 'e')));
      if (when === 'before') {
        expect(revived.provider.other.tree()).toMatchObject(before);
        expect([await revived.ino('d'), await revived.ino('e'), await revived.names('e')]).toEqual([ours, theirs, []]);
      } else {
        expect(revived.provider.other.tree()).toMatchObject(after);
        expect(await revived.ino('e')).toBe(ours);
        expect(await revived.cat('e/deep/c')).toBe('three');
      }
      expect(revived.isClean()).toBe(true);
    },
  );
});
