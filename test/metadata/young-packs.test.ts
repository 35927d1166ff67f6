/** Where no checksum tells, a file of the store that is written twice within a second looks the same: the second content is read too. */
import { expect, it } from 'vitest';
import { MemoryAccount } from '../support/memory-account.js';
import { defaultCapabilities } from '../support/memory-provider.js';
import { TestClock } from '../support/test-clock.js';
import { cleanUpMachines, Machine } from './machine.js';

cleanUpMachines();

/** A pack of another machine in two contents of one size, of which this machine has read the first in the second in which it came. */
async function afterFirstRead() {
  const clock = new TestClock();
  const account = new MemoryAccount(clock, { ...defaultCapabilities, md5: false });
  const [first, second] = await twoOfOneSize(account);
  const file = account.at(first.path);
  if (file === undefined) throw new Error('there is no pack');
  const { modified } = file;
  const show = ({ data }: Content): void => void Object.assign(file, { data, modified });
  show(first);
  const b = new Machine(account);
  expect(await b.look()).toEqual({ x: first.mode });
  return { clock, b, first, second, changeUnnoticed: () => show(second) };
}

interface Content {
  readonly path: string;
  readonly mode: string;
  readonly data: Uint8Array;
}

/** A machine writes an entry again and again: compressed, few contents differ in size by more than some bytes. */
async function twoOfOneSize(account: MemoryAccount): Promise<readonly [Content, Content]> {
  const a = new Machine(account);
  const bySize = new Map<number, Content>();
  for (let bits = 0o600; ; bits++) {
    const mode = `0${bits.toString(8)}`;
    a.put('x', { mode });
    await a.store.flush();
    const [path = ''] = Object.keys(account.tree());
    const content = { path, mode, data: Uint8Array.from(account.at(path)?.data ?? []) };
    const other = bySize.get(content.data.length);
    if (other !== undefined) return [other, content];
    bySize.set(content.data.length, content);
  }
}

it('a pack that was read within a second of its change is read again after that, once', async () => {
  const { clock, b, second, changeUnnoticed } = await afterFirstRead();
  // While it is young, it is not asked for again and again.
  b.provider.counts();
  for (let looks = 0; looks < 3; looks++) await b.store.prepare('d1', 'foreground');
  expect(b.provider.counts().read ?? 0).toBe(0);
  changeUnnoticed();
  clock.advance(3000);
  expect(await b.look()).toEqual({ x: second.mode });
  b.provider.counts();
  expect(await b.look()).toEqual({ x: second.mode });
  expect(b.provider.counts().read ?? 0).toBe(0);
});

it('and by the next process, where this one ends before', async () => {
  const { clock, b, first, second, changeUnnoticed } = await afterFirstRead();
  changeUnnoticed();
  clock.advance(3000);
  const next = await b.restart();
  expect(next.shown()).toEqual({ x: first.mode });
  expect(await next.look()).toEqual({ x: second.mode });
});
