/** Where no checksum tells, a file of the store that is written twice within a second looks the same: the second content is read too. */
import { expect, it } from 'vitest';
import { MemoryAccount } from '../support/memory-account.js';
import { defaultCapabilities } from '../support/memory-provider.js';
import { TestClock } from '../support/test-clock.js';
import { cleanUpMachines, Machine } from './machine.js';

cleanUpMachines();

/** Two machines, the first with an entry in the account that the second has read in the second in which it was written. */
async function afterFirstRead() {
  const clock = new TestClock();
  const account = new MemoryAccount(clock, { ...defaultCapabilities, md5: false });
  const a = new Machine(account);
  const b = new Machine(account);
  a.put('x', { mode: '0600' });
  await a.store.flush();
  const [path = ''] = Object.keys(account.tree());
  const { modified = 0, data: { length: size } = [] } = account.at(path) ?? {};
  expect(await b.look()).toEqual({ x: '0600' });
  /** Writes the entry again, so that neither size nor time tells. Answers its mode. */
  const changeUnnoticed = async (): Promise<string> => {
    for (let mode = 0o610; mode < 0o700; mode++) {
      a.put('x', { mode: `0${mode.toString(8)}` });
      await a.store.flush();
      const file = account.at(path);
      if (file?.data.length !== size) continue;
      file.modified = modified;
      return `0${mode.toString(8)}`;
    }
    throw new Error('no content has the size of the first');
  };
  return { clock, b, changeUnnoticed };
}

it('a pack that was read within a second of its change is read again after that, once', async () => {
  const { clock, b, changeUnnoticed } = await afterFirstRead();
  // While it is young, it is not asked for again and again.
  b.provider.counts();
  for (let looks = 0; looks < 3; looks++) await b.store.prepare('d1', 'foreground');
  expect(b.provider.counts().read ?? 0).toBe(0);
  const mode = await changeUnnoticed();
  clock.advance(3000);
  expect(await b.look()).toEqual({ x: mode });
  b.provider.counts();
  expect(await b.look()).toEqual({ x: mode });
  expect(b.provider.counts().read ?? 0).toBe(0);
});

it('and by the next process, where this one ends before', async () => {
  const { clock, b, changeUnnoticed } = await afterFirstRead();
  const mode = await changeUnnoticed();
  clock.advance(3000);
  const next = await b.restart();
  expect(next.shown()).toEqual({ x: '0600' });
  expect(await next.look()).toEqual({ x: mode });
});
