/** Hard links of one file, as entries of the metadata: what ten thousand of them cost grows with their number, not with its square. */
import { afterEach, expect, it, vi } from 'vitest';
import { silentLog } from '../../../src/base/log.js';
import { openDatabase, type StateDatabase } from '../../../src/base/sqlite.js';
import { AccountMetadata } from '../../../src/filesystem/metadata/account-metadata.js';
import { MetadataStore } from '../../../src/metadata/store.js';
import { InodeTable } from '../../../src/tree/inode-table.js';
import { stateMigrations } from '../../../src/tree/state-schema.js';
import { MemoryProvider } from '../../support/memory-provider.js';
import { TestClock } from '../../support/test-clock.js';

let state: StateDatabase | undefined;
afterEach(() => state?.close());

const NAMES = 300;

async function withFile() {
  const clock = new TestClock();
  const provider = new MemoryProvider({ clock });
  provider.other.put('f', 'text');
  state = openDatabase(':memory:', stateMigrations);
  const { sql } = state;
  const table = new InodeTable(sql);
  const { root } = await provider.account();
  const directory = table.insert({ parent: null, name: '', kind: 'directory', remote: root }).ino;
  const [remote] = await provider.list(root, { priority: 'foreground' });
  const file = table.insert({ parent: directory, name: 'f', kind: 'file', remote: remote ?? null }).ino;
  /** As a new process does, with the same state. */
  const open = (): MetadataStore => {
    const store = new MetadataStore({ sql, provider, clock, log: silentLog, root, readOnly: false, near: () => [] });
    new AccountMetadata({ table, store, provider, defaults: { uid: 0, gid: 0, umask: 0o22 } });
    return store;
  };
  const link = (at: number): void =>
    table.transaction(() => {
      table.addName(file, directory, `l${at}`);
      table.updateOverlay(file, { ctime: { sec: 1 + at, nsec: 0 } });
    });
  const namesOf = (store: MetadataStore): number => (store.entryOf(root.id, 'f')?.entry.names ?? []).length;
  return { table, directory, file, open, link, namesOf, root };
}

it('the entry that lists all names is written once for many of them, and before the account gets it', async () => {
  const { open, link, namesOf } = await withFile();
  const store = open();
  const put = vi.spyOn(store, 'put');
  for (let at = 0; at < NAMES; at++) link(at);
  const listed = put.mock.calls.reduce((sum, [{ names }]) => sum + ((names ?? []) as readonly unknown[]).length, 0);
  expect(listed).toBeLessThan(5 * NAMES);
  expect(store.status().pending).toBeGreaterThan(NAMES);
  await store.flush();
  expect(namesOf(store)).toBe(NAMES);
  expect(store.status().pending).toBe(0);
  await store.close();
});

it('it is written by the next process, where this one dies before', async () => {
  const { open, link, namesOf } = await withFile();
  const before = open();
  for (let at = 0; at < NAMES; at++) link(at);
  expect(namesOf(before)).toBeLessThan(NAMES);
  await before.close();
  const store = open();
  await store.flush();
  expect(namesOf(store)).toBe(NAMES);
  await store.close();
  const again = open();
  expect(again.status().pending).toBe(0);
  await again.close();
});

it('a name that becomes the first has its entry at once', async () => {
  const { table, directory, file, open, link, root } = await withFile();
  const store = open();
  for (let at = 0; at < NAMES; at++) link(at);
  await store.flush();
  const remote = table.get(file)?.remote;
  const name = table.further.find(directory, 'l7');
  if (remote?.kind !== 'file' || name === undefined) throw new Error('the file has no object, or no such name');
  table.transaction(() => {
    table.removeName(name);
    table.update(file, { name: 'l7', remote: { ...remote, name: 'l7' } });
  });
  expect(store.entryOf(root.id, 'l7')?.entry).toMatchObject({ id: remote.id });
  expect(store.entryOf(root.id, 'l7')?.entry.alias).toBeUndefined();
  expect(store.entryOf(root.id, 'l7')?.entry.gone).toBeUndefined();
  await store.close();
});

it('all entries say where the first name is, once that has changed', async () => {
  const { table, file, open, link, root } = await withFile();
  const store = open();
  for (let at = 0; at < NAMES; at++) link(at);
  await store.flush();
  table.transaction(() => table.update(file, { name: 'g' }));
  await store.flush();
  const remote = table.get(file)?.remote;
  const firsts = Array.from({ length: NAMES }, (_, at) => store.entryOf(root.id, `l${at}`)?.entry.of?.name);
  expect(new Set(firsts)).toEqual(new Set([remote?.name]));
  await store.close();
});
