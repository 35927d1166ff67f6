import { describe, expect, it } from 'vitest';
import { delayed, emptying, errnoOf, mounted, settle, withFiles, writing } from '../harness.js';

describe('unlink', () => {
  it('is one request, to the trash', async () => {
    const m = await withFiles({ a: 'text' });
    await m.names();
    m.provider.counts();
    await m.rm('a');
    expect(m.provider.counts()).toEqual({ trash: 1 });
    expect(m.provider.other.trash()).toEqual(['a']);
    expect(await errnoOf(m.stat('a'))).toBe('ENOENT');
  });

  it('is for ever where the mount was told so', async () => {
    const m = await withFiles({ a: 'text' }, { disposal: 'permanent' });
    await m.names();
    m.provider.counts();
    await m.rm('a');
    expect(m.provider.counts()).toEqual({ remove: 1 });
    expect(m.provider.other.trash()).toEqual([]);
  });

  it.each([
    ['.~lock.report.ods#', 'text', { remove: 1 }],
    ['~$report.docx', 'text', { remove: 1 }],
    ['.~lock.large.ods#', 'x'.repeat(1025), { trash: 1 }],
    ['report.ods', 'text', { trash: 1 }],
    ['~$', 'text', { trash: 1 }],
    ['x.~lock.report.ods#', 'text', { trash: 1 }],
  ])('of %s: locks of documents do not fill the trash', async (name, text, counts) => {
    const m = await withFiles({ [name]: text });
    await m.names();
    m.provider.counts();
    await m.rm(name);
    expect(m.provider.counts()).toEqual(counts);
    expect(m.provider.other.trash()).toEqual('trash' in counts ? [name] : []);
  });

  it.each(['fsync', 'close'] as const)('during %s of it brings no row back', async (how) => {
    const m = await withFiles({}, { writeBack: true });
    const handle = await m.create('a');
    // More than the journal takes: it is made durable by a sync of the spool file.
    await m.write(handle, 'x'.repeat(100_000));
    const ino = await m.ino('a');
    const spool = m.core.files.state(ino)?.spool;
    if (spool == null) throw new Error('there is no spool file');
    const sync = delayed(spool, 'sync');
    const work = how === 'fsync' ? m.fs.fsync(handle) : m.fs.flush(handle);
    await settle();
    await m.rm('a');
    sync.go();
    await work;
    expect(m.core.journal.get(ino)).toBeUndefined();
    await m.fs.release(handle);
    const again = await m.remount({ writeBack: true });
    expect([await again.names(), await again.pending(), again.isClean()]).toEqual([[], [], true]);
  });

  it('lets reads of an open file go on', async () => {
    const m = await withFiles({ a: 'some text' });
    const handle = await m.open('a');
    expect(await m.read(handle, 0, 4)).toBe('some');
    await m.rm('a');
    expect(await m.read(handle)).toBe('some text');
    expect(m.fs.getattr(1).nlink).toBe(2);
    await m.close(handle);
    expect(m.isClean()).toBe(true);
  });

  it('lets writes through an open file go on, and uploads nothing', async () => {
    const m = await withFiles({ a: 'old' });
    const handle = await m.open('a', writing);
    await m.write(handle, 'new text');
    await m.rm('a');
    m.provider.counts();
    await m.write(handle, '!', 8);
    expect(await m.read(handle)).toBe('new text!');
    await m.fs.fsync(handle);
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.counts()).toEqual({});
    expect(m.provider.other.tree()).toEqual({});
    expect(m.isClean()).toBe(true);
  });

  it('is no failure for the close that waits for the upload', async () => {
    const m = await withFiles({ a: 'old' });
    const handle = await m.open('a', writing);
    await m.write(handle, 'new text');
    const gate = m.provider.gate('upload');
    const closing = m.fs.flush(handle);
    await gate.reached;
    await m.rm('a');
    await closing;
    await m.fs.release(handle);
    gate.open();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({});
    expect(m.isClean()).toBe(true);
  });

  it.each([false, true])('that is refused leaves the upload to its end (write-back: %s)', async (writeBack) => {
    const m = await withFiles({ a: 'old' }, { writeBack });
    const handle = await m.open('a', writing);
    await m.write(handle, 'new text');
    const gate = m.provider.gate('upload');
    const closing = m.fs.flush(handle);
    await gate.reached;
    m.provider.fail('trash', 'permission');
    expect(await errnoOf(m.rm('a'))).toBe('EACCES');
    gate.open();
    await closing;
    await m.fs.release(handle);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: 'new text' });
    expect(m.isClean()).toBe(true);
  });

  it('makes no request for a file that was never stored', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'x');
    m.provider.counts();
    await m.rm('a');
    await m.close(handle);
    await m.fs.uploader.drain();
    expect(m.provider.counts()).toEqual({});
    expect(m.isClean()).toBe(true);
  });

  it('ends an upload under way and leaves nothing at the provider', async () => {
    const m = await withFiles({ a: 'old' }, { writeBack: true });
    const gate = m.provider.gate('upload');
    await m.names();
    await m.put('a', 'new');
    await gate.reached;
    await m.rm('a');
    gate.open();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({});
    expect(m.isClean()).toBe(true);
  });

  it('removes what an upload stored in spite of having been cancelled', async () => {
    const m = await mounted({ writeBack: true });
    let unlinked: Promise<void> | undefined;
    m.provider.during('upload', 'after', async () => {
      unlinked = m.rm('a');
    });
    await m.put('a', 'new');
    await m.fs.uploader.drain();
    await unlinked;
    expect(m.provider.other.tree()).toEqual({});
    expect(m.isClean()).toBe(true);
  });

  it('is not overtaken by a close of the same file', async () => {
    const m = await withFiles({ a: 'old' });
    const handle = await m.open('a', emptying);
    await m.write(handle, 'new');
    const gate = m.provider.gate('trash');
    const unlinked = m.rm('a');
    await gate.reached;
    const closed = m.close(handle);
    await settle();
    gate.open();
    await Promise.all([unlinked, closed]);
    expect(m.provider.other.tree()).toEqual({});
    expect(m.isClean()).toBe(true);
  });

  it('changes nothing when the provider refuses', async () => {
    const m = await withFiles({ a: 'text' });
    const handle = await m.open('a');
    m.provider.fail('trash', 'permission');
    expect(await errnoOf(m.rm('a'))).toBe('EACCES');
    await m.close(handle);
    expect(await m.cat('a')).toBe('text');
    expect(m.isClean()).toBe(true);
  });

  it('is content with a file that is gone already', async () => {
    const m = await withFiles({ a: 'text' });
    await m.names();
    m.provider.other.delete('a');
    await m.rm('a');
    expect(await m.names()).toEqual([]);
  });

  it('refuses directories', async () => {
    const m = await withFiles({ 'd/a': 'text' });
    expect(await errnoOf(m.rm('d'))).toBe('EISDIR');
  });
});

describe('mkdir and rmdir', () => {
  it('are one request each', async () => {
    const m = await mounted();
    await m.names();
    m.provider.counts();
    await m.mkdir('d');
    expect(m.provider.counts()).toEqual({ createFolder: 1 });
    expect(await m.names('d')).toEqual([]);
    expect(m.provider.counts()).toEqual({});
    await m.rmdir('d');
    expect(m.provider.counts()).toEqual({ trash: 1 });
    expect(await m.names()).toEqual([]);
  });

  it('refuse what exists, what is not empty, and what is no directory', async () => {
    const m = await withFiles({ 'd/a': 'text', f: '' });
    expect(await errnoOf(m.mkdir('d'))).toBe('EEXIST');
    expect(await errnoOf(m.rmdir('d'))).toBe('ENOTEMPTY');
    expect(await errnoOf(m.rmdir('f'))).toBe('ENOTDIR');
    expect(await errnoOf(m.rmdir('nothing'))).toBe('ENOENT');
  });

  it.each(['trash', 'permanent'] as const)('keep a folder that another client filled (%s)', async (disposal) => {
    const m = await mounted({ disposal });
    await m.mkdir('d');
    m.provider.other.put('d/theirs', 'text');
    expect(await errnoOf(m.rmdir('d'))).toBe('ENOTEMPTY');
    expect(m.provider.other.tree()).toEqual({ 'd/theirs': 'text' });
    expect(await m.cat('d/theirs')).toBe('text');
  });

  it('count a file that is not uploaded yet as being there', async () => {
    const m = await mounted();
    await m.mkdir('d');
    const handle = await m.create('d/a');
    expect(await errnoOf(m.rmdir('d'))).toBe('ENOTEMPTY');
    await m.close(handle);
  });

  it('say EEXIST when another client was first, and show its folder then', async () => {
    const m = await mounted();
    await m.names();
    m.provider.other.put('d/theirs', 'text');
    expect(await errnoOf(m.mkdir('d'))).toBe('EEXIST');
    expect(await m.names('d')).toEqual(['theirs']);
  });
});
