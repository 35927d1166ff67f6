/** When listings of an earlier mount are refreshed, and what the kernel is told of a listing. */
import { afterEach, describe, expect, it } from 'vitest';
import { turn } from '../../src/base/event-loop-turns.js';
import { silentLog } from '../../src/base/log.js';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import type { Provider } from '../../src/providers/provider.js';
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
  const walkable = async (folders: number): Promise<{ m: Mount; inos: Ino[] }> => {
    const m = await mount(...Array.from({ length: folders }, (_, n) => `d${n}/f`));
    await m.directories.ensureListed(m.root);
    const inos = m.table.children(m.root).map(({ ino }) => ino);
    for (const ino of inos) await m.directories.ensureListed(ino);
    m.again();
    m.provider.counts();
    return { m, inos };
  };
  const listed = ({ provider }: Mount): number => provider.counts().list ?? 0;
  /** Looks at one directory after the other, and begins again. */
  const look = async (m: Mount, inos: readonly Ino[], times: number): Promise<void> => {
    for (let step = 0; step < times; step++) {
      await m.directories.ensureListed(inos[step % inos.length] as Ino);
      m.clock.advance(100);
      await settle();
    }
  };

  it('wait until no program looks at a directory', async () => {
    const { m, inos } = await walkable(16);
    await look(m, inos, 16);
    expect(listed(m)).toBe(0);
    m.clock.advance(300);
    await settle();
    m.clock.advance(300);
    await settle();
    expect(listed(m)).toBe(16);
  });

  it('do not wait for a program that looks at the same directories again and again', async () => {
    const { m, inos } = await walkable(3);
    await look(m, inos, 30);
    expect(listed(m)).toBe(3);
  });

  it('wait for a walk no longer than listings are served without a request', async () => {
    const { m, inos } = await walkable(ttl / 100 + 5);
    await look(m, inos, ttl / 100 - 5);
    expect(listed(m)).toBe(0);
    await look(m, inos.slice(ttl / 100 - 5), 10);
    expect(listed(m)).toBeGreaterThanOrEqual(16);
  });
});

describe('an answer that is the same as the one before', () => {
  /** A service that says so, and the number of answers that it was read in full. */
  const remembering = async (...paths: string[]): Promise<{ m: Mount; whole: () => number }> => {
    const m = await mount(...paths);
    let whole = 0;
    const revalidateListing: NonNullable<Provider['revalidateListing']> = async (folder, { memory }) => {
      const entries = await m.provider.list(folder);
      const text = JSON.stringify(entries);
      if ((memory as { text?: string } | null)?.text === text) return { entries: 'same', memory: { text } };
      whole++;
      return { entries, memory: { text } };
    };
    Object.assign(m.provider, { revalidateListing });
    await m.directories.ensureListed(m.root);
    return { m, whole: () => whole };
  };
  const shown = (m: Mount): string[] => m.table.children(m.root).map(({ name }) => name);

  it('is not merged again, and counts as a new listing', async () => {
    const { m, whole } = await remembering('a', 'b');
    m.clock.advance(2 * ttl);
    expect(m.directories.isFresh(m.root)).toBe(false);
    await m.directories.ensureListed(m.root);
    expect(m.directories.isFresh(m.root)).toBe(true);
    expect(whole()).toBe(1);
    m.provider.other.put('c', 'text');
    await m.directories.refresh(m.root);
    expect([whole(), shown(m)]).toEqual([2, ['a', 'b', 'c']]);
  });

  it.each<[string, (m: Mount, ino: Ino) => void]>([
    ['a removal', ({ table }, ino) => void table.update(ino, { parent: null })],
    ['another time', ({ table }, ino) => void table.updateOverlay(ino, { mtime: { sec: 1, nsec: 0 } })],
    ['a new file', ({ table, root }) => void table.insert({ parent: root, name: 'new', kind: 'file', localSize: 1 })],
    ['a further name', ({ table, root }, ino) => void table.addName(ino, root, 'further')],
  ])('is merged again after %s here, which the service does not know', async (_what, change) => {
    const { m, whole } = await remembering('a', 'b');
    change(m, m.table.child(m.root, 'a')?.ino ?? 0);
    await m.directories.refresh(m.root);
    expect(whole()).toBe(2);
    expect(shown(m)).toEqual(expect.arrayContaining(['a', 'b']));
  });

  it('is merged where something was changed here while it was on its way', async () => {
    const { m } = await remembering('a', 'b');
    const gate = m.provider.gate('list');
    const listing = m.directories.refresh(m.root);
    await gate.reached;
    m.table.update(m.table.child(m.root, 'a')?.ino ?? 0, { parent: null });
    gate.open();
    await listing;
    expect(shown(m)).toEqual(['a', 'b']);
  });
});

describe('a walk', () => {
  const many = Array.from({ length: 300 }, (_, i) => `d${String(i).padStart(3, '0')}/f`);
  const begun = async (): Promise<{ m: Mount; look: (at: number) => Promise<number> }> => {
    const m = await mount(...many);
    await m.directories.ensureListed(m.root);
    const inos = m.table.children(m.root).map(({ ino }) => ino);
    m.provider.counts();
    const look = async (at: number): Promise<number> => {
      m.directories.walked(inos[at] as Ino);
      await m.directories.ensureListed(inos[at] as Ino);
      await settle();
      return m.provider.counts().list ?? 0;
    };
    return { m, look };
  };

  it('is led by some directories, not by all', async () => {
    const { look } = await begun();
    expect(await look(0)).toBe(1);
    const first = await look(1);
    expect(first).toBeGreaterThan(20);
    expect(first).toBeLessThan(100);
    // Each step lists one more directory, and none in which the program would have to wait.
    const steps: number[] = [];
    for (let at = 2; at < 200; at++) steps.push(await look(at));
    expect(new Set(steps)).toEqual(new Set([1]));
  });

  it('in another order than was thought is led by more of them', async () => {
    const { look } = await begun();
    let listed = 0;
    // From the end: one directory after the other must be listed for the program, until all are.
    for (let at = 299; at > 285; at--) listed += await look(at);
    expect(listed).toBe(300);
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

describe('a directory that expires while it is listed', () => {
  /** A listing that is at the provider, and was answered there before the other client acts. */
  const underway = async (): Promise<{ m: Mount; open: () => void }> => {
    const m = await mount('a');
    const { reached, open } = m.provider.gate('list', 'after');
    void m.directories.ensureListed(m.root);
    await reached;
    m.provider.other.put('b', 'text');
    m.directories.expire(m.root);
    return { m, open };
  };
  const names = ({ table, root }: Mount): string[] => table.children(root).map(({ name }) => name);

  it('is listed once more for all who look from then on', async () => {
    const { m, open } = await underway();
    const looks = [m.directories.ensureListed(m.root), m.directories.refresh(m.root), m.directories.refresh(m.root)];
    open();
    await Promise.all(looks);
    expect(names(m)).toEqual(['a', 'b']);
    expect(m.provider.counts().list).toBe(2);
    expect(m.directories.isFresh(m.root)).toBe(true);
  });

  it('ends all of its listings with the mount', async () => {
    const { m, open } = await underway();
    const looks = [m.directories.refresh(m.root), m.directories.refresh(m.root)];
    m.directories.close();
    open();
    for (const look of await Promise.allSettled(looks)) expect(look).toMatchObject({ status: 'rejected' });
  });
});
