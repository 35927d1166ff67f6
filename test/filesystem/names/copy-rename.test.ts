/** Renames where the provider has none: a copy and a removal (as on 5sync). */
import { describe, expect, it } from 'vitest';
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

describe.each([[false], [true]])('a rename by copying (new ids: %s)', (newIds) => {
  const provider = { newIds, capabilities };

  it.each<[DeathPlace, Record<string, string>]>([
    [
      { method: 'upload', when: 'before' },
      { from: 'source', to: 'target and more' },
    ],
    [{ method: 'upload', when: 'after' }, { to: 'source' }],
    [{ method: 'remove', when: 'before' }, { to: 'source' }],
    [{ method: 'remove', when: 'after' }, { to: 'source' }],
  ])('that died at %o over a file with changes is done or not, and meets no conflict', async (place, after) => {
    const m = await mounted({ writeBack: true, provider }, (memory) => {
      memory.other.put('from', 'source');
      memory.other.put('to', 'target');
    });
    await m.names();
    const handle = await m.open('to', appending);
    await m.write(handle, ' and more', 6);
    await m.fs.fsync(handle);
    const revived = await rested(await dieAt(m, place, () => m.mv('from', 'to')));
    revived.fs.retryFailed();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual(after);
    expect(await revived.names()).toEqual(Object.keys(after).sort());
    expect(await revived.cat('to')).toBe(after.to);
    expect(revived.isClean()).toBe(true);
  });

  it('that died takes what was written to the file with it', async () => {
    const m = await mounted({ writeBack: true, provider }, (memory) => {
      memory.other.put('from', 'source');
    });
    await m.names();
    const handle = await m.open('from', appending);
    await m.write(handle, ', longer', 6);
    await m.fs.fsync(handle);
    const revived = await rested(await dieAt(m, { method: 'remove', when: 'before' }, () => m.mv('from', 'to')));
    revived.fs.retryFailed();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ to: 'source, longer' });
  });

  it.each(['before', 'after'] as const)('shows no old name where a listing came %s its removal', async (when) => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('from', 'source');
    });
    await m.names();
    m.provider.during('remove', when, () => m.core.directories.refresh(1));
    await m.mv('from', 'to');
    expect(await m.names()).toEqual(['to']);
    expect(m.provider.other.tree()).toEqual({ to: 'source' });
  });

  it.each([
    ['', {}],
    [' over a file', { to: 'target' }],
  ])('whose answer is lost%s is finished in the background, once the service can be asked', async (_, there) => {
    const m = await mounted({ provider }, (memory) => {
      for (const [name, content] of Object.entries({ from: 'source', ...there })) memory.other.put(name, content);
    });
    await m.names();
    m.provider.loseAnswer('upload');
    m.provider.fail('list', 'network');
    expect(await errnoOf(m.mv('from', 'to'))).toBe('ENETUNREACH');
    await settle();
    expect(await m.cat('from')).toBe('source');
    m.clock.advance(10_000);
    await rested(m);
    expect(m.provider.other.tree()).toEqual({ to: 'source' });
    expect(await m.names()).toEqual(['to']);
    expect(await m.cat('to')).toBe('source');
    expect(m.isClean()).toBe(true);
  });

  it.each([
    ['running', false],
    ['next', true],
  ] as const)(
    'that the service stores after its answer is lost, when two looks have found nothing, is finished by the %s mount',
    async (_, dies) => {
      let m = await mounted({ provider }, (memory) => {
        memory.other.put('from', 'source');
      });
      await m.names();
      m.provider.fail('upload', 'network');
      expect(await errnoOf(m.mv('from', 'to'))).toBe('ENETUNREACH');
      await settle();
      if (dies) m = await m.crash();
      // A look at once, and one that somebody asks for.
      m.fs.retryFailed();
      await settle();
      m.provider.other.put('to', 'source');
      await rested(m);
      expect(m.provider.other.tree()).toEqual({ to: 'source' });
      await m.core.directories.refresh(1);
      expect(await m.names()).toEqual(['to']);
      expect(m.isClean()).toBe(true);
    },
  );

  it('is looked for soon, also where another has failed for long', async () => {
    const m = await mounted({ provider }, (memory) => {
      for (const name of ['first', 'from']) memory.other.put(name, name);
    });
    await m.names();
    m.provider.fail('remove', 'network', 5);
    await m.mv('first', 'second');
    // At once, and after pauses that have grown to 80 s: the next one is 160 s.
    for (let turn = 0; turn < 20; turn++) {
      m.clock.advance(10_000);
      await settle();
    }
    await m.names();
    m.provider.loseAnswer('upload');
    m.provider.fail('list', 'network');
    expect(await errnoOf(m.mv('from', 'to'))).toBe('ENETUNREACH');
    await settle();
    expect(m.provider.other.tree()).toEqual({ first: 'first', second: 'first', from: 'from', to: 'from' });
    m.clock.advance(10_000);
    await settle();
    expect(m.provider.other.tree()).toMatchObject({ to: 'from' });
    expect(m.provider.other.tree()).not.toHaveProperty('from');
  });

  it('that was never stored is not looked for any more after a while, and one that was refused not at all', async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('from', 'source');
    });
    await m.names();
    m.provider.fail('upload', 'quota');
    expect(await errnoOf(m.mv('from', 'to'))).toBe('ENOSPC');
    expect(intents(m)).toBe(0);
    m.provider.fail('upload', 'network');
    expect(await errnoOf(m.mv('from', 'to'))).toBe('ENETUNREACH');
    await settle();
    expect(intents(m)).toBe(1);
    m.clock.advance(10_000);
    await rested(m);
    expect(m.provider.other.tree()).toEqual({ from: 'source' });
  });

  it.each([
    ['another file has the new name', (m: Mounted) => m.put('to', 'mine')],
    ['a file of the same content has the new name', (m: Mounted) => m.put('to', 'source')],
    ['the file has another content', (m: Mounted) => m.put('from', 'mine')],
    ['the file has another name', (m: Mounted) => m.mv('from', 'elsewhere')],
  ])('whose answer is lost is left alone where %s by now', async (_, act) => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('from', 'source');
    });
    await m.names();
    m.provider.fail('upload', 'timeout');
    expect(await errnoOf(m.mv('from', 'to'))).toBe('EIO');
    await act(m);
    const after = m.provider.other.tree();
    m.clock.advance(10_000);
    await rested(m);
    expect(m.provider.other.tree()).toEqual(after);
    expect(await m.names()).toEqual(Object.keys(after).sort());
  });

  it('that was never stored takes no later one of the same content and name for its copy, where that one died', async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('first', 'same');
      memory.other.put('second', 'same');
    });
    await m.names();
    m.provider.fail('upload', 'network');
    expect(await errnoOf(m.mv('first', 'to'))).toBe('ENETUNREACH');
    await settle();
    const revived = await rested(await dieAt(m, { method: 'upload', when: 'after' }, () => m.mv('second', 'to')));
    expect(revived.provider.other.tree()).toEqual({ first: 'same', to: 'same' });
    expect(await revived.names()).toEqual(['first', 'to']);
  });

  it('brings nothing twice: what was copied is read from here', async () => {
    const content = 'source '.repeat(30_000);
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('from', content);
    });
    await m.names();
    await m.mv('from', 'to');
    m.provider.counts();
    expect(await m.cat('to')).toBe(content);
    await m.mv('to', 'again');
    expect(await m.cat('again')).toBe(content);
    // Since then.
    expect(m.provider.counts().read).toBeUndefined();
    expect(m.isClean()).toBe(true);
  });

  it("leaves the old name to another client's newer version", async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('from', 'source');
    });
    await m.names();
    const revived = await dieAt(m, { method: 'remove', when: 'before' }, async () => {
      m.provider.during('upload', 'after', () => void m.provider.other.put('from', 'theirs'));
      await m.mv('from', 'to');
    });
    await rested(revived);
    expect(revived.provider.other.tree()).toEqual({ from: 'theirs', to: 'source' });
  });

  it('takes no file for its copy that was there before, or that holds something else', async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('from', 'source');
      memory.other.put('to', 'source');
    });
    await m.names();
    const revived = await rested(await dieAt(m, { method: 'upload', when: 'before' }, () => m.mv('from', 'to')));
    expect(revived.provider.other.tree()).toEqual({ from: 'source', to: 'source' });
    const again = await dieAt(revived, { method: 'upload', when: 'before' }, async () => {
      await revived.names();
      revived.provider.other.put('else', 'theirs');
      await revived.mv('from', 'else');
    });
    await rested(again);
    expect(again.provider.other.tree()).toEqual({ from: 'source', to: 'source', else: 'theirs' });
  });
});
