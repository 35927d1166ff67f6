/** Where content goes that is not stored yet when other clients do something to its folder. */
import { describe, expect, it } from 'vitest';
import { appending, errnoOf, type Mounted, mounted, settle, writing } from '../harness.js';

const LATER = 60_000;

/** `a/b/file` and `a/other` at the provider, and `a/b/new`, which is not stored. */
async function waiting(provider = {}): Promise<Mounted> {
  const m = await mounted({ writeBack: true, provider }, ({ other }) => {
    other.put('a/b/file', 'base');
    other.put('a/other', 'other');
    other.mkdir('e');
  });
  await m.names('a/b');
  await m.names('e');
  m.provider.fail('upload', 'quota');
  await m.put('a/b/new', 'NEW');
  await m.fs.uploader.drain();
  m.clock.advance(LATER);
  return m;
}

/** Every file of the mount, by path. */
async function shown(m: Mounted, directory = ''): Promise<Record<string, string>> {
  await settle();
  const files: Record<string, string> = {};
  for (const name of await m.names(directory)) {
    const path = directory === '' ? name : `${directory}/${name}`;
    if ((await m.stat(path)).kind === 'directory') Object.assign(files, await shown(m, path));
    else files[path] = await m.cat(path);
  }
  return files;
}

async function stored(m: Mounted): Promise<Record<string, string>> {
  m.fs.retryFailed();
  await m.fs.uploader.drain();
  await settle();
  return m.provider.other.tree();
}

describe('content that is not stored, whose folder another client', () => {
  it('removed with the folder above it, keeps its path and its inode number, and both folders are made again', async () => {
    const m = await waiting();
    const ino = await m.ino('a/b/new');
    m.clock.advance(LATER);
    m.provider.other.delete('a');
    await m.names();
    await settle();
    expect(await shown(m)).toEqual({ 'a/b/new': 'NEW' });
    expect(await m.pending()).toEqual(['/a/b/new failed']);
    expect(await stored(m)).toEqual({ 'a/b/new': 'NEW' });
    expect(await m.ino('a/b/new')).toBe(ino);
    m.clock.advance(LATER);
    expect(await shown(m)).toEqual({ 'a/b/new': 'NEW' });
    expect(m.isClean()).toBe(true);
  });

  it('removed just before the upload, is stored in one that is made again', async () => {
    const m = await waiting();
    await m.names('a/b');
    m.provider.other.delete('a');
    expect(await stored(m)).toEqual({ 'a/b/new': 'NEW' });
    m.clock.advance(LATER);
    expect(await shown(m)).toEqual({ 'a/b/new': 'NEW' });
  });

  it('moved, goes along, whether this mount has listed the new place or not', async () => {
    for (const list of [true, false]) {
      const m = await waiting();
      m.provider.other.rename('a/b', 'e/b');
      await m.names('a');
      if (list) await m.names('e');
      await settle();
      expect(await stored(m)).toEqual({ 'a/other': 'other', 'e/b/file': 'base', 'e/b/new': 'NEW' });
      m.clock.advance(LATER);
      expect(await shown(m)).toEqual({ 'a/other': 'other', 'e/b/file': 'base', 'e/b/new': 'NEW' });
    }
  });

  it('removed and made again, goes into that one, also where the new one was seen first', async () => {
    for (const seen of [true, false]) {
      const m = await waiting();
      const gate = m.provider.gate('stat');
      m.provider.other.delete('a/b');
      if (!seen) await m.names('a');
      m.provider.other.put('a/b/theirs', 'theirs');
      m.clock.advance(LATER);
      await m.names('a');
      gate.open();
      await settle();
      expect(await stored(m)).toEqual({ 'a/other': 'other', 'a/b/theirs': 'theirs', 'a/b/new': 'NEW' });
      m.clock.advance(LATER);
      await m.names('a');
      expect(await shown(m)).toEqual({ 'a/other': 'other', 'a/b/theirs': 'theirs', 'a/b/new': 'NEW' });
    }
  });

  it('removed, and that may not be made again, is stored in a rescue folder at the root', async () => {
    const m = await waiting();
    m.provider.other.delete('a');
    await m.names();
    await settle();
    m.provider.fail('createFolder', 'permission');
    expect(await stored(m)).toEqual({ 'Rescued (box)/a/b/new': 'NEW' });
    m.clock.advance(LATER);
    expect(await shown(m)).toEqual({ 'Rescued (box)/a/b/new': 'NEW' });
  });

  it('removed, and nothing can be made again, stays in sight as failed', async () => {
    const m = await waiting();
    m.provider.other.delete('a');
    await m.names();
    await settle();
    m.provider.fail('createFolder', 'limit', 9);
    expect(await stored(m)).toEqual({});
    expect(await shown(m)).toEqual({ 'Rescued (box)/a/b/new': 'NEW' });
    expect(await m.pending()).toEqual(['/Rescued (box)/a/b/new failed']);
  });

  it('removed while the mount was dead, is in sight at the next one', async () => {
    const m = await waiting();
    m.provider.other.delete('a');
    const revived = await m.crash();
    await settle();
    expect(await revived.cat('a/b/new')).toBe('NEW');
    expect(await stored(revived)).toEqual({ 'a/b/new': 'NEW' });
  });

  it('lost its name in an earlier version of this program, gets one at the next mount', async () => {
    const m = await waiting();
    m.core.table.update(await m.ino('a'), { parent: null });
    m.provider.other.delete('a');
    const revived = await m.crash();
    await settle();
    expect(await shown(revived)).toEqual({ 'a/b/new': 'NEW' });
    expect(await stored(revived)).toEqual({ 'a/b/new': 'NEW' });
  });
});

describe('a folder that only content in it keeps', () => {
  it('takes new files and folders, and can be renamed and removed', async () => {
    const m = await waiting();
    m.provider.other.delete('a');
    await m.names();
    await settle();
    await m.mkdir('a/b/inner');
    await m.put('a/more', 'MORE');
    await m.mv('a/b', 'e/b');
    expect(await stored(m)).toEqual({ 'a/more': 'MORE', 'e/b/new': 'NEW' });
    await m.rmdir('e/b/inner');
    await m.rm('e/b/new');
    await m.rmdir('e/b');
    expect(m.provider.other.tree()).toEqual({ 'a/more': 'MORE' });
  });

  it('goes with the content', async () => {
    const m = await waiting();
    m.provider.other.delete('a');
    await m.names();
    await settle();
    expect(await errnoOf(m.rmdir('a/b'))).toBe('ENOTEMPTY');
    await m.rm('a/b/new');
    await m.rmdir('a/b');
    await m.rmdir('a');
    expect(await m.names()).toEqual(['e']);
    expect(m.isClean()).toBe(true);
  });
});

describe('a file that is open for writing when another client', () => {
  it.each([['removes it'], ['puts a folder in its place'], ['removes its folder']])(
    '%s, is stored anew',
    async (what) => {
      const m = await waiting();
      await stored(m);
      const handle = await m.open('a/b/file', writing);
      await m.read(handle);
      m.provider.other.delete(what === 'removes its folder' ? 'a' : 'a/b/file');
      if (what === 'puts a folder in its place') m.provider.other.put('a/b/file/inner', 'inner');
      m.clock.advance(LATER);
      await m.names();
      await m.names('a/b').catch(() => undefined);
      await settle();
      await m.write(handle, 'OURS');
      const others = Object.keys(await shown(m));
      expect(others.filter((path) => !/new|other|inner/.test(path))).toEqual([expect.stringMatching(/(^|\/)file/)]);
      await m.close(handle);
      const tree = await stored(m);
      expect(Object.values(tree)).toContain('OURS');
      m.clock.advance(LATER);
      expect(Object.values(await shown(m))).toContain('OURS');
      expect(m.isClean()).toBe(true);
    },
  );

  it('removes it, and that is appended to, keeps what was written where the rest is gone', async () => {
    const m = await waiting();
    const handle = await m.open('a/b/file', appending);
    m.provider.other.delete('a/b/file');
    await m.names('a/b');
    await m.write(handle, 'MORE');
    await m.close(handle).catch(() => undefined);
    await m.fs.uploader.drain();
    expect(await m.pending()).toContain('/a/b/file failed');
    expect(await m.names('a/b')).toContain('file');
  });
});
