/** A file with local changes that another client has renamed or moved: the changes go along. */
import { describe, expect, it } from 'vitest';
import { type Mounted, mounted, settle, writing } from '../harness.js';

const LATER = 60_000;

/** `d/a` with a change that is not stored, and an empty folder `e`; both folders were listed. */
async function changed(provider = {}): Promise<{ m: Mounted; ino: number; close: () => Promise<void> }> {
  const m = await mounted({ provider }, ({ other }) => {
    other.put('d/a', 'base');
    other.mkdir('e');
  });
  await m.names('d');
  await m.names('e');
  const ino = await m.ino('d/a');
  const handle = await m.open('d/a', writing);
  await m.write(handle, 'OURS');
  m.clock.advance(LATER);
  return { m, ino, close: () => m.close(handle) };
}

async function shown(m: Mounted): Promise<Record<string, string>> {
  await settle();
  const files: Record<string, string> = {};
  for (const directory of await m.names())
    for (const name of await m.names(directory)) files[`${directory}/${name}`] = await m.cat(`${directory}/${name}`);
  return files;
}

describe.each([[true], [false]])('changes of a file that another client (md5: %s)', (md5) => {
  const capabilities = { md5 };

  it.each<[string, (m: Mounted) => Promise<unknown>]>([
    ['has not listed', async () => undefined],
    ['has listed', (m) => m.names('d')],
  ])('renamed in a folder that this mount %s since, go to the new name', async (_what, look) => {
    const { m, ino, close } = await changed({ capabilities });
    m.provider.other.rename('d/a', 'd/b');
    await look(m);
    await close();
    expect(m.provider.other.tree()).toEqual({ 'd/b': 'OURS' });
    expect(await shown(m)).toEqual({ 'd/b': 'OURS' });
    expect(await m.ino('d/b')).toBe(ino);
    expect(m.isClean()).toBe(true);
  });

  it.each<[string, string[]]>([
    ['neither folder', []],
    ['the old folder only', ['d']],
    ['the new folder only', ['e']],
    ['the old folder, then the new one', ['d', 'e']],
    ['the new folder, then the old one', ['e', 'd']],
  ])('moved go there, where this mount has since listed %s', async (_what, listed) => {
    const { m, ino, close } = await changed({ capabilities });
    m.provider.other.rename('d/a', 'e/b');
    for (const directory of listed) await m.names(directory);
    await close();
    expect(m.provider.other.tree()).toEqual({ 'e/b': 'OURS' });
    expect(await shown(m)).toEqual({ 'e/b': 'OURS' });
    expect(await m.ino('e/b')).toBe(ino);
    expect(m.isClean()).toBe(true);
  });

  it('moved to a folder that this mount never saw go there', async () => {
    const { m, ino, close } = await changed({ capabilities });
    m.provider.other.mkdir('new');
    m.provider.other.rename('d/a', 'new/a');
    await m.names('d');
    await close();
    expect(m.provider.other.tree()).toEqual({ 'new/a': 'OURS' });
    m.clock.advance(LATER);
    expect(await shown(m)).toEqual({ 'new/a': 'OURS' });
    expect(await m.ino('new/a')).toBe(ino);
  });

  it('renamed and changed are stored beside it', async () => {
    const { m, close } = await changed({ capabilities });
    m.provider.other.put('d/a', 'theirs');
    m.provider.other.rename('d/a', 'd/b');
    await close();
    expect(Object.values(m.provider.other.tree()).toSorted()).toEqual(['OURS', 'theirs']);
    expect(m.provider.other.tree()).toMatchObject({ 'd/b': 'theirs' });
    expect(Object.values(await shown(m)).toSorted()).toEqual(['OURS', 'theirs']);
    expect(m.isClean()).toBe(true);
  });

  it('moved show it under its new name only, before they are stored', async () => {
    const { m, ino, close } = await changed({ capabilities });
    m.provider.other.rename('d/a', 'e/b');
    await m.names('d');
    expect(await m.names('e')).toEqual(['b']);
    expect([await m.names('d'), await m.ino('e/b'), await m.cat('e/b')]).toEqual([[], ino, 'OURS']);
    await close();
    expect(m.provider.other.tree()).toEqual({ 'e/b': 'OURS' });
  });

  it('moved keep the name that was given here since', async () => {
    const { m, ino, close } = await changed({ capabilities });
    m.provider.other.rename('d/a', 'e/b');
    await m.names('d');
    await m.mv('d/a', 'd/mine');
    await m.names('e');
    expect(await m.ino('d/mine')).toBe(ino);
    await close();
  });

  it('moved, and that was changed under its new name too, are one content', async () => {
    const { m, close } = await changed({ capabilities });
    m.provider.other.rename('d/a', 'e/b');
    await m.names('d');
    const there = await m.open('e/b', writing);
    await m.write(there, 'ALSO OURS');
    await close();
    await m.close(there);
    expect(m.provider.other.tree()).toEqual({ 'e/b': 'ALSO OURS' });
    expect(await shown(m)).toEqual({ 'e/b': 'ALSO OURS' });
    expect(m.isClean()).toBe(true);
  });

  it('renamed while the mount was dead go to the new name', async () => {
    const { m } = await changed({ capabilities });
    await m.fs.fsync([...m.core.files.handles()][0]?.id ?? 0);
    m.provider.other.rename('d/a', 'd/b');
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ 'd/b': 'OURS' });
    expect(await shown(revived)).toEqual({ 'd/b': 'OURS' });
  });
});
