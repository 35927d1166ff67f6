import { describe, expect, it } from 'vitest';
import { emptying, errnoOf, mounted, settle, withFiles, writing } from '../harness.js';

describe('rename', () => {
  it('is one request within a folder and one across folders, and the inode number stays', async () => {
    const m = await withFiles({ a: 'text', 'd/x': '' });
    await m.names('d');
    const ino = await m.ino('a');
    m.provider.counts();
    await m.mv('a', 'b');
    expect(m.provider.counts()).toEqual({ move: 1 });
    await m.mv('b', 'd/c');
    expect(m.provider.counts()).toEqual({ move: 1 });
    expect(await m.ino('d/c')).toBe(ino);
    expect(m.provider.other.tree()).toEqual({ 'd/c': 'text', 'd/x': '' });
    expect(await m.names()).toEqual(['d']);
  });

  it('keeps the times of the file', async () => {
    const m = await withFiles({ a: 'text' });
    const { mtime } = await m.stat('a');
    m.clock.advance(60_000);
    await m.mv('a', 'b');
    expect((await m.stat('b')).mtime).toEqual(mtime);
  });

  it.each([[false], [true]])('lets open handles read and write on (new ids: %s)', async (newIds) => {
    const m = await withFiles({ a: 'some text' }, { provider: { newIds } });
    const reader = await m.open('a');
    const writer = await m.open('a', writing);
    expect(await m.read(reader, 0, 4)).toBe('some');
    await m.mv('a', 'b');
    expect(await m.read(reader)).toBe('some text');
    await m.write(writer, 'SOME');
    await m.close(writer);
    await m.close(reader);
    expect(m.provider.other.tree()).toEqual({ b: 'SOME text' });
    expect(await m.cat('b')).toBe('SOME text');
    expect(m.isClean()).toBe(true);
  });

  it.each([[false], [true]])('carries changes that are not stored yet along (new ids: %s)', async (newIds) => {
    const m = await withFiles({ a: 'some text' }, { provider: { newIds } });
    const writer = await m.open('a', writing);
    await m.write(writer, 'SOME');
    await m.mv('a', 'b');
    await m.close(writer);
    expect(m.provider.other.tree()).toEqual({ b: 'SOME text' });
    expect(m.isClean()).toBe(true);
  });

  it('waits for an upload under way, and moves what it stored', async () => {
    const m = await mounted({ writeBack: true });
    const gate = m.provider.gate('upload');
    await m.put('a', 'text');
    await gate.reached;
    const moved = m.mv('a', 'b');
    await settle();
    gate.open();
    await moved;
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ b: 'text' });
    expect(await m.names()).toEqual(['b']);
  });

  it('of a file that was never stored makes no request, and it is stored under its new name', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'text');
    m.provider.counts();
    await m.mv('a', 'b');
    expect(m.provider.counts()).toEqual({});
    await m.close(handle);
    expect(m.provider.counts()).toEqual({ upload: 1 });
    expect(m.provider.other.tree()).toEqual({ b: 'text' });
  });

  it('lets no upload begin under the old name while the provider moves the file', async () => {
    const m = await withFiles({ a: 'old' }, { provider: { newIds: true } });
    const handle = await m.open('a', emptying);
    await m.write(handle, 'new');
    const gate = m.provider.gate('move');
    const moved = m.mv('a', 'b');
    await gate.reached;
    const closed = m.close(handle);
    await settle();
    gate.open();
    await Promise.all([moved, closed]);
    expect(m.provider.other.tree()).toEqual({ b: 'new' });
    expect(m.isClean()).toBe(true);
  });

  it('refuses what no directory can do', async () => {
    const m = await withFiles({ 'd/e/x': '', f: '', g: '' });
    expect(await errnoOf(m.mv('nothing', 'x'))).toBe('ENOENT');
    expect(await errnoOf(m.mv('d', 'd/e/d'))).toBe('EINVAL');
    expect(await errnoOf(m.mv('f', 'd'))).toBe('EISDIR');
    expect(await errnoOf(m.mv('d', 'f'))).toBe('ENOTDIR');
    expect(await errnoOf(m.mv('f', 'g', { noReplace: true, exchange: false }))).toBe('EEXIST');
    expect(await errnoOf(m.mv('f', 'ä'.repeat(128)))).toBe('ENAMETOOLONG');
    expect(m.provider.other.tree()).toEqual({ 'd/e/x': '', f: '', g: '' });
  });

  it('moves a directory with all that is in it, over an empty one too', async () => {
    const m = await withFiles({ 'd/x': '1' });
    await m.mkdir('e');
    await m.mv('d', 'e');
    expect(m.provider.other.tree()).toEqual({ 'e/x': '1' });
    expect(await m.cat('e/x')).toBe('1');
    expect(await errnoOf(m.stat('d'))).toBe('ENOENT');
  });

  it('does not replace a directory that is not empty', async () => {
    const m = await withFiles({ 'd/x': '1', 'e/y': '2' });
    expect(await errnoOf(m.mv('d', 'e'))).toBe('ENOTEMPTY');
    expect(m.provider.other.tree()).toEqual({ 'd/x': '1', 'e/y': '2' });
  });

  describe('where the provider cannot move', () => {
    const cannot = { provider: { capabilities: { moveFile: false, moveFolder: false } } };

    it('stores a file under its new name before the old one goes, and keeps its inode number', async () => {
      const m = await withFiles({ a: 'content', b: 'old' }, cannot);
      const { ino } = await m.stat('a');
      await m.mv('a', 'c');
      expect(await m.names()).toEqual(['b', 'c']);
      expect((await m.stat('c')).ino).toBe(ino);
      expect(await m.cat('c')).toBe('content');
      await m.mv('c', 'b');
      expect(await m.names()).toEqual(['b']);
      expect(await m.cat('b')).toBe('content');
      expect(m.provider.counts().move ?? 0).toBe(0);
    });

    it('changes nothing where the new one cannot be stored', async () => {
      const m = await withFiles({ a: 'content' }, cannot);
      m.provider.fail('upload', 'quota');
      expect(await errnoOf(m.mv('a', 'b'))).toBe('ENOSPC');
      expect(await m.names()).toEqual(['a']);
      expect(await m.cat('a')).toBe('content');
    });
  });

  it('changes nothing when the provider refuses', async () => {
    const m = await withFiles({ a: '1' });
    m.provider.fail('move', 'permission');
    expect(await errnoOf(m.mv('a', 'b'))).toBe('EACCES');
    expect(await m.names()).toEqual(['a']);
  });

  it('onto itself does nothing', async () => {
    const m = await withFiles({ a: '1' });
    await m.names();
    m.provider.counts();
    await m.mv('a', 'a');
    expect(m.provider.counts()).toEqual({});
  });
});

describe('rename over an existing file', () => {
  it.each([[false], [true]])(
    'takes at most three requests, and the new one keeps its number (new ids: %s)',
    async (newIds) => {
      const m = await withFiles({ a: 'new', b: 'old' }, { provider: { newIds } });
      const ino = await m.ino('a');
      m.provider.counts();
      await m.mv('a', 'b');
      expect(m.provider.counts()).toEqual({ move: 2, trash: 1 });
      expect(await m.ino('b')).toBe(ino);
      expect(await m.names()).toEqual(['b']);
      expect(m.provider.other.tree()).toEqual({ b: 'new' });
    },
  );

  it('is one upload in the place of the old one when the new content is only here yet', async () => {
    const m = await withFiles({ b: 'old' });
    await m.names();
    const handle = await m.create('a');
    await m.write(handle, 'new');
    await m.mv('a', 'b');
    m.provider.counts();
    await m.close(handle);
    expect(m.provider.counts()).toEqual({ upload: 1 });
    expect(m.provider.other.tree()).toEqual({ b: 'new' });
    expect(m.isClean()).toBe(true);
  });

  it.each([[false], [true]])('lets those who have the old one open read on (stored before: %s)', async (stored) => {
    const m = await withFiles({ b: 'old text' });
    const reader = await m.open('b');
    expect(await m.read(reader, 0, 3)).toBe('old');
    const handle = await m.create('a');
    await m.write(handle, 'new');
    if (stored) await m.close(handle);
    await m.mv('a', 'b');
    if (!stored) await m.close(handle);
    expect(await m.read(reader)).toBe('old text');
    expect(await m.cat('b')).toBe('new');
    await m.close(reader);
    expect(m.provider.other.tree()).toEqual({ b: 'new' });
    expect(m.isClean()).toBe(true);
  });

  it('meets a target whose first upload is under way', async () => {
    const m = await withFiles({ a: 'new' }, { writeBack: true });
    await m.names();
    const gate = m.provider.gate('upload');
    await m.put('b', 'old');
    await gate.reached;
    const moved = m.mv('a', 'b');
    await settle();
    gate.open();
    await moved;
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ b: 'new' });
    expect(m.isClean()).toBe(true);
  });

  it('does not let the waiting upload of the target come back', async () => {
    const m = await withFiles({ a: 'new' });
    const target = await m.create('b');
    await m.write(target, 'old');
    const gate = m.provider.gate('move');
    const moved = m.mv('a', 'b');
    await gate.reached;
    const closed = m.close(target);
    await settle();
    gate.open();
    await Promise.all([moved, closed]);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ b: 'new' });
    expect(m.isClean()).toBe(true);
  });

  it('works when the old one is gone at the provider', async () => {
    const m = await withFiles({ a: 'new', b: 'old' });
    await m.names();
    m.provider.other.delete('b');
    await m.mv('a', 'b');
    expect(m.provider.other.tree()).toEqual({ b: 'new' });
  });

  it('two at once in opposite directions both end', async () => {
    const m = await withFiles({ a: '1', b: '2' });
    await m.names();
    await Promise.allSettled([m.mv('a', 'b'), m.mv('b', 'a')]);
    expect(Object.values(m.provider.other.tree())).toHaveLength(1);
    expect(await m.names()).toEqual(Object.keys(m.provider.other.tree()));
  });
});
