/** Entries of other machines are applied to the inodes of a folder without keeping the event loop from everything else. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { entriesPerTurn } from '../../../src/base/event-loop-turns.js';
import { openDatabase, type StateDatabase } from '../../../src/base/sqlite.js';
import { ApplyEntries } from '../../../src/filesystem/metadata/apply-entries.js';
import type { LinkEntries } from '../../../src/filesystem/metadata/link-entries.js';
import { RowStates } from '../../../src/filesystem/metadata/row-states.js';
import { lineOf, type MetadataEntry } from '../../../src/metadata/entry.js';
import { latestByName } from '../../../src/metadata/merge.js';
import type { MetadataStore } from '../../../src/metadata/store.js';
import { MetadataTables } from '../../../src/metadata/tables.js';
import { ProviderError } from '../../../src/providers/errors.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../../../src/providers/provider.js';
import { InodeTable } from '../../../src/tree/inode-table.js';
import { LocalChanges } from '../../../src/tree/listing.js';
import { mergeListing } from '../../../src/tree/merge.js';
import { stateMigrations } from '../../../src/tree/state-schema.js';
import { MemoryProvider } from '../../support/memory-provider.js';
import { TestClock } from '../../support/test-clock.js';

const folderOf = (id: string, parentId: string | null): RemoteFolder => ({
  ...{ kind: 'folder', id, parentId, name: id, modified: 0, access: 'write' },
  ...{ fileCount: null, folderCount: null },
});
const fileOf = (name: string, parentId: string): RemoteFile => ({
  ...{ kind: 'file', id: `id of ${name}`, parentId, name, size: 1, modified: 1000, md5: null, access: 'write' },
});
const entryOf = (folder: string, name: string, more: Partial<MetadataEntry> = {}): MetadataEntry => ({
  ...{ folder, name, kind: 'file', clock: [7, 0], id: `id of ${name}`, size: 1, modified: 1000, mode: '0640' },
  ...{ mtime: [5, 6] },
  ...more,
});

let state: StateDatabase;
let table: InodeTable;
let states: RowStates;
let tables: MetadataTables;
let apply: ApplyEntries;
let store: MetadataStore;
const names = { find: () => undefined, addListed: () => undefined } as unknown as LinkEntries;
let root: number;
/** The turns of the event loop since the beginning. */
let turns = 0;
let counting: NodeJS.Immediate;
const lookUps: { readonly turn: number; readonly names: readonly string[] }[] = [];

beforeEach(() => {
  state = openDatabase(':memory:', stateMigrations);
  table = new InodeTable(state.sql);
  states = new RowStates(state.sql);
  tables = new MetadataTables(state.sql);
  tables.machine = 'this';
  lookUps.length = 0;
  store = {
    machine: 'this',
    machinesOf: (folder: string) => tables.machinesOf(folder),
    hasEntriesOf: (folder: string) => tables.hasEntriesOf(folder),
    entriesOfNames: (folder: string, names: readonly string[]) => {
      lookUps.push({ turn: turns, names });
      return latestByName(tables.entriesOfNames(folder, names));
    },
    entryOf: (folder: string, name: string) => latestByName(tables.entriesOfName(folder, name)).get(name),
    retractionsOf: () => [],
    recall: () => undefined,
    applied: () => undefined,
  } as unknown as MetadataStore;
  const provider = new MemoryProvider({ clock: new TestClock() });
  apply = new ApplyEntries({ table, states, store, provider, names });
  root = table.insert({ parent: null, name: '', kind: 'directory', remote: folderOf('root', null) }).ino;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  count();
});
afterEach(() => {
  clearImmediate(counting);
  state.close();
});

function say(machine: string, ...entries: MetadataEntry[]): void {
  for (const entry of entries) tables.putOthers(machine, 1, [{ entry, line: lineOf(entry) }]);
}

function list(...names: string[]): Promise<void> {
  return listEntries(names.map((name) => fileOf(name, 'root')));
}

async function listEntries(entries: readonly RemoteEntry[], impliesFolders = false): Promise<void> {
  const changes = new LocalChanges();
  const order = { changes, since: changes.begin() };
  await mergeListing(table, root, entries, order, 5000, impliesFolders);
}

const to = (directory: number) => apply.to(directory, () => Promise.resolve());
const shownOf = (name: string) => {
  const row = table.child(root, name);
  return { mode: row?.overlay.mode, mtime: row?.overlay.mtime, time: row && states.get(row.ino)?.time };
};
const shown = { mode: 0o640, mtime: { sec: 5, nsec: 6 }, time: { wall: 7, counter: 0, machine: 'another' } };
const notShown = { mode: null, mtime: null, time: undefined };

it('gives the event loop a turn between the folders that have waited for the same pack', async () => {
  const folders = ['a', 'b', 'c', 'd'];
  const directories = folders.map((id) => {
    say('another', entryOf(id, `in ${id}`));
    const { ino } = table.insert({ parent: root, name: id, kind: 'directory', remote: folderOf(id, 'root') });
    table.insert({ parent: ino, name: `in ${id}`, kind: 'file', remote: fileOf(`in ${id}`, id) });
    return ino;
  });
  const from = lookUps.length;
  const applied = await Promise.all(directories.map(to));
  expect(applied.map(({ attributes }) => attributes.length)).toEqual([1, 1, 1, 1]);
  expect(new Set(lookUps.slice(from).map(({ turn }) => turn)).size).toBe(4);
});

it('looks up some hundred entries of a folder at a time, each time after a turn, and only those that are not shown', async () => {
  const names = Array.from({ length: 1300 }, (_, at) => `file ${String(at).padStart(4, '0')}`);
  await list(...names);
  say('another', ...names.map((name) => entryOf('root', name)));
  const already = names.slice(500, 750);
  for (const name of already)
    states.put(table.child(root, name)?.ino ?? 0, { place: null, time: { wall: 7, counter: 0, machine: 'another' } });
  const applied: number[] = [];
  const update = vi.spyOn(table, 'update').mockImplementation((ino, change) => {
    applied.push(turns);
    return InodeTable.prototype.update.call(table, ino, change);
  });
  await to(root);
  expect(update.mock.calls.map(([ino]) => table.get(ino)?.name)).toEqual(
    names.filter((name) => !already.includes(name)),
  );
  expect(lookUps.flatMap((each) => each.names)).toEqual(names.filter((name) => !already.includes(name)));
  // A page whose entries are all shown needs none.
  expect(lookUps).toHaveLength(5);
  expect(new Set(lookUps.map(({ turn }) => turn)).size).toBe(lookUps.length);
  const perTurn = [...new Set(applied)].map((turn) => applied.filter((at) => at === turn).length);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(entriesPerTurn);
  expect(shownOf('file 0000')).toEqual(shown);
  expect(shownOf('file 1299')).toEqual(shown);
  lookUps.length = 0;
  expect((await to(root)).attributes).toEqual([]);
  expect(lookUps).toEqual([]);
});

it('rows of new objects begin with what their entries say, and nothing of it is written again', async () => {
  const xattrs = { 'user.a': Buffer.from('value').toString('base64') };
  say('another', entryOf('root', 'plain'), entryOf('root', 'labelled', { xattrs }));
  const update = vi.spyOn(table, 'update');
  await list('plain', 'labelled', 'none');
  expect(update.mock.calls.filter(([ino]) => ino !== root)).toEqual([]);
  expect(shownOf('plain')).toEqual(shown);
  expect(shownOf('labelled')).toEqual(shown);
  expect(shownOf('none')).toEqual(notShown);
  expect(table.xattrs.get(table.child(root, 'labelled')?.ino ?? 0, 'user.a')?.toString()).toBe('value');
  lookUps.length = 0;
  expect(await to(root)).toMatchObject({ names: [], attributes: [] });
  expect(lookUps).toEqual([]);
});

it.each<[string, Partial<MetadataEntry>]>([
  ['of another object', { id: 'id of another' }],
  ['of another kind', { kind: 'directory' }],
  ['of a removal', { gone: true }],
  ['of a further name', { alias: true }],
  ['of an object with several names', { names: [{ folder: 'root', name: 'more', path: [['root', '/']] }] }],
])('an entry %s is not what a row begins with', async (_, more) => {
  say('another', entryOf('root', 'f', more));
  await list('f');
  expect(shownOf('f')).toEqual(notShown);
});

it('of several machines the latest counts, this one among them, and a row that is known keeps what it shows', async () => {
  say('another', entryOf('root', 'f'), entryOf('root', 'g'));
  say('third', entryOf('root', 'f', { mode: '0600', clock: [8, 0] }));
  tables.putOwn(entryOf('root', 'g', { mode: '0755', clock: [9, 0] }));
  await list('f', 'g');
  expect([shownOf('f').mode, shownOf('g').mode]).toEqual([0o600, 0o755]);
  say('third', entryOf('root', 'f', { mode: '0644', clock: [10, 0] }));
  await list('f', 'g');
  expect(shownOf('f').mode).toBe(0o600);
  expect((await to(root)).attributes).toEqual([table.child(root, 'f')?.ino]);
  expect([shownOf('f').mode, shownOf('g').mode]).toEqual([0o644, 0o755]);
});

describe('a directory that the service has through its files alone, and that came to the name of a link', () => {
  const link: Partial<MetadataEntry> = { ...{ kind: 'symlink', target: 'somewhere' }, id: undefined };
  const marked = 'n (~dn)';
  const shownNames = () => table.children(root).map(({ name, kind }) => `${name} ${kind}`);
  let files: number;

  beforeEach(async () => {
    files = 1;
    const provider = Object.assign(new MemoryProvider({ clock: new TestClock() }), {
      remove: () => (files > 0 ? Promise.reject(new ProviderError('exists', 'not empty')) : Promise.resolve()),
    });
    Object.assign(provider, { capabilities: { ...provider.capabilities, folders: 'implied' } });
    apply = new ApplyEntries({ table, states, store, provider, names });
    say('another', entryOf('root', 'n', link));
    await to(root);
    expect(shownNames()).toEqual(['n symlink']);
    await listEntries([folderOf('n', 'root')], true);
    expect(shownNames()).toEqual(['n symlink', `${marked} directory`]);
  });

  it.each<[string, Partial<MetadataEntry>, string[]]>([
    ['replaced', { kind: 'socket', id: undefined }, ['n socket']],
    ['removed', { gone: true, id: undefined }, []],
  ])('goes where it was %s before anything was known of it', async (_, later, wanted) => {
    files = 0;
    say('another', entryOf('root', 'n', { ...later, clock: [8, 0] }));
    await to(root);
    expect(shownNames()).toEqual(wanted);
  });

  it('stays as long as it has files', async () => {
    say('another', entryOf('root', 'n', { kind: 'socket', id: undefined, clock: [8, 0] }));
    await to(root);
    expect(shownNames().toSorted()).toEqual([`${marked} directory`, 'n socket']);
  });

  it('has its name where the link alone was removed', async () => {
    say('another', entryOf('root', 'n', { gone: true, id: undefined, clock: [8, 0] }));
    await to(root);
    expect(shownNames()).toEqual(['n directory']);
  });
});
