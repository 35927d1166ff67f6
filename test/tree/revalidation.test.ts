/** When listings of an earlier mount are refreshed, and what the kernel is told of a listing. */
import { afterEach, describe, expect, it } from 'vitest';
import { turn } from '../../src/base/event-loop-turns.js';
import { silentLog } from '../../src/base/log.js';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import { Directories } from '../../src/tree/directories.js';
import type { Ino } from '../../src/tree/inode.js';
import { InodeTable } from '../../src/tree/inode-table.js';
import { stateMigrations } from '../../src/tree/state-schema.js';
import { MemoryProvider } from '../support/memory-provider.js';
import { TestClock } from '../support/test-clock.js';

const ttl = 60_000;

interface Mount {
  readonly clock: TestClock;
  readonly provider: MemoryProvider;
  readonly table: InodeTable;
  readonly root: Ino;
  readonly told: string[][];
  directories: Directories;
  /** As a new process does, with the same state. */
  again(): void;
}

let state: StateDatabase | undefined;
afterEach(() => state?.close());

async function mount(...paths: string[]): Promise<Mount> {
  const clock = new TestClock();
  const provider = new MemoryProvider({ clock });
  for (const path of paths) provider.other.put(path, 'text');
  state = openDatabase(':memory:', stateMigrations);
  const table = new InodeTable(state.sql);
  const { root: remote } = await provider.account();
  const root = table.insert({ parent: null, name: '', kind: 'directory', remote }).ino;
  const told: string[][] = [];
  const onChange = (_: Ino, { names }: { readonly names: ReadonlySet<string> }): void => void told.push([...names]);
  const make = (): Directories => new Directories({ table, provider, clock, log: silentLog, ttl, onChange });
  const made: Mount = {
    ...{ clock, provider, table, root, told, directories: make() },
    again() {
      made.directories.close();
      // Every listing is older than its ttl by then.
      clock.advance(2 * ttl);
      made.directories = make();
    },
  };
  return made;
}

/** Lets everything run that waits for no clock. */
async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await turn();
}

describe('listings of an earlier mount', () => {
  const walkable = async (): Promise<{ m: Mount; inos: Ino[] }> => {
    const m = await mount('a/1', 'b/2', 'c/3');
    await m.directories.ensureListed(m.root);
    const inos = m.table.children(m.root).map(({ ino }) => ino);
    for (const ino of inos) await m.directories.ensureListed(ino);
    m.again();
    m.provider.counts();
    return { m, inos };
  };
  const listed = ({ provider }: Mount): number => provider.counts().list ?? 0;

  it('wait until no program looks at a directory', async () => {
    const { m, inos } = await walkable();
    // A walk with a step every tenth of a second: for half the ttl, which is far longer than it takes to be quiet.
    for (let step = 0; step < ttl / 200; step++) {
      await m.directories.ensureListed(inos[step % inos.length] as Ino);
      m.clock.advance(100);
      await settle();
    }
    expect(listed(m)).toBe(0);
    m.clock.advance(300);
    await settle();
    m.clock.advance(300);
    await settle();
    expect(listed(m)).toBe(3);
  });

  it('wait for that no longer than listings are served without a request', async () => {
    const { m, inos } = await walkable();
    for (let step = 0; step < ttl / 100 + 5; step++) {
      await m.directories.ensureListed(inos[step % inos.length] as Ino);
      m.clock.advance(100);
      await settle();
    }
    expect(listed(m)).toBe(3);
  });
});

describe('the kernel is told', () => {
  it('no name of a first listing, and each that a later one changes', async () => {
    const m = await mount('a', 'b');
    await m.directories.ensureListed(m.root);
    expect(m.told.flat()).toEqual([]);
    m.provider.other.put('c', 'text');
    await m.directories.refresh(m.root);
    expect(m.told.flat()).toEqual(['c']);
  });

  it('every name of a folder that was made again, of which it knows the rest', async () => {
    const m = await mount('a');
    // Content that waits in it: rows that no listing has brought.
    m.table.insert({ parent: m.root, name: 'waiting', kind: 'file', localSize: 1 });
    await m.directories.ensureListed(m.root);
    expect(m.told.flat()).toEqual(['a']);
  });
});
