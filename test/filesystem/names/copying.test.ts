import { describe, expect, it } from 'vitest';
import { errnoOf, mounted, reading } from '../harness.js';

describe('a copy of a whole file', () => {
  const setUp = async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'original'));
    return { m, from: await m.open('a', reading), to: await m.create('b') };
  };

  it('is the provider’s: nothing is uploaded', async () => {
    const { m, from, to } = await setUp();
    m.provider.counts();
    expect(await m.fs.copyRange(from, 0, to, 0, 1000)).toBe(8);
    await m.close(to);
    expect(m.provider.counts()).toEqual({ copy: 1 });
    expect([await m.cat('b'), m.provider.other.tree()]).toEqual(['original', { a: 'original', b: 'original' }]);
  });

  it('never costs the original, where the provider answers with that', async () => {
    const { m, from, to } = await setUp();
    m.core.provider.copy = async (file) => file;
    expect(await errnoOf(() => m.fs.copyRange(from, 0, to, 0, 1000))).toBe('ENOTSUP');
    await m.close(to);
    expect(await m.names()).toEqual(['a', 'b']);
    expect(m.provider.other.tree()).toMatchObject({ a: 'original' });
  });

  it('is not adopted when a program writes meanwhile', async () => {
    const { m, from, to } = await setUp();
    const gate = m.provider.gate('copy', 'after');
    const copying = errnoOf(() => m.fs.copyRange(from, 0, to, 0, 1000));
    await gate.reached;
    await m.write(to, 'mine');
    gate.open();
    expect(await copying).toBe('ENOTSUP');
    await m.close(to);
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: 'original', b: 'mine' });
  });
});
