/** A cache of many files counts them while it is in use: what a program reads, writes, pins and drops meanwhile is right at once. */
import { cpSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { turn } from '../../src/base/event-loop-turns.js';
import { openSql } from '../../src/base/sqlite.js';
import type { BlockCache } from '../../src/cache/block-cache.js';
import { CacheIndex } from '../../src/cache/index-db.js';
import { runs } from '../support/extent.js';
import { BLOCK, clock, closeCache, openCache, pattern, temporary } from './support.js';

const MIB = 1024 * 1024;
/** More than are counted at once. */
const MANY = 450;
const SIZE = 5000;
const keyOf = (index: number): string => `id-${String((index * 7919) % 1000).padStart(4, '0')}:${index}`;
const contentOf = (index: number, size = SIZE): Buffer => pattern(size, index);

/** Stores a content as an upload leaves it. */
function store(cache: BlockCache, directory: string, index: number, size = SIZE): boolean {
  const path = join(directory, 'stored');
  const data = contentOf(index, size);
  writeFileSync(path, data);
  const crcs = Array.from({ length: Math.ceil(size / BLOCK) }, (_, block) =>
    crc32(data.subarray(block * BLOCK, (block + 1) * BLOCK)),
  );
  return cache.adopt(keyOf(index), size, path, crcs);
}

/** A closed cache with `MANY` files, of which the last was used last. */
function filled(): string {
  const directory = temporary();
  const cache = openCache(directory, 64 * MIB);
  for (let index = 0; index < MANY; index++) {
    expect(store(cache, directory, index)).toBe(true);
    clock.advance(10);
  }
  closeCache(cache);
  return directory;
}

async function read(cache: BlockCache, index: number, size = SIZE): Promise<Buffer | null> {
  const revision = cache.acquire(keyOf(index), size);
  const data = revision.has(0) ? await revision.readBlock(0) : null;
  cache.release(revision);
  return data === null ? null : Buffer.from(data);
}

async function counted(cache: BlockCache): Promise<void> {
  cache.counting.begin();
  await cache.counting.done;
}

/** What is present, from the rows themselves. */
function listed(cache: BlockCache): { bytes: number; pinned: number } {
  const sums = { bytes: 0, pinned: 0 };
  for (const { key, bytes } of [...cache.contents()].flat())
    sums[cache.pins.has(key) ? 'pinned' : 'bytes'] += Math.max(4096, bytes);
  return sums;
}

const isPresent = (cache: BlockCache, index: number, size = SIZE): boolean => cache.isComplete(keyOf(index), size);

it('answers from files that are not counted yet, and has counted each once in the end', async () => {
  const cache = openCache(filled(), 64 * MIB);
  expect(cache.stats()).toMatchObject({ bytes: 0, isCounting: true });
  for (const index of [0, 7, MANY - 1]) expect(await read(cache, index)).toEqual(contentOf(index));
  expect(cache.stats()).toMatchObject({ bytes: 3 * SIZE, isCounting: true });
  await counted(cache);
  expect(cache.stats()).toMatchObject({ bytes: MANY * SIZE });
  expect(cache.stats()).not.toHaveProperty('isCounting');
});

it('evicts what was used least recently by any mount, once all is counted', async () => {
  const directory = filled();
  const cache = openCache(directory, MANY * SIZE + 1000);
  // Read before it is counted, and before everything else is.
  await read(cache, 0);
  await counted(cache);
  await read(cache, 2);
  expect(store(cache, directory, MANY)).toBe(true);
  expect([0, 1, 2, 3, MANY].map((index) => isPresent(cache, index))).toEqual([true, false, true, true, true]);
  expect(store(cache, directory, MANY + 1, 3 * SIZE)).toBe(true);
  expect([0, 2, 3, 4, 5, 6].map((index) => isPresent(cache, index))).toEqual([true, true, false, false, false, true]);
  expect(cache.stats().bytes).toBeLessThanOrEqual(MANY * SIZE + 1000);
});

it('stores what fits whatever is not counted yet, nothing else, and evicts nothing for it', async () => {
  const directory = filled();
  const tight = openCache(directory, MANY * SIZE + 1000);
  expect(store(tight, directory, MANY)).toBe(false);
  closeCache(tight);
  const cache = openCache(directory, 64 * MIB);
  expect(store(cache, directory, MANY)).toBe(true);
  expect(await read(cache, MANY)).toEqual(contentOf(MANY));
  await counted(cache);
  expect(cache.stats().bytes).toBe((MANY + 1) * SIZE);
});

it('comes down to a limit that was lowered, and keeps what was used last', async () => {
  const cache = openCache(filled(), 100 * SIZE);
  await counted(cache);
  expect(cache.stats().bytes).toBe(100 * SIZE);
  expect([MANY - 101, MANY - 100, MANY - 1].map((index) => isPresent(cache, index))).toEqual([false, true, true]);
});

it('counts at once where the disk is needed', () => {
  const cache = openCache(filled(), 64 * MIB);
  cache.reclaim(10 * SIZE);
  expect(cache.stats()).toMatchObject({ bytes: (MANY - 10) * SIZE });
  expect([9, 10].map((index) => isPresent(cache, index))).toEqual([false, true]);
});

it('takes away what is damaged, whether a program asks for it first or not', async () => {
  const directory = filled();
  const before = openCache(directory, 64 * MIB);
  // A file that was being written as the process died, and files that are gone.
  const torn = [3, 4].map((index) => before.acquire(keyOf(index), SIZE));
  for (const revision of torn) before.markDirty(revision);
  const gone = [5, 6].map((index) => before.pathOf(keyOf(index)));
  const copy = temporary();
  cpSync(directory, copy, { recursive: true });
  for (const path of gone) rmSync(path.replace(directory, copy));
  const cache = openCache(copy, 64 * MIB);
  expect(await read(cache, 3)).toBeNull();
  expect(await read(cache, 5)).toBeNull();
  expect(cache.stats().bytes).toBe(0);
  await counted(cache);
  expect(cache.stats().bytes).toBe((MANY - 4) * SIZE);
  for (const index of [3, 4, 5, 6]) expect(existsSync(cache.pathOf(keyOf(index)))).toBe(false);
  expect([...cache.contents()].flat()).toHaveLength(MANY - 4);
});

it('counts to the end where rows of the index are damaged, and then evicts', async () => {
  const directory = filled();
  const sql = openSql(join(directory, 'index.db'), {});
  const damages = [
    "size = -1e6, blocks = x'00'",
    'size = 1e13, pinned = 1',
    "size = 'many'",
    'size = 1e12',
    'blocks = 5',
  ];
  for (const [index, damage] of damages.entries())
    sql.prepare(`UPDATE revision SET ${damage} WHERE key = ?`).run(keyOf(index));
  sql.close();
  const cache = openCache(directory, (MANY - 5) * SIZE + 1000);
  await counted(cache);
  expect(cache.stats()).not.toHaveProperty('isCounting');
  expect(cache.stats().bytes).toBe((MANY - 5) * SIZE);
  expect([...cache.contents()].flat()).toHaveLength(MANY - 5);
  expect(store(cache, directory, MANY)).toBe(true);
  expect([5, 6].map((index) => isPresent(cache, index))).toEqual([false, true]);
});

it('goes on within its limit where the index cannot be read', async () => {
  const directory = filled();
  const cache = openCache(directory, MANY * SIZE + 1000);
  const page = vi.spyOn(CacheIndex.prototype, 'page').mockImplementation(() => {
    throw new Error('the disk does not answer');
  });
  await counted(cache);
  page.mockRestore();
  expect(cache.stats()).not.toHaveProperty('isCounting');
  expect(store(cache, directory, MANY)).toBe(false);
});

it('keeps pins, and knows of one before it is counted', async () => {
  const directory = filled();
  const before = openCache(directory, 64 * MIB);
  for (const index of [1, 2, 3]) before.pins.add(keyOf(index), SIZE);
  closeCache(before);
  const cache = openCache(directory, 100 * SIZE);
  expect([1, 4].map((index) => cache.pins.has(keyOf(index)))).toEqual([true, false]);
  // It fits, which is not known before the others are counted.
  cache.pins.remove(keyOf(2));
  expect(cache.stats()).toMatchObject({ bytes: 100 * SIZE, pinned: 2 * SIZE });
  expect([1, 2, 3, 4].map((index) => isPresent(cache, index))).toEqual([true, true, true, false]);
});

it('leaves the rest to the next mount where it is closed or killed meanwhile', async () => {
  const directory = filled();
  const cache = openCache(directory, 64 * MIB);
  cache.counting.begin();
  for (let turns = 0; turns < 3; turns++) await turn();
  cache.drop(keyOf(11));
  await read(cache, 12);
  const copy = temporary();
  cpSync(directory, copy, { recursive: true });
  expect(cache.stats()).toMatchObject({ isCounting: true });
  closeCache(cache);
  await cache.counting.done;
  for (const left of [directory, copy]) {
    const next = openCache(left, 64 * MIB);
    await counted(next);
    expect(next.stats().bytes).toBe((MANY - 1) * SIZE);
    expect(await read(next, 12)).toEqual(contentOf(12));
    closeCache(next);
  }
});

const act = fc.record({
  what: fc.constantFrom('read', 'drop', 'store', 'store larger', 'pin', 'unpin', 'reclaim', 'turn', 'turns'),
  index: fc.nat(MANY + 20),
});

it('is right whatever happens before all is counted', async () => {
  const whole = filled();
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { minLength: 5, maxLength: 60 }),
      fc.constantFrom(64 * MIB, 2 * MANY * SIZE, 40 * SIZE),
      async (acts, limit) => {
        const directory = temporary();
        cpSync(whole, directory, { recursive: true });
        const cache = openCache(directory, limit);
        const sizes = new Map<number, number>();
        cache.counting.begin();
        for (const { what, index } of acts) {
          const size = sizes.get(index) ?? SIZE;
          if (what === 'turn') await turn();
          else if (what === 'turns') for (let turns = 0; turns < 60; turns++) await turn();
          else if (what === 'drop') cache.drop(keyOf(index));
          else if (what === 'pin') cache.pins.add(keyOf(index), size);
          else if (what === 'unpin') cache.pins.remove(keyOf(index));
          else if (what === 'reclaim') cache.reclaim(3 * SIZE);
          else if (what === 'read') {
            const data = await read(cache, index, size);
            if (data !== null) expect(data).toEqual(contentOf(index, size));
          } else {
            const next = what === 'store' ? SIZE : BLOCK - 1;
            if (store(cache, directory, index, next)) sizes.set(index, next);
            else if (!isPresent(cache, index, size)) sizes.delete(index);
          }
        }
        await cache.counting.done;
        const { bytes, pinned } = cache.stats();
        expect({ bytes, pinned }).toEqual(listed(cache));
        expect(bytes).toBeLessThanOrEqual(limit);
        const files = readdirSync(directory, { recursive: true, withFileTypes: true });
        const blocks = files.filter((file) => file.isFile() && /^[0-9a-f]{40}$/.test(file.name));
        expect(blocks).toHaveLength([...cache.contents()].flat().length);
        closeCache(cache);
        const next = openCache(directory, limit);
        await counted(next);
        expect(next.stats()).toMatchObject({ bytes, pinned });
        closeCache(next);
        rmSync(directory, { recursive: true });
      },
    ),
    { numRuns: runs(12) },
  );
});
