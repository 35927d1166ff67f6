import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/providers/errors.js';
import { YOUNG_MS } from '../../../src/providers/provider.js';
import { emptying, errnoOf, mounted, settle, writing } from '../harness.js';

const beside = 'a (conflict 2026-01-02 03-05-05 box).txt';

describe('another client has changed the file', () => {
  it('keeps both: ours goes beside it, under the handle and the number that it had', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    const ino = await m.ino('a.txt');
    await m.write(handle, 'ours');
    m.clock.advance(60_000);
    m.provider.other.put('a.txt', 'theirs');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'theirs', [beside]: 'ours' });
    await settle();
    expect(await m.names()).toEqual([beside, 'a.txt'].toSorted());
    expect(await m.cat('a.txt')).toBe('theirs');
    expect(await m.cat(beside)).toBe('ours');
    expect(await m.ino(beside)).toBe(ino);
    expect(m.isClean()).toBe(true);
    expect(m.invalidations).toContainEqual({ kind: 'entry', parent: m.fs.root, name: 'a.txt' });
  });

  it('keeps both also where this machine’s clock was set back since the file was confirmed', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    m.clock.advance(60_000);
    m.provider.other.put('a.txt', 'theirs');
    m.clock.advance(-7_200_000);
    await m.close(handle);
    expect(Object.values(m.provider.other.tree()).toSorted()).toEqual(['ours', 'theirs']);
    expect(m.provider.other.tree()).toHaveProperty('a.txt', 'theirs');
  });

  it('keeps both also when the change is learned from a listing', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    m.provider.other.put('a.txt', 'theirs');
    m.clock.advance(60_000);
    await m.names();
    expect(await m.cat('a.txt')).toBe('ours');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'theirs', [beside]: 'ours' });
  });

  it('takes an equal content for its own', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'same');
    m.clock.advance(60_000);
    m.provider.other.put('a.txt', 'same');
    m.provider.counts();
    await m.close(handle);
    expect(m.provider.counts()).toEqual({ stat: 1 });
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'same' });
    expect(m.isClean()).toBe(true);
  });

  it("knows its own content again where the provider tells no md5, and nobody else's of the same size", async () => {
    const m = await mounted({ provider: { capabilities: { md5: false } } });
    for (const [name, text] of [
      ['ours.txt', 'same'],
      ['other.txt', 'what'],
    ] as const) {
      const handle = await m.create(name);
      await m.write(handle, 'same');
      // As an upload whose answer was lost, and that left no checkpoint, would have.
      m.provider.other.put(name, text);
      await m.close(handle);
    }
    expect(Object.values(m.provider.other.tree()).toSorted()).toEqual(['same', 'same', 'what']);
    expect(m.provider.other.tree()).toMatchObject({ 'ours.txt': 'same', 'other.txt': 'what' });
    expect(m.isClean()).toBe(true);
  });

  it('leaves nothing of its own upload behind where an equal content is found', async () => {
    const m = await mounted({ writeBack: true });
    const discarded: unknown[] = [];
    // Sent under a name of its own, which the name that it was to take is refused to.
    m.provider.upload = async (_target, _source, options) => {
      options?.onCheckpoint?.({ sent: 'under another name' });
      m.provider.other.put('a', 'mine');
      throw new ProviderError('exists', 'taken', { data: {} });
    };
    Object.assign(m.provider, { discardUpload: async (checkpoint: unknown) => void discarded.push(checkpoint) });
    await m.put('a', 'mine');
    await m.fs.uploader.drain();
    expect(discarded).toEqual([{ sent: 'under another name' }]);
    expect(m.provider.other.tree()).toEqual({ a: 'mine' });
    expect(m.isClean()).toBe(true);
  });

  it('stores the file anew when the other client deleted it', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    const ino = await m.ino('a.txt');
    await m.write(handle, 'ours');
    m.clock.advance(60_000);
    m.provider.other.delete('a.txt');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'ours' });
    expect(await m.ino('a.txt')).toBe(ino);
  });

  it('stores the file anew when the other client deleted it a moment ago', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    // So lately confirmed that nothing is asked before the new version is sent.
    m.provider.other.delete('a.txt');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'ours' });
    expect(m.isClean()).toBe(true);
  });

  it('tries a name again that is called taken, and that nobody is seen to hold', async () => {
    const m = await mounted();
    m.provider.fail('upload', 'exists');
    await m.put('a.txt', 'ours');
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'ours' });
  });

  it('knows a damaged copy of its own upload again at the next try', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    m.provider.during('upload', 'before', () => {
      m.provider.other.put('a.txt', 'damaged');
      const storedMd5 = createHash('md5').update('damaged').digest('hex');
      throw new ProviderError('integrity', 'not what was sent', { data: { storedMd5 } });
    });
    expect(await errnoOf(m.put('a.txt', 'ours'))).toBe('EIO');
    expect(m.fs.retryFailed()).toBe(1);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'ours' });
    expect(m.isClean()).toBe(true);
  });

  it('shows a deleted file with local changes through a listing, and stores it anew', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    m.provider.other.delete('a.txt');
    m.clock.advance(60_000);
    expect(await m.names()).toEqual(['a.txt']);
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'ours' });
    expect(m.isClean()).toBe(true);
  });

  it('keeps both when the file was deleted and made anew elsewhere, whatever is listed in between', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    m.provider.other.delete('a.txt');
    m.provider.other.put('a.txt', 'theirs');
    m.clock.advance(60_000);
    expect(await m.cat('a.txt')).toBe('ours');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'theirs', [beside]: 'ours' });
    await settle();
    expect(await m.cat('a.txt')).toBe('theirs');
    expect(await m.cat(beside)).toBe('ours');
  });

  it('follows a file that another client renamed', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    const ino = await m.ino('a.txt');
    await m.write(handle, 'ours');
    m.provider.other.rename('a.txt', 'moved.txt');
    m.clock.advance(60_000);
    expect(await m.names()).toEqual(['moved.txt']);
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'moved.txt': 'ours' });
    expect(await m.ino('moved.txt')).toBe(ino);
  });

  it('keeps both when the name of a new file is taken', async () => {
    const m = await mounted();
    m.clock.advance(60_000);
    const handle = await m.create('a.txt');
    await m.write(handle, 'ours');
    m.provider.other.put('a.txt', 'theirs');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'theirs', [beside]: 'ours' });
    await settle();
    expect(await m.names()).toEqual([beside, 'a.txt'].toSorted());
  });

  it('keeps both for a provider without md5 too', async () => {
    const m = await mounted({ provider: { capabilities: { md5: false } } }, (provider) =>
      provider.other.put('a.txt', 'base'),
    );
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    m.clock.advance(60_000);
    m.provider.other.put('a.txt', 'THEM');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'THEM', [beside]: 'ours' });
  });

  it('does not overwrite a change that the answer to a rename shows', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    m.provider.other.put('a.txt', 'theirs');
    await m.mv('a.txt', 'b.txt');
    await m.close(handle);
    expect(Object.values(m.provider.other.tree()).toSorted()).toEqual(['ours', 'theirs']);
  });

  it('shows a conflict copy of a name that cannot exist here under one that can', async () => {
    const m = await mounted({}, (provider) => {
      provider.other.add('file', provider.other.rootId, 'x/y.txt', Buffer.from('base'));
    });
    const handle = await m.open('x%2Fy.txt', emptying);
    await m.write(handle, 'ours');
    m.clock.advance(60_000);
    const theirs = m.provider.other.list('root')[0];
    m.provider.other.change(m.provider.other.node('file', theirs?.id ?? ''), Buffer.from('theirs'));
    await m.close(handle);
    await settle();
    expect(await m.names()).toEqual(['x%2Fy (conflict 2026-01-02 03-05-05 box).txt', 'x%2Fy.txt']);
  });
});

describe('an upload whose answer is lost', () => {
  it('is found at the provider by the next try, and neither sent again nor taken for a conflict', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a.txt', 'base'));
    const handle = await m.open('a.txt', emptying);
    await m.write(handle, 'ours');
    m.provider.loseAnswer('upload');
    expect(await errnoOf(m.close(handle))).toBe('ENETUNREACH');
    m.provider.counts();
    m.fs.uploader.retryFailed();
    await m.fs.uploader.drain();
    expect(m.provider.counts()).toEqual({ stat: 1 });
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'ours' });
    expect(m.isClean()).toBe(true);
  });

  it.each([[false], [true]])(
    'is replaced, not kept beside, when the file was written again (new ids: %s)',
    async (newIds) => {
      const m = await mounted({ provider: { newIds } }, (provider) => provider.other.put('a.txt', 'base'));
      const handle = await m.open('a.txt', emptying);
      await m.write(handle, 'one');
      m.provider.loseAnswer('upload');
      expect(await errnoOf(m.fs.flush(handle))).toBe('ENETUNREACH');
      await m.write(handle, 'two');
      m.clock.advance(60_000);
      await m.close(handle);
      expect(m.provider.other.tree()).toEqual({ 'a.txt': 'two' });
      expect(m.isClean()).toBe(true);
    },
  );

  it('of a new file is found under its name', async () => {
    const m = await mounted();
    const handle = await m.create('a.txt');
    await m.write(handle, 'one');
    m.provider.loseAnswer('upload');
    expect(await errnoOf(m.fs.flush(handle))).toBe('ENETUNREACH');
    await m.fs.flush(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'one' });
    await m.write(handle, 'two');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ 'a.txt': 'two' });
    expect(m.isClean()).toBe(true);
  });
});

describe('handles and revisions', () => {
  it('go on with a new revision when they have shown nothing of the old one', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'old'));
    const handle = await m.open('a');
    m.provider.other.put('a', 'newer');
    expect(await m.read(handle)).toBe('newer');
    expect((await m.stat('a')).size).toBe(5);
    await settle();
    expect(m.invalidations).toContainEqual({ kind: 'inode', ino: await m.ino('a'), content: true });
    await m.close(handle);
  });

  it('are stale when they have, once the cached bytes run out', async () => {
    const big = 'x'.repeat(3 * 1024 * 1024);
    const m = await mounted({}, (provider) => provider.other.put('a', big));
    const handle = await m.open('a');
    await m.read(handle, 0, 100);
    m.provider.other.put('a', 'y'.repeat(3 * 1024 * 1024));
    expect(await m.read(handle, 50, 100)).toBe('x'.repeat(100));
    expect(await errnoOf(m.read(handle, 2 * 1024 * 1024, 100))).toBe('ESTALE');
    await m.close(handle);
    expect((await m.cat('a')).slice(0, 3)).toBe('yyy');
  });

  it('are stale when others have: all of them share the pages of the kernel', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'x'.repeat(3 * 1024 * 1024)));
    const reader = await m.open('a');
    const silent = await m.open('a');
    await m.read(reader, 0, 100);
    m.provider.other.put('a', 'y'.repeat(3 * 1024 * 1024));
    expect(await errnoOf(m.read(silent, 2 * 1024 * 1024, 100))).toBe('ESTALE');
    await m.close(silent);
    expect(await m.read(reader, 0, 100)).toBe('x'.repeat(100));
    await m.close(reader);
  });

  it('move together, so that none of them fills the pages with what is cached of the old one', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'x'.repeat(3 * 1024 * 1024)));
    const [first, second] = [await m.open('a'), await m.open('a')];
    m.provider.other.put('a', 'yy');
    expect(await m.read(first)).toBe('yy');
    expect(m.core.files.handle(second).pinned?.size).toBe(2);
    expect(await m.read(second)).toBe('yy');
    await m.close(first);
    await m.close(second);
  });

  it('are stale when the kernel may have shown pages that an earlier one left', async () => {
    const provider = { capabilities: { md5: false } };
    const m = await mounted({ provider }, (memory) => memory.other.put('a', 'x'.repeat(3 * 1024 * 1024)));
    m.clock.advance(YOUNG_MS);
    const earlier = await m.open('a');
    await m.read(earlier, 0, 100);
    await m.close(earlier);
    const { handle, keepCache } = await m.fs.open(await m.ino('a'), { ...writing, write: false });
    expect(keepCache).toBe(true);
    m.clock.advance(1000);
    m.provider.other.put('a', 'y'.repeat(3 * 1024 * 1024 - 1));
    expect(await errnoOf(m.read(handle, 2 * 1024 * 1024, 100))).toBe('ESTALE');
    await m.close(handle);
  });

  it('are stale when the file is gone at the provider', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'text'));
    const handle = await m.open('a');
    m.provider.other.delete('a');
    expect(await errnoOf(m.read(handle))).toBe('ESTALE');
    await m.close(handle);
  });

  it('never mix the revision they have read with a later one that somebody writes into', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', '1111111111'));
    const old = await m.open('a');
    expect(await m.read(old, 0, 2)).toBe('11');
    m.provider.other.put('a', '2222222222');
    m.clock.advance(60_000);
    await m.names();
    const writer = await m.open('a', writing);
    await m.write(writer, 'W', 5);
    expect(await m.read(writer)).toBe('22222W2222');
    expect(await m.read(old)).toBe('1111111111');
    await m.close(writer);
    expect(await m.read(old)).toBe('1111111111');
    await m.close(old);
    expect(m.provider.other.tree()).toEqual({ a: '22222W2222' });
  });

  it('tell the kernel whether it may keep its pages', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'old'));
    const ino = await m.ino('a');
    const open = async () => {
      const { handle, keepCache } = await m.fs.open(ino, { ...writing, write: false });
      await m.close(handle);
      return keepCache;
    };
    expect(await open()).toBe(true);
    m.provider.other.put('a', 'new');
    m.clock.advance(60_000);
    expect(await open()).toBe(false);
    expect(await open()).toBe(true);
    await settle();
    expect(m.invalidations).toContainEqual({ kind: 'inode', ino, content: true });
  });
});
