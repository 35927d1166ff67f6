/** Who has a file open shares the kernel's pages of it with all others; some bindings cannot even keep revisions apart. */
import { describe, expect, it } from 'vitest';
import { errnoOf, type Mounted, mounted, writing } from '../harness.js';

const MIB = 1024 * 1024;
const old = 'x'.repeat(3 * MIB);
const later = 'y'.repeat(4 * MIB);

/** The provider's copy is another by now, and a listing has told of it. */
async function replaced(m: Mounted, content = later): Promise<void> {
  m.provider.other.put('a', content);
  m.clock.advance(60_000);
  await m.names();
}

describe('over a binding that keeps one set of pages for all handles of a file', () => {
  const open = (content = old): Promise<Mounted> =>
    mounted({ sharesPages: true }, (provider) => provider.other.put('a', content));

  it('one that opens it later reads the version that was shown, as long as that is open', async () => {
    const m = await open();
    const reader = await m.open('a');
    expect(await m.read(reader, 0, 100)).toBe('x'.repeat(100));
    await replaced(m);
    const second = await m.open('a');
    expect(await m.read(second, 50, 100)).toBe('x'.repeat(100));
    expect(await errnoOf(m.read(second, 2 * MIB, 100))).toBe('ESTALE');
    expect(await errnoOf(m.read(reader, 2 * MIB, 100))).toBe('ESTALE');
    // What stat(2) says is of the same bytes.
    expect((await m.stat('a')).size).toBe(3 * MIB);
    await m.close(reader);
    // It may have seen all that the other read.
    expect(await errnoOf(m.read(second, 2 * MIB, 100))).toBe('ESTALE');
    await m.close(second);
    expect((await m.stat('a')).size).toBe(4 * MIB);
    expect((await m.cat('a')).slice(0, 3)).toBe('yyy');
    expect(m.messages.filter((line) => line.startsWith('opened in the version'))).toHaveLength(1);
  });

  it('one that has shown nothing switches to the version of a later open', async () => {
    const m = await open();
    const silent = await m.open('a');
    await replaced(m);
    const second = await m.open('a');
    expect(await m.read(second, 0, 3)).toBe('yyy');
    expect(await m.read(silent, 2 * MIB, 3)).toBe('yyy');
    await m.close(silent);
    await m.close(second);
  });

  it('what is written is a change of what was shown, and stored beside what another client made of it', async () => {
    const m = await open('1111111111');
    const reader = await m.open('a');
    expect(await m.read(reader, 0, 2)).toBe('11');
    await replaced(m, '2222222222');
    const writer = await m.open('a', writing);
    await m.write(writer, 'W', 5);
    expect([await m.read(writer), await m.read(reader)]).toEqual(['11111W1111', '11111W1111']);
    await m.close(writer);
    await m.close(reader);
    const stored = m.provider.other.tree();
    expect(stored.a).toBe('2222222222');
    expect(Object.values(stored)).toContain('11111W1111');
  });

  it('what is emptied by name is a new content for all, and replaces the latest', async () => {
    const m = await open();
    const reader = await m.open('a');
    await m.read(reader, 0, 2);
    await replaced(m);
    await m.truncate('a', 0);
    const writer = await m.open('a', writing);
    await m.write(writer, 'mine', 0);
    expect(await m.read(reader)).toBe('mine');
    await m.close(writer);
    expect(m.provider.other.tree()).toEqual({ a: 'mine' });
    expect(await m.read(reader)).toBe('mine');
    await m.close(reader);
  });

  it('what is cut by name is cut from what was shown', async () => {
    const m = await open('1111111111');
    const reader = await m.open('a');
    await m.read(reader, 0, 2);
    await replaced(m, '2222222222');
    await m.truncate('a', 4);
    expect(await m.read(reader)).not.toMatch(/2/);
    await m.close(reader);
    expect(m.provider.other.tree().a).toBe('2222222222');
  });

  it('pages that an earlier open left are gone, and bind nobody', async () => {
    const m = await open();
    const earlier = await m.open('a');
    await m.read(earlier, 0, 100);
    await m.close(earlier);
    const { handle, keepCache } = await m.fs.open(await m.ino('a'), { ...writing, write: false });
    expect(keepCache).toBe(false);
    m.provider.other.put('a', later);
    expect(await m.read(handle, 2 * MIB, 3)).toBe('yyy');
    await m.close(handle);
  });
});

describe('over every binding', () => {
  it('one is stale when another showed the old version, even if that has gone since', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', old));
    const [reader, silent] = [await m.open('a'), await m.open('a')];
    await m.read(reader, 0, 100);
    await m.close(reader);
    m.provider.other.put('a', later);
    expect(await errnoOf(m.read(silent, 2 * MIB, 100))).toBe('ESTALE');
    await m.close(silent);
  });

  it('one is stale when what was written while it was open is another version by now', async () => {
    const m = await mounted({ cacheSize: 1 }, (provider) => provider.other.put('a', 'first'));
    const silent = await m.open('a');
    const writer = await m.open('a', writing);
    await m.write(writer, old);
    await m.close(writer);
    m.provider.other.put('a', later);
    expect(await errnoOf(m.read(silent, 2 * MIB, 100))).toBe('ESTALE');
    await m.close(silent);
  });
});
