import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/providers/errors.js';
import { type DeathPlace, dieAt, intents, type Mounted, mounted, settle } from '../harness.js';

/** As 5sync: no renames, no trash, no checksums. */
const provider = { capabilities: { moveFile: false, moveFolder: false, copyFile: false, trash: false, md5: false } };
const begun = async (): Promise<Mounted> => {
  const m = await mounted({ provider }, (memory) => memory.other.put('old', 'content'));
  await m.names();
  m.clock.advance(5000);
  return m;
};

describe('a rename by copying', () => {
  it('whose old file cannot be removed is done, and the file goes on demand or after a while', async () => {
    const m = await begun();
    m.provider.fail('remove', 'server', 2);
    await m.mv('old', 'new');
    expect(m.provider.other.tree()).toEqual({ old: 'content', new: 'content' });
    m.fs.retryFailed();
    await settle(20);
    expect(intents(m)).toBe(1);
    m.clock.advance(10_000);
    await settle(20);
    expect(m.provider.other.tree()).toEqual({ new: 'content' });
    expect(intents(m)).toBe(0);
    expect(await m.names()).toEqual(['new']);
  });

  const places: DeathPlace[] = [
    { method: 'remove', nth: 1, when: 'before' },
    { method: 'remove', nth: 1, when: 'after' },
  ];
  it.each(places)('that died $when the removal is finished by the next mount', async (place) => {
    const m = await begun();
    const revived = await dieAt(m, place, () => m.mv('old', 'new'));
    await settle(20);
    expect(revived.provider.other.tree()).toEqual({ new: 'content' });
    expect(await revived.names()).toEqual(['new']);
    expect(intents(revived)).toBe(0);
  });

  it('never removes later what another client has changed, or what was stored under the old name since', async () => {
    const m = await begun();
    m.provider.fail('remove', 'server', 1);
    await m.mv('old', 'new');
    m.clock.advance(2000);
    m.provider.other.put('old', 'changed');
    m.fs.retryFailed();
    await settle(20);
    expect(m.provider.other.tree()).toEqual({ old: 'changed', new: 'content' });
    expect(intents(m)).toBe(0);

    m.provider.fail('remove', 'server', 1);
    await m.mv('new', 'newer');
    // Its removal was to be later, and is in time.
    await m.put('new', 'CONTENT');
    m.fs.retryFailed();
    m.clock.advance(60_000);
    await settle(20);
    expect(m.provider.other.tree()).toEqual({ old: 'changed', new: 'CONTENT', newer: 'content' });
    expect(intents(m)).toBe(0);
  });
});

describe('a rename by copying, of a file that another client has changed within the same second to as many bytes', () => {
  const both = { old: 'CONTENT', new: 'content' };
  const change = ({ provider: { other } }: Mounted): void => {
    const node = other.at('old');
    if (node === undefined) throw new Error('old is gone');
    const { modified } = node;
    other.put('old', 'CONTENT');
    node.modified = modified;
  };
  const opened = async (): Promise<Mounted> => {
    const m = await mounted({ provider }, (memory) => memory.other.put('old', 'content'));
    await m.names();
    return m;
  };

  it('leaves the changed one, where the removal has failed and is tried again', async () => {
    const m = await opened();
    m.provider.fail('remove', 'server', 1);
    await m.mv('old', 'new');
    change(m);
    m.fs.retryFailed();
    await settle(20);
    expect(m.provider.other.tree()).toEqual(both);
    expect(await m.names()).toEqual(['new', 'old']);
    expect([await m.cat('old'), intents(m)]).toEqual(['CONTENT', 0]);
  });

  it.each([
    { method: 'upload', when: 'after' },
    { method: 'remove', when: 'before' },
  ] as const)('leaves the changed one, where it died $when the $method', async ({ method, when }) => {
    const m = await opened();
    const gate = m.provider.gate(method, when);
    const dying = m.mv('old', 'new').catch(() => undefined);
    await gate.reached;
    change(m);
    const revived = await m.crash();
    gate.open(new ProviderError('network', 'the process is dead'));
    await dying;
    await settle(20);
    expect(revived.provider.other.tree()).toEqual(both);
    expect(await revived.names()).toEqual(['new', 'old']);
    expect(intents(revived)).toBe(0);
  });

  it('leaves the changed one, where copying takes long', async () => {
    const m = await opened();
    m.provider.during('upload', 'after', () => {
      change(m);
      m.clock.advance(60_000);
    });
    await m.mv('old', 'new');
    expect(m.provider.other.tree()).toEqual(both);
  });

  it('reads it once where nobody has changed it, and not at all where its last change is long ago', async () => {
    const requests = async (age: number): Promise<number> => {
      const m = await opened();
      m.clock.advance(age);
      m.provider.fail('remove', 'server', 1);
      await m.mv('old', 'new');
      const reads = m.provider.calls.filter(({ method }) => method === 'read').length;
      m.fs.retryFailed();
      await settle(20);
      expect(m.provider.other.tree()).toEqual({ new: 'content' });
      return m.provider.calls.filter(({ method }) => method === 'read').length - reads;
    };
    expect([await requests(0), await requests(3_600_000)]).toEqual([1, 0]);
  });
});
