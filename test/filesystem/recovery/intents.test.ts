import { describe, expect, it } from 'vitest';
import { type DeathPlace, dieAt, errnoOf, mounted, settle, writing } from '../harness.js';

const places: DeathPlace[] = [
  { method: 'move', nth: 1, when: 'before' },
  { method: 'move', nth: 1, when: 'after' },
  { method: 'move', nth: 2, when: 'before' },
  { method: 'move', nth: 2, when: 'after' },
  { method: 'trash', nth: 1, when: 'before' },
  { method: 'trash', nth: 1, when: 'after' },
];

const intents = (m: Awaited<ReturnType<typeof mounted>>) =>
  m.core.state.sql.prepare('SELECT COUNT(*) FROM intent').pluck().get();

describe.each([[false], [true]])('a replacement by rename (new ids: %s)', (newIds) => {
  const provider = { newIds };

  it.each(places)('that died $when the $nth. $method is finished or undone by the next mount', async (place) => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    const revived = await dieAt(m, place, () => m.mv('new', 'name'));
    await settle(20);
    const tree = revived.provider.other.tree();
    expect([{ name: 'old', new: 'new' }, { name: 'new' }]).toContainEqual(tree);
    expect(intents(revived)).toBe(0);
    expect(await revived.names()).toEqual(Object.keys(tree));
    expect(await revived.cat('name')).toBe(tree.name);
  });

  it.each(places)('that died $when the $nth. $method over a file with changes is done or undone', async (place) => {
    const m = await mounted({ provider, writeBack: true }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    const handle = await m.open('name', writing);
    await m.write(handle, ' and more', 3);
    await m.fs.fsync(handle);
    const revived = await dieAt(m, place, () => m.mv('new', 'name'));
    await settle(20);
    await revived.fs.uploader.drain();
    const tree = revived.provider.other.tree();
    expect([{ name: 'old and more', new: 'new' }, { name: 'new' }]).toContainEqual(tree);
    expect(intents(revived)).toBe(0);
    expect(await revived.names()).toEqual(Object.keys(tree));
    expect(await revived.cat('name')).toBe(tree.name);
    expect(revived.isClean()).toBe(true);
  });

  it('whose last step fails is finished by the same mount, on demand or after a while', async () => {
    const m = await mounted({ provider }, (memory) => {
      for (const name of ['new', 'name', 'new2', 'name2']) memory.other.put(name, name);
    });
    await m.names();
    m.provider.fail('trash', 'server', 3);
    await m.mv('new', 'name');
    await m.mv('new2', 'name2');
    expect(intents(m)).toBe(2);
    m.fs.retryFailed();
    await settle(20);
    expect(intents(m)).toBe(1);
    m.clock.advance(10_000);
    await settle(20);
    expect(intents(m)).toBe(0);
    expect(m.provider.other.tree()).toEqual({ name: 'new', name2: 'new2' });
    expect(await m.names()).toEqual(['name', 'name2']);
  });

  it('that could not even be undone is undone by the same mount after a while', async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    m.provider.during('move', 'before', () => undefined);
    m.provider.fail('move', 'server', 2);
    expect(await errnoOf(m.mv('new', 'name'))).toBe('EIO');
    m.clock.advance(10_000);
    await settle(20);
    expect(m.provider.other.tree()).toEqual({ name: 'old', new: 'new' });
    expect(intents(m)).toBe(0);
  });

  it.each([
    ['move', 1],
    ['move', 2],
  ] as const)('whose %s number %i is refused changes nothing', async (method, nth) => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    for (let n = 1; n < nth; n++) m.provider.during(method, 'before', () => undefined);
    m.provider.fail(method, 'permission');
    expect(await errnoOf(m.mv('new', 'name'))).toBe('EACCES');
    expect(m.provider.other.tree()).toEqual({ name: 'old', new: 'new' });
    expect(await m.names()).toEqual(['name', 'new']);
    expect(await m.cat('name')).toBe('old');
    expect(await m.cat('new')).toBe('new');
    expect(intents(m)).toBe(0);
  });

  it.each([1, 2])('whose answer to move number %i is lost ends with one of the two', async (nth) => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    for (let n = 1; n < nth; n++) m.provider.during('move', 'after', () => undefined);
    m.provider.loseAnswer('move');
    await m.mv('new', 'name').catch(() => undefined);
    const tree = m.provider.other.tree();
    expect([{ name: 'old', new: 'new' }, { name: 'new' }]).toContainEqual(tree);
    expect(await m.names()).toEqual(Object.keys(tree));
    expect(intents(m)).toBe(0);
  });

  it('whose old version cannot be removed is done all the same, and the next mount removes it', async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    m.provider.fail('trash', 'network');
    await m.mv('new', 'name');
    expect(await m.cat('name')).toBe('new');
    const again = await m.remount();
    await settle(20);
    expect(again.provider.other.tree()).toEqual({ name: 'new' });
    expect(intents(again)).toBe(0);
  });

  it('gives the old version a name of its own when another client took the name in between', async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    const revived = await dieAt(m, { method: 'move', nth: 1, when: 'after' }, async () => {
      m.provider.during('move', 'after', () => void m.provider.other.put('name', 'theirs'));
      await m.mv('new', 'name');
    });
    await settle(20);
    const contents = Object.values(revived.provider.other.tree()).toSorted();
    expect(contents).toContain('new');
    expect(contents).toContain('old');
    expect(await revived.names()).toEqual(Object.keys(revived.provider.other.tree()));
  });

  it('waits for the next mount when the provider cannot be reached', async () => {
    const m = await mounted({ provider }, (memory) => {
      memory.other.put('new', 'new');
      memory.other.put('name', 'old');
    });
    await m.names();
    m.provider.during('move', 'after', () => {
      m.provider.offline = true;
      throw new Error('gone');
    });
    await m.mv('new', 'name').catch(() => undefined);
    expect(intents(m)).toBe(1);
    m.provider.offline = false;
    const again = await m.remount();
    await settle(20);
    expect(again.provider.other.tree()).toEqual({ name: 'old', new: 'new' });
    expect(await again.names()).toEqual(['name', 'new']);
  });
});
