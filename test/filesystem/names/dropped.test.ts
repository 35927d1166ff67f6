import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Capabilities } from '../../../src/providers/provider.js';
import { type Mounted, mounted, writing } from '../harness.js';

describe('a content that nobody wants any more', () => {
  const spoolOf = (m: Mounted): string[] => readdirSync(join(m.directory, 'spool'));
  const dropped = (m: Mounted): unknown[] => m.core.journal.garbage();

  it.each<[string, (m: Mounted) => Promise<unknown>]>([
    ['removed', (m) => m.rm('a')],
    ['replaced', (m) => m.mv('b', 'a')],
  ])('goes where the process died while its file was open and %s', async (_what, act) => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('b', 'other'));
    await m.names();
    const handle = await m.create('a');
    await m.write(handle, 'unwanted');
    await m.fs.fsync(handle);
    await act(m);
    await m.write(handle, 'more', 8);
    expect(await m.read(handle)).toBe('unwantedmore');
    expect(spoolOf(m)).toHaveLength(1);
    const revived = await m.crash();
    expect(spoolOf(revived)).toEqual([]);
    expect(revived.messages).toEqual([]);
    expect(dropped(revived)).toEqual([]);
  });

  it('goes where it was first written after its file was removed', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'stored'));
    const handle = await m.open('a', writing);
    await m.rm('a');
    await m.write(handle, 'unwanted');
    const revived = await m.crash();
    expect(spoolOf(revived)).toEqual([]);
    expect(revived.messages).toEqual([]);
  });

  it('goes where the process died after it was stored, before its spool file was gone', async () => {
    const m = await mounted();
    await m.put('a', 'text');
    // As the row leaves it behind.
    writeFileSync(join(m.directory, 'spool', '1'), 'text');
    m.core.journal.markGarbage('1');
    const revived = await m.crash();
    expect(spoolOf(revived)).toEqual([]);
    expect(await revived.cat('a')).toBe('text');
  });

  it('is forgotten with its spool file while the mount lives', async () => {
    const m = await mounted({}, (provider) => provider.other.put('c', 'stored'));
    await m.put('a', 'text');
    const handle = await m.create('b');
    await m.write(handle, 'unwanted');
    await m.rm('b');
    await m.fs.release(handle);
    const other = await m.open('c', writing);
    await m.rm('c');
    await m.write(other, 'unwanted');
    await m.fs.release(other);
    expect(dropped(m)).toEqual([]);
    expect(spoolOf(m)).toEqual([]);
  });

  it('is never one whose row was lost: that is set aside', async () => {
    const m = await mounted({ writeBack: true });
    m.provider.gate('upload');
    await m.put('a', 'accepted');
    m.core.state.sql.exec('DELETE FROM upload');
    const revived = await m.crash();
    expect(readdirSync(join(revived.directory, 'spool', 'rescued'))).toHaveLength(1);
    expect(revived.messages.join()).toContain('without a journal row');
  });

  it('is never one that was not removed for want of a provider', async () => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('a', 'old'));
    m.provider.gate('upload');
    await m.put('a', 'accepted');
    m.provider.offline = true;
    await m.rm('a').catch(() => undefined);
    const revived = await m.crash();
    expect(await revived.cat('a')).toBe('accepted');
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'accepted' });
  });

  it.each<[string, Partial<Capabilities>, (m: Mounted) => Promise<unknown>]>([
    [
      'a file that is not stored either',
      {},
      async (m) => {
        m.provider.fail('upload', 'quota');
        await m.put('b', 'new');
      },
    ],
    ['a stored file', {}, async (m) => void m.provider.other.put('b', 'stored')],
    ['a stored file by copying', { moveFile: false }, async (m) => void m.provider.other.put('b', 'stored')],
  ])('loses its name and its row in one step when %s takes the name', async (_what, capabilities, make) => {
    const m = await mounted({ writeBack: true, provider: { capabilities } });
    m.provider.fail('upload', 'quota');
    await m.put('a', 'unwanted');
    await make(m);
    await m.fs.uploader.drain();
    expect(await m.pending()).toContain('/a failed');
    m.clock.advance(60_000);
    await m.names();
    const { table, journal } = m.core;
    const nameless: number[] = [];
    const transaction = table.transaction.bind(table);
    table.transaction = (act) => {
      const result = transaction(act);
      // What the next mount would find, should the process die here.
      nameless.push(journal.all().filter(({ ino }) => table.get(ino)?.parent === null).length);
      return result;
    };
    await m.mv('b', 'a');
    expect(nameless.length).toBeGreaterThan(0);
    expect(nameless.every((count) => count === 0)).toBe(true);
  });
});
