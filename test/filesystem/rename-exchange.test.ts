import { describe, expect, it } from 'vitest';
import { ln, tree } from './hard-link-support.js';
import { errnoOf, withFiles } from './harness.js';

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

  it('is refused where the provider has either, and where one is missing', async () => {
    const m = await withFiles({ a: 'a', b: 'b' });
    await ln(m, 'a', 'c');
    expect(await errnoOf(m.mv('a', 'b', exchanging))).toBe('EINVAL');
    expect(await errnoOf(m.mv('c', 'b', exchanging))).toBe('EINVAL');
    expect(await errnoOf(m.mv('c', 'none', exchanging))).toBe('ENOENT');
    await m.mv('a', 'c', exchanging);
    expect(await m.names()).toEqual(['a', 'b', 'c']);
  });
});
