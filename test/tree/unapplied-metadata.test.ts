/** What a listing needs beside the service's answer: no program sees a directory before what the metadata says of it is applied. */
import { afterEach, describe, expect, it } from 'vitest';
import { turn } from '../../src/base/event-loop-turns.js';
import { silentLog } from '../../src/base/log.js';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import { Directories } from '../../src/tree/directories.js';
import type { Ino } from '../../src/tree/inode.js';
import { InodeTable } from '../../src/tree/inode-table.js';
import type { AppliedMetadata } from '../../src/tree/listed-metadata.js';
import { stateMigrations } from '../../src/tree/state-schema.js';
import { MemoryProvider } from '../support/memory-provider.js';
import { TestClock } from '../support/test-clock.js';

const ttl = 60_000;
let state: StateDatabase | undefined;
afterEach(() => state?.close());

/** The parts of a mount whose metadata is applied when the test says so. */
class Mount {
  readonly clock = new TestClock();
  readonly provider = new MemoryProvider({ clock: this.clock });
  readonly table: InodeTable;
  directories: Directories;
  /** What waits to be applied. */
  readonly held: ((error?: Error) => void)[] = [];
  isHolding = false;
  /** What the metadata of the next listing changes. */
  applied = (): AppliedMetadata => ({ names: [], attributes: [] });
  /** Names and inodes that the kernel was told to forget. */
  readonly told: (string | Ino)[] = [];
  retryIn: number | null = null;

  constructor() {
    state = openDatabase(':memory:', stateMigrations);
    this.table = new InodeTable(state.sql);
    this.directories = this.#open();
  }

  static async with(...paths: string[]): Promise<{ m: Mount; root: Ino; directory: Ino }> {
    const m = new Mount();
    for (const path of paths) m.provider.other.put(path, 'text');
    const { root: remote } = await m.provider.account();
    const root = m.table.insert({ parent: null, name: '', kind: 'directory', remote }).ino;
    await m.directories.ensureListed(root);
    const directory = m.table.children(root)[0]?.ino ?? 0;
    m.provider.counts();
    return { m, root, directory };
  }

  /** As a new process does, with the same state. */
  again(): void {
    this.directories.close();
    this.clock.advance(1);
    this.directories = this.#open();
  }

  /** Which of these looks have been answered? */
  async answered(...looks: (void | Promise<void>)[]): Promise<boolean[]> {
    const done = new Set<void | Promise<void>>();
    for (const look of looks)
      Promise.resolve(look).then(
        () => done.add(look),
        () => undefined,
      );
    for (let i = 0; i < 100; i++) await turn();
    return looks.map((look) => done.has(look));
  }

  #open(): Directories {
    return new Directories({
      ...{
        table: this.table,
        provider: this.provider,
        clock: this.clock,
        log: silentLog,
        ttl,
        onChange: (_, { names, attributes }) => this.told.push(...names, ...attributes),
      },
      metadata: {
        visible: (_, entries) => entries,
        apply: () => this.#apply(),
        retryIn: () => this.retryIn,
      },
    });
  }

  async #apply(): Promise<AppliedMetadata> {
    if (this.isHolding)
      await new Promise<void>((resolve, reject) => {
        this.held.push((error) => (error === undefined ? resolve() : reject(error)));
      });
    return this.applied();
  }
}

describe('a directory that is listed', () => {
  it('is shown to nobody before its metadata is applied, whoever asks', async () => {
    const { m, directory } = await Mount.with('d/x');
    m.isHolding = true;
    const first = m.directories.ensureListed(directory);
    expect(await m.answered(first)).toEqual([false]);
    expect(m.table.children(directory)).toHaveLength(1);
    const second = m.directories.ensureListed(directory);
    expect(await m.answered(first, second)).toEqual([false, false]);
    expect(m.directories.validity(directory)).toBe(0);
    expect(m.directories.isFresh(directory)).toBe(false);
    m.held.shift()?.();
    expect(await m.answered(first, second)).toEqual([true, true]);
    expect(m.directories.ensureListed(directory)).toBeUndefined();
    expect(m.provider.counts()).toEqual({ list: 1 });
  });

  it('is not when it is listed again, either', async () => {
    const { m, directory } = await Mount.with('d/x');
    await m.directories.ensureListed(directory);
    m.clock.advance(ttl + 1);
    m.isHolding = true;
    const looks = [m.directories.ensureListed(directory)];
    await m.answered(...looks);
    looks.push(m.directories.ensureListed(directory));
    expect(await m.answered(...looks)).toEqual([false, false]);
    m.held.shift()?.();
    expect(await m.answered(...looks)).toEqual([true, true]);
  });

  it('is not while the listing of an earlier mount is revalidated in the background', async () => {
    const { m, directory } = await Mount.with('d/x');
    await m.directories.ensureListed(directory);
    m.clock.advance(2 * ttl);
    m.again();
    expect(m.directories.ensureListed(directory)).toBeUndefined();
    m.isHolding = true;
    m.provider.other.put('d/y', 'text');
    for (let i = 0; i < 5; i++) {
      m.clock.advance(100);
      await m.answered();
    }
    expect(m.held).toHaveLength(1);
    const look = m.directories.ensureListed(directory);
    expect(await m.answered(look)).toEqual([false]);
    m.held.shift()?.();
    expect(await m.answered(look)).toEqual([true]);
    expect(m.table.children(directory)).toHaveLength(2);
  });

  it('is listed again after a crash before its metadata was applied', async () => {
    const { m, directory } = await Mount.with('d/x');
    m.isHolding = true;
    const look = Promise.resolve(m.directories.ensureListed(directory)).catch(() => undefined);
    await m.answered(look);
    m.again();
    m.provider.counts();
    m.isHolding = false;
    await m.directories.ensureListed(directory);
    expect(m.provider.counts()).toEqual({ list: 1 });
    expect(m.directories.ensureListed(directory)).toBeUndefined();
  });

  it('is served as it came, where its metadata cannot be applied, and tried again with each look', async () => {
    const { m, directory } = await Mount.with('d/x');
    m.isHolding = true;
    const look = m.directories.ensureListed(directory);
    await m.answered(look);
    m.held.shift()?.(new Error('it cannot be applied'));
    await expect(look).rejects.toThrow('it cannot be applied');
    m.isHolding = false;
    m.provider.counts();
    await m.directories.ensureListed(directory);
    expect(m.provider.counts()).toEqual({ list: 1 });
  });

  it('is listed again as soon as the rest of its metadata may be had', async () => {
    const { m, directory } = await Mount.with('d/x');
    m.retryIn = 5000;
    await m.directories.ensureListed(directory);
    expect(m.directories.validity(directory)).toBe(5000);
    m.clock.advance(4999);
    expect(m.directories.ensureListed(directory)).toBeUndefined();
    m.clock.advance(1);
    m.retryIn = null;
    m.provider.counts();
    await m.directories.ensureListed(directory);
    expect(m.provider.counts()).toEqual({ list: 1 });
    expect(m.directories.validity(directory)).toBe(ttl);
  });
});

it('tells the kernel nothing of inodes that have come with the first listing, whatever is applied to them', async () => {
  const { m, directory } = await Mount.with('d/x');
  const ofAll = (): AppliedMetadata => ({
    names: ['link'],
    attributes: [directory, ...m.table.children(directory).map(({ ino }) => ino)],
  });
  m.told.length = 0;
  m.applied = ofAll;
  await m.directories.ensureListed(directory);
  expect(m.told).toEqual([directory]);
  m.told.length = 0;
  m.clock.advance(ttl + 1);
  await m.directories.ensureListed(directory);
  const [x] = m.table.children(directory);
  expect(new Set(m.told)).toEqual(new Set(['link', directory, x?.ino]));
});

describe('a directory that is known to differ from its listing', () => {
  it('is served to nobody until it is listed again', async () => {
    const { m, directory } = await Mount.with('d/x');
    await m.directories.ensureListed(directory);
    m.directories.expire(directory);
    const gate = m.provider.gate('list');
    const looks = [m.directories.ensureListed(directory)];
    await gate.reached;
    looks.push(m.directories.ensureListed(directory));
    expect(await m.answered(...looks)).toEqual([false, false]);
    gate.open();
    expect(await m.answered(...looks)).toEqual([true, true]);
    expect(m.directories.ensureListed(directory)).toBeUndefined();
  });
});
