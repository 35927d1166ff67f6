/** The upkeep of the store over a provider in memory: packs that have shrunken, removals that are done, and a crash in between. */
import { describe, expect, it } from 'vitest';
import { account, cleanUpMachines, large, link, Machine } from './machine.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

cleanUpMachines();

/** The numbers of the packs that have a file. */
const packsOf = (machine: Machine): string[] =>
  Object.keys(machine.account.tree())
    .filter((path) => path.includes(machine.store.machine))
    .map((path) => path.split('.').at(2) ?? '')
    .sort();

const folders = ['d1', 'd2', 'd3'];

/** Packs of one folder each, of which two entries each are left. */
async function shrunken(): Promise<Machine> {
  const a = new Machine(account());
  for (const folder of folders) for (let n = 0; n < 30; n++) a.put(`x${n}`, { mode: '0600', xattrs: large }, folder);
  await a.store.flush();
  for (const folder of folders) for (let n = 2; n < 30; n++) a.store.remove(folder, `x${n}`);
  await a.store.flush();
  return a;
}

const all = async (reader: Machine): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const folder of folders) counts[folder] = Object.keys(await reader.look(folder)).length;
  return counts;
};
const whole = { d1: 2, d2: 2, d3: 2 };

/** A new mount a day later: its upkeep is done and written. */
async function tidy(before: Machine, readOnly = false): Promise<Machine> {
  const machine = await before.restart(readOnly);
  machine.clock.advance(2 * DAY);
  machine.store.start();
  await machine.settled();
  return machine;
}

describe('packs that have shrunken', () => {
  it('are merged by the next mount, and the files of the others go', async () => {
    const before = await shrunken();
    expect(packsOf(before)).toEqual(['1', '2', '3', 'index']);
    const old = new Machine(before.account);
    expect(await all(old)).toEqual(whole);
    const a = await tidy(before);
    expect(packsOf(a)).toEqual(['3', 'index']);
    expect(a.provider.counts()).toEqual({ list: 1, upload: 2, remove: 2 });
    const reader = new Machine(a.account);
    expect(await all(reader)).toEqual(whole);
    expect(reader.provider.counts()).toMatchObject({ read: 2 });
    // One that has read the packs before reads the merged one.
    expect(await all(old)).toEqual(whole);
    // And both go on.
    a.put('x0', { mode: '0640' }, 'd1');
    old.put('x1', { mode: '0641' }, 'd1');
    await a.store.flush();
    await old.store.flush();
    expect(await reader.look('d1')).toEqual({ x0: '0640', x1: '0641' });
    expect(await a.look('d1')).toEqual({ x0: '0640', x1: '0641' });
    expect(a.messages).toEqual([]);
  });

  it('are looked at once an hour, and not by a read-only mount', async () => {
    const reading = await tidy(await shrunken(), true);
    expect(packsOf(reading)).toEqual(['1', '2', '3', 'index']);
    const a = await tidy(reading);
    expect(packsOf(a)).toEqual(['3', 'index']);
    for (const folder of ['d4', 'd5'])
      for (let n = 0; n < 30; n++) a.put(`y${n}`, { mode: '0600', xattrs: large }, folder);
    await a.store.flush();
    for (const folder of ['d4', 'd5']) for (let n = 2; n < 30; n++) a.store.remove(folder, `y${n}`);
    await a.store.flush();
    const soon = await a.restart();
    soon.clock.advance(2 * DAY + HOUR / 2);
    soon.store.start();
    await soon.settled();
    expect(packsOf(soon)).toEqual(['3', '4', 'index']);
    soon.clock.advance(HOUR);
    soon.put('z', { mode: '0600' });
    await soon.settled();
    expect(packsOf(soon)).toEqual(['4', 'index']);
  });

  it('stay where the service removes nothing', async () => {
    const before = await shrunken();
    const a = await before.restart();
    Object.assign(a.provider.capabilities, { permanentDelete: false, trash: false });
    a.clock.advance(DAY);
    a.store.start();
    await a.settled();
    expect(packsOf(a)).toEqual(['1', '2', '3', 'index']);
  });

  it('of which nothing is left have no file', async () => {
    const a = await shrunken();
    for (const name of ['x0', 'x1']) a.store.remove('d2', name);
    await a.store.flush();
    expect(packsOf(a)).toEqual(['1', '3', 'index']);
    expect(await all(new Machine(a.account))).toEqual({ ...whole, d2: 0 });
    // A list that was made before shows it still: it is known as ours.
    const { machine } = a.store;
    await a.look();
    expect(a.store.machine).toBe(machine);
    for (let n = 0; n < 50; n++) a.put(`x${n}`, { mode: '0600', xattrs: large }, 'd2');
    await a.store.flush();
    expect(await all(new Machine(a.account))).toEqual({ ...whole, d2: 50 });
  });

  const requests = [
    ['upload', 1],
    ['upload', 2],
    ['remove', 1],
    ['remove', 2],
  ] as const;
  it.each(requests)('a crash at %s %i leaves a readable store, and the next process ends it', async (method, nth) => {
    for (const when of ['before', 'after'] as const) {
      const before = await shrunken();
      const old = new Machine(before.account);
      expect(await all(old)).toEqual(whole);
      const a = await before.restart();
      for (let n = 1; n < nth; n++) a.provider.during(method, when, () => undefined);
      const gate = a.provider.gate(method, when);
      a.store.start();
      await expect.poll(() => a.store.status().pending).toBeGreaterThan(0);
      const writing = a.store.flush().catch(() => undefined);
      await gate.reached;
      expect(await all(new Machine(a.account))).toEqual(whole);
      expect(await all(old)).toEqual(whole);
      const ending = a.restart();
      gate.open(new Error('the process is dead'));
      await writing;
      const revived = await ending;
      expect(await all(revived)).toEqual(whole);
      await revived.store.flush();
      expect(packsOf(revived)).toEqual(['3', 'index']);
      for (const reader of [old, revived, new Machine(a.account)]) expect(await all(reader)).toEqual(whole);
      expect(new Set(Object.keys(a.account.tree()).map((path) => path.split('.').at(1))).size).toBe(1);
    }
  });
});

describe('a removal', () => {
  const removals = async (machine: Machine): Promise<number> =>
    (await machine.lines()).filter(({ gone }) => gone === true).length;

  it('goes when no machine has an older entry any more', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.put('l', link);
    a.put('m', link);
    await a.store.flush();
    await b.look();
    b.store.remove('d1', 'l');
    b.put('own', link);
    await b.store.flush();
    expect(await removals(a)).toBe(1);
    // The machine with the older entry has not seen it yet.
    const later = await tidy(b);
    expect(await removals(a)).toBe(1);
    expect(await a.look()).toEqual({ m: 'there', own: 'there' });
    a.store.applied('d1');
    await a.store.flush();
    expect(await removals(a)).toBe(1);
    const last = await tidy(later);
    expect(await removals(a)).toBe(0);
    for (const reader of [a, last, new Machine(a.account)])
      expect(await reader.look()).toEqual({ m: 'there', own: 'there' });
  });

  it('is noted where it is not known what other machines have', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    b.put('other', link);
    await b.store.flush();
    a.put('l', link);
    await a.store.flush();
    await a.look();
    b.put('l', link);
    await b.store.flush();
    a.clock.advance(61_000);
    a.provider.fail('read', 'server');
    await a.store.prepare('d1', 'foreground');
    a.store.remove('d1', 'l');
    await a.store.flush();
    expect(await removals(a)).toBe(1);
  });

  it('of what nobody else has is no entry, and who has shown that learns of it', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    a.put('l', link);
    a.put('m', link);
    await a.store.flush();
    await b.look();
    a.store.remove('d1', 'l');
    await a.store.flush();
    expect(await removals(a)).toBe(0);
    expect(await b.look()).toEqual({ m: 'there' });
    expect(b.store.retractionsOf('d1')).toEqual([
      { name: 'l', time: expect.objectContaining({ machine: a.store.machine }) },
    ]);
    // Said again, it counts again.
    a.put('l', link);
    await a.store.flush();
    await b.look();
    expect(b.store.retractionsOf('d1')).toEqual([]);
  });

  it('is not concluded from files that are missing or damaged', async () => {
    const a = new Machine(account());
    const b = new Machine(a.account);
    for (let n = 0; n < 50; n++) a.put(`x${n}`, { ...link, xattrs: large });
    await a.store.flush();
    expect(Object.keys(await b.look())).toHaveLength(50);
    const [path = ''] = Object.keys(a.account.tree()).filter((name) => !name.includes('index'));
    a.account.put(path, 'rubbish');
    await b.look();
    expect(b.store.retractionsOf('d1')).toEqual([]);
    a.account.delete(path);
    await b.look();
    expect(b.store.retractionsOf('d1')).toEqual([]);
    a.account.delete('.syncmount');
    await b.look();
    expect(b.store.retractionsOf('d1')).toEqual([]);
  });
});
