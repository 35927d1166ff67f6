/** The store in an account where other clients remove, damage and copy what it has written. */
import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { account, cleanUpMachines, large, Machine } from './machine.js';

cleanUpMachines();

describe('what others do to the folder', () => {
  it('is written again by a machine that has entries, when it was removed', async () => {
    const a = new Machine(account());
    a.put('x', { mode: '0600' });
    await a.store.flush();
    a.account.delete('.syncmount');
    expect(await a.look()).toEqual({ x: '0600' });
    expect(a.store.status().pending).toBe(1);
    await a.store.flush();
    expect(await new Machine(a.account).look()).toEqual({ x: '0600' });
    // Removed while it writes.
    a.account.delete('.syncmount');
    a.put('y', { mode: '0600' });
    await a.store.flush();
    expect(await new Machine(a.account).look()).toEqual({ x: '0600', y: '0600' });
  });

  it('is written again where one file was removed', async () => {
    const a = new Machine(account());
    for (let n = 0; n < 50; n++) a.put(`x${n}`, { mode: '0600', xattrs: large });
    await a.store.flush();
    const [path = ''] = Object.keys(a.account.tree()).filter((name) => !name.includes('index'));
    a.account.delete(path);
    await a.look();
    await a.store.flush();
    expect(Object.keys(await new Machine(a.account).look())).toHaveLength(50);
  });

  it('costs a damaged file only that file, and the machine that wrote it writes it anew', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    for (let n = 0; n < 50; n++) a.put(`x${n}`, { mode: '0600', xattrs: large });
    b.put('y', { mode: '0640' });
    await a.store.flush();
    await b.store.flush();
    const [path = ''] = Object.keys(a.account.tree()).filter((name) => !name.includes('index'));
    a.account.put(path, 'rubbish');
    const c = new Machine(a.account);
    expect(await c.look()).toMatchObject({ y: '0640' });
    expect(Object.keys(c.shown()).length).toBeLessThan(51);
    expect(c.messages).toEqual([
      expect.stringMatching(/jsonl\.gz of the metadata in the account cannot be used: it is damaged/),
    ]);
    c.provider.counts();
    await c.look();
    // It is not fetched again and again.
    expect(c.provider.counts()).toEqual({ list: 1 });
    await a.look();
    await a.store.flush();
    expect(Object.keys(await c.look())).toHaveLength(51);
  });

  it('leaves strange files alone, and refuses a later format with a message', async () => {
    const a = new Machine(account());
    a.put('x', { mode: '0600' });
    await a.store.flush();
    a.account.put('.syncmount/notes.txt', 'mine');
    const header = '{"format":"syncmount-metadata","version":2,"machine":"00000000000000ff","pack":0}\n';
    a.account.put('.syncmount/00000000000000ff.index.jsonl.gz', gzipSync(header));
    const b = new Machine(a.account);
    expect(await b.look()).toEqual({ x: '0600' });
    expect(b.messages).toEqual([expect.stringMatching(/of format 2, .* update syncmount/)]);
    expect(b.store.status()).toMatchObject({ refused: ['00000000000000ff'] });
    expect(Buffer.from(a.account.at('.syncmount/notes.txt')?.data ?? []).toString()).toBe('mine');
  });

  it('forgets what a machine has stored when its files are gone', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.put('x', { mode: '0600' });
    await a.store.flush();
    expect(await b.look()).toEqual({ x: '0600' });
    for (const path of Object.keys(a.account.tree())) a.account.delete(path);
    expect(await b.look()).toEqual({});
  });

  it('gives two copies of one disk two names, and loses nothing of either', async () => {
    const a = new Machine(account());
    a.put('x', { mode: '0600' });
    await a.store.flush();
    await a.end();
    const copied = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    cpSync(a.directory, copied, { recursive: true });
    const one = new Machine(a.account, a.directory);
    const two = new Machine(a.account, copied);
    expect(one.store.machine).toBe(two.store.machine);
    one.put('one', { mode: '0601' });
    await one.store.flush();
    await two.look();
    two.put('two', { mode: '0602' });
    await two.store.flush();
    expect(two.store.machine).not.toBe(one.store.machine);
    expect(await one.look()).toEqual({ one: '0601', two: '0602', x: '0600' });
    expect(await new Machine(a.account).look()).toEqual({ one: '0601', two: '0602', x: '0600' });
  });

  it('says so where a file has the name of the folder', async () => {
    const a = new Machine(account());
    a.account.put('.syncmount', 'a file of mine');
    expect(a.store.learnRoot(a.account.list(a.account.rootId))).toHaveLength(1);
    a.put('x', { mode: '0600' });
    await expect(a.store.flush()).rejects.toMatchObject({ code: 'exists' });
    expect(a.store.status().error).toMatch(/a file has the name \.syncmount/);
    expect(a.account.tree()).toEqual({ '.syncmount': 'a file of mine' });
  });

  it('is shown in no listing', () => {
    const a = new Machine(account());
    a.account.put('.syncmount/x', '1');
    a.account.put('d/.syncmount/x', '1');
    const shown = a.store.learnRoot(a.account.list(a.account.rootId));
    expect(shown.map(({ name }) => name)).toEqual(['d']);
  });
});
