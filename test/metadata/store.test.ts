/** The store over a provider in memory: two machines, and crashes. What other clients do to it: store-damage.test.ts. */
import { describe, expect, it } from 'vitest';
import { account, cleanUpMachines, large, link, Machine } from './machine.js';

cleanUpMachines();

describe('the store in the account', () => {
  it('carries entries from one machine to another, removals too', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.put('x', { mode: '0600' });
    a.put('l', link);
    expect(a.store.status()).toEqual({ pending: 2 });
    await a.store.flush();
    expect(a.store.status()).toEqual({ pending: 0 });
    expect(await b.look()).toEqual({ l: 'there', x: '0600' });
    b.store.remove('d1', 'l');
    b.put('x', { mode: '0640' });
    await b.store.flush();
    expect(await a.look()).toEqual({ x: '0640' });
    a.put('x', { mode: '0644' });
    await a.store.flush();
    expect(await b.look()).toEqual({ x: '0644' });
  });

  it('costs two requests for a first write, one for a further one, two for a first look, none for the next', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    for (let n = 0; n < 300; n++) a.put(`x${n}`, { mode: '0600' }, `d${n % 10}`);
    await a.store.flush();
    expect(a.provider.counts()).toEqual({ createFolder: 1, upload: 1 });
    a.put('x1', { mode: '0700' });
    a.put('x2', { mode: '0700' }, 'd2');
    await a.store.flush();
    expect(a.provider.counts()).toEqual({ upload: 1 });
    await b.look();
    expect(b.provider.counts()).toEqual({ list: 1, read: 1 });
    for (let n = 0; n < 10; n++) await b.store.prepare(`d${n}`, 'foreground');
    expect(b.provider.counts()).toEqual({});
    await a.store.flush();
    expect(a.provider.counts()).toEqual({});
  });

  it('is read again, where it is asked to be, once what it knows is older than that, and else says why it cannot', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.put('x', { mode: '0600' });
    await a.store.flush();
    expect(await b.look()).toEqual({ x: '0600' });
    a.put('x', { mode: '0640' });
    await a.store.flush();
    b.provider.counts();
    b.clock.advance(1999);
    await b.store.prepareAnew('d1', 2000);
    expect(b.provider.counts()).toEqual({});
    b.clock.advance(1);
    b.provider.fail('list', 'server');
    await expect(b.store.prepareAnew('d1', 2000)).rejects.toMatchObject({ code: 'server' });
    expect(b.shown()).toEqual({ x: '0600' });
    b.provider.counts();
    await b.store.prepareAnew('d1', 2000);
    expect(b.provider.counts()).toEqual({ list: 1, read: 1 });
    expect(b.shown()).toEqual({ x: '0640' });
  });

  it('is whole for a folder whose file changes while it is read', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.put('x', { mode: '0600' });
    await a.store.flush();
    // Between the list of the files and the first of them.
    b.provider.during('list', 'after', async () => {
      a.put('y', { mode: '0640' });
      await a.store.flush();
    });
    expect(await b.look()).toEqual({ x: '0600', y: '0640' });
    expect(b.store.retryIn('d1')).toBeNull();
  });

  it('tells for how long a folder is shown without what cannot be read, longer after each failure', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.put('x', { mode: '0600' });
    await a.store.flush();
    for (const pause of [5000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      b.provider.fail('read', 'server');
      expect(await b.look()).toEqual({});
      expect(b.store.retryIn('d1')).toBe(pause);
    }
    expect(await b.look()).toEqual({ x: '0600' });
    expect(b.store.retryIn('d1')).toBeNull();
  });

  it('fetches only the packs of a folder that is looked at', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    for (const folder of ['d1', 'd2', 'd3', 'd4'])
      for (let n = 0; n < 30; n++) a.put(`x${n}`, { mode: '0600', xattrs: large }, folder);
    await a.store.flush();
    expect(a.provider.counts()).toMatchObject({ upload: 5 });
    await b.look('d4');
    expect(b.provider.counts()).toEqual({ list: 1, read: 2 });
    expect(Object.keys(b.shown('d4'))).toHaveLength(30);
    expect(b.shown('d2')).toEqual({});
    await Promise.all([b.store.prepare('d2', 'foreground'), b.store.prepare('d2', 'foreground')]);
    expect(b.provider.counts()).toEqual({ read: 1 });
    expect(Object.keys(b.shown('d2'))).toHaveLength(30);
  });

  it('lets the later change win, and what knew of the other one, with clocks that are a day apart', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.clock.advance(86_400_000);
    a.put('x', { mode: '0600' });
    await a.store.flush();
    await b.look();
    b.put('x', { mode: '0644' });
    await b.store.flush();
    expect(await a.look()).toEqual({ x: '0644' });
    expect(b.shown()).toEqual({ x: '0644' });
  });

  it('writes nothing for a change that says what is known, or that is undone', async () => {
    const a = new Machine(account());
    a.put('x', { mode: '0600' });
    await a.store.flush();
    a.provider.counts();
    a.put('x', { mode: '0600' });
    expect(a.store.status().pending).toBe(0);
    const b = new Machine(a.account);
    b.put('y', {});
    b.store.remove('d1', 'y');
    await b.store.flush();
    expect(b.provider.counts()).toEqual({});
    expect(b.store.status()).toEqual({ pending: 0 });
  });

  it('keeps fields that it does not know, when it changes an entry', async () => {
    const a = new Machine(account());
    a.put('x', { mode: '0600', birthday: [1, 2] });
    await a.store.flush();
    const b = new Machine(a.account);
    await b.look();
    b.put('x', { mode: '0644' });
    expect(b.store.entriesOf('d1').get('x')?.entry).toMatchObject({ mode: '0644', birthday: [1, 2] });
  });

  it('finds the entry of an object that is in another folder by now', async () => {
    const a = new Machine(account());
    a.put('x', { id: 'f1', mode: '0600' });
    await a.store.flush();
    const b = new Machine(a.account);
    await b.look();
    expect(b.store.entryOfObject('f1')?.entry).toMatchObject({ mode: '0600', folder: 'd1' });
    expect(b.store.entryOfObject('f2')).toBeUndefined();
  });

  it('writes what an earlier process left, once it is quiet, and not from a read-only mount', async () => {
    const before = new Machine(account());
    before.put('x', { mode: '0600' });
    const reading = await before.restart(true);
    reading.store.start();
    await reading.store.flush();
    reading.clock.advance(100_000);
    expect(reading.provider.counts()).toEqual({});
    const a = await reading.restart();
    a.store.start();
    await expect.poll(() => a.clock.sleepers).toBe(1);
    a.clock.advance(7_000);
    expect(a.provider.counts()).toEqual({});
    a.clock.advance(1_000);
    await expect.poll(() => a.store.status()).toEqual({ pending: 0 });
    expect(a.account.tree()).not.toEqual({});
  });

  it('tries again after a failure, says so, and loses nothing', async () => {
    const a = new Machine(account());
    a.provider.fail('upload', 'server');
    a.put('x', { mode: '0600' });
    await expect(a.store.flush()).rejects.toMatchObject({ code: 'server' });
    expect(a.store.status()).toEqual({ pending: 1, error: 'upload was told to fail' });
    await a.store.flush();
    expect(a.store.status()).toEqual({ pending: 0 });
    expect(await new Machine(a.account).look()).toEqual({ x: '0600' });
  });

  it('carries a change that comes while another one is written', async () => {
    const a = new Machine(account());
    a.put('x', { mode: '0600' });
    a.provider.during('upload', 'before', () => a.put('x', { mode: '0644' }));
    await a.store.flush();
    expect(a.store.status().pending).toBe(1);
    await a.store.flush();
    expect(await new Machine(a.account).look()).toEqual({ x: '0644' });
  });
});

describe('a crash of the machine that writes', () => {
  const fill = (machine: Machine, mode: string): void => {
    for (const folder of ['d1', 'd2'])
      for (let n = 0; n < 22; n++) machine.put(`x${n}`, { mode, xattrs: large }, folder);
    machine.put('l', { ...link, target: mode });
  };
  const whole = async (reader: Machine): Promise<string[]> => {
    const modes: unknown[] = [];
    for (const folder of ['d1', 'd2']) modes.push(...Object.values(await reader.look(folder)));
    expect(modes).toHaveLength(45);
    return [...new Set(modes.map(String))].sort();
  };

  // Requests of a whole write: the folder, two packs, the index.
  it.each([
    ['createFolder', 1],
    ['upload', 1],
    ['upload', 2],
    ['upload', 3],
  ] as const)(
    'at %s %i, before or after it is done, leaves a readable store, and the next process ends it',
    async (method, nth) => {
      for (const when of ['before', 'after'] as const) {
        const a = new Machine(account());
        fill(a, '0600');
        for (let n = 1; n < nth; n++) a.provider.during(method, when, () => undefined);
        const gate = a.provider.gate(method, when);
        const writing = a.store.flush().catch(() => undefined);
        await gate.reached;
        const between = await new Machine(a.account).look('d1');
        for (const mode of Object.values(between)) expect(mode).toBe('0600');
        const ending = a.restart();
        gate.open(new Error('the process is dead'));
        await writing;
        const revived = await ending;
        expect(Object.keys(revived.shown('d2'))).toHaveLength(22);
        await revived.look();
        await revived.store.flush();
        expect(await whole(new Machine(a.account))).toEqual(['0600']);
        expect(new Set(Object.keys(a.account.tree()).map((path) => path.split('.').at(1))).size).toBe(1);
        // What was there already is replaced as a whole, too.
        fill(revived, '0640');
        const again = revived.provider.gate('upload', when);
        const second = revived.store.flush().catch(() => undefined);
        await again.reached;
        const seen = await whole(new Machine(a.account));
        expect(seen.every((mode) => ['0600', '0640'].includes(mode))).toBe(true);
        const last = revived.restart();
        again.open(new Error('the process is dead'));
        await second;
        const third = await last;
        await third.look();
        await third.store.flush();
        expect(await whole(new Machine(a.account))).toEqual(['0640']);
      }
    },
  );

  it('goes on when the answer to an upload was lost', async () => {
    const a = new Machine(account());
    a.provider.loseAnswer('upload');
    a.put('x', { mode: '0600' });
    await expect(a.store.flush()).rejects.toMatchObject({ code: 'network' });
    a.put('y', { mode: '0640' });
    await a.store.flush();
    expect(await new Machine(a.account).look()).toEqual({ x: '0600', y: '0640' });
    expect(Object.keys(a.account.tree())).toHaveLength(1);
  });
});
