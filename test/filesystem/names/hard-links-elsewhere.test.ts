/** Other clients change a file that has several names here. */
import { describe, expect, it } from 'vitest';
import { errnoOf, settle, withFiles } from '../harness.js';
import { ln, tree } from './hard-link-support.js';

describe('another client, of a file with two names,', () => {
  it('removes the object: all names go, and come back with it', async () => {
    const m = await withFiles({ 'd/a': 'text', 'e/x': '' }, { ttl: 0 });
    await ln(m, 'd/a', 'b');
    await ln(m, 'd/a', 'e/c');
    m.provider.other.rename('d/a', 'e/moved');
    await m.names('d');
    expect(await m.names()).toEqual(['d', 'e']);
    await settle();
    expect(m.invalidations).toContainEqual({ kind: 'entry', parent: m.fs.root, name: 'b' });
    expect(await m.names('e')).toEqual(['c', 'moved', 'x']);
    expect(await m.names()).toEqual(['b', 'd', 'e']);
    expect((await m.stat('b')).nlink).toBe(3);
    m.provider.other.delete('e/moved');
    expect(await m.names('e')).toEqual(['x']);
    expect(await m.names()).toEqual(['d', 'e']);
    expect(await errnoOf(m.stat('b'))).toBe('ENOENT');
    // The names are free.
    await m.put('b', 'other');
    expect(await tree(await m.remount())).toMatchObject({ b: expect.stringMatching(/ 1$/) });
  });

  it('removes the object of what is not stored yet: all names stay', async () => {
    const m = await withFiles({ 'd/a': 'text' }, { ttl: 0, writeBack: true });
    await ln(m, 'd/a', 'b');
    const gate = m.provider.gate('upload');
    await m.put('b', 'newer');
    m.provider.other.delete('d/a');
    expect(await m.names('d')).toEqual(['a']);
    expect(await m.names()).toEqual(['b', 'd']);
    gate.open();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ 'd/a': 'newer' });
    expect((await m.stat('b')).nlink).toBe(2);
  });

  it('stores something under a further name: it gets a name of its own', async () => {
    const m = await withFiles({ a: 'text' }, { ttl: 0 });
    await ln(m, 'a', 'b');
    m.provider.other.put('b', 'theirs');
    expect(await m.names()).toEqual(['a', 'b', expect.stringMatching(/^b \(~/)]);
    expect(await m.cat('b')).toBe('text');
  });

  it('gives the object a further name of its inode: the first one goes', async () => {
    const m = await withFiles({ a: 'text' }, { ttl: 0 });
    await ln(m, 'a', 'b');
    m.provider.other.rename('a', 'b');
    expect(await tree(m)).toEqual({ b: `${await m.ino('b')} 1` });
    expect(await m.cat('b')).toBe('text');
  });
});
