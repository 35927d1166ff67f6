import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockCache } from '../../src/cache/block-cache.js';
import { ReaderPool } from '../../src/cache/reader-pool.js';
import type { RevisionReader } from '../../src/cache/revision-reader.js';
import { ProviderError } from '../../src/providers/errors.js';
import type { RemoteFile } from '../../src/providers/provider.js';
import { errnoOf } from '../filesystem/harness.js';
import { BLOCK, closeCache, openCache, pattern, Server, temporary, zeroHole } from './support.js';

const MIB = 1024 * 1024;
const SIZE = 2 * MIB + 1000;
const data = pattern(SIZE);

const damagedAt = (...places: number[]): Buffer => {
  const damaged = Buffer.from(data);
  for (const at of places) damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
  return damaged;
};

const setUp = (limit = 64 * MIB, directory = temporary()) => {
  const server = new Server();
  const file = server.put(data);
  const cache = openCache(directory, limit, { punchHole: zeroHole });
  const pool = new ReaderPool(cache, server.fetch);
  const damaged: RemoteFile[] = [];
  pool.onCorruption = (what) => void damaged.push(what);
  return { server, file, cache, pool, damaged, directory };
};

const readAt = async (reader: RevisionReader, offset: number, length: number): Promise<Buffer> => {
  const into = Buffer.alloc(length);
  return into.subarray(0, await reader.read(into, offset));
};

/**
 * From beginning to end, with `parallel` reads under way, as the kernel reads ahead. Rejects where one of them does, and once
 * the content is told to be damaged: the file system fails what its handles read from then on.
 */
async function readThrough(
  reader: RevisionReader,
  piece: number,
  parallel = 1,
  damaged: readonly RemoteFile[] = [],
): Promise<Buffer> {
  const before = damaged.length;
  const parts: Promise<Buffer>[] = [];
  for (let offset = 0; offset < SIZE; offset += piece) {
    if (parts.length >= parallel) await parts[parts.length - parallel];
    if (damaged.length > before) throw new ProviderError('integrity', 'told to be damaged');
    const part = readAt(reader, offset, piece);
    part.catch(() => undefined);
    parts.push(part);
  }
  return Buffer.concat(await Promise.all(parts));
}

/** Releases a reader, and waits for its background work. */
async function leave(pool: ReaderPool, reader: RevisionReader): Promise<void> {
  pool.release(reader);
  await pool.idle();
}

describe('a content that is right', () => {
  it.each([
    ['in order', 256 * 1024, 1],
    ['with reads under way side by side', 128 * 1024, 4],
    ['in pieces that are no blocks', 100_000, 1],
    ['at once', SIZE, 1],
  ])('is known to be so when it was read %s', async (_how, piece, parallel) => {
    const { file, pool } = setUp();
    const reader = pool.acquire(file);
    reader.prefetch(0, SIZE, 512 * 1024, 'background');
    expect((await readThrough(reader, piece, parallel)).equals(data)).toBe(true);
    expect(reader.isSound).toBe(true);
    await leave(pool, reader);
  });

  it('is known to be so however little of it fits in the cache', async () => {
    for (const limit of [0, 5 * BLOCK]) {
      const { file, pool } = setUp(limit);
      const reader = pool.acquire(file);
      expect((await readThrough(reader, 128 * 1024, 2)).equals(data)).toBe(true);
      expect(reader.isSound).toBe(true);
      await leave(pool, reader);
    }
  });

  it('is a backing file only when its MD5 was verified, whatever its blocks say', async () => {
    const { file, pool, cache } = setUp();
    const reader = pool.acquire(file);
    reader.prefetch(0, SIZE, 512 * 1024, 'background');
    await reader.idle();
    expect([reader.has(0, SIZE), reader.openBacking()]).toEqual([true, null]);
    await reader.check?.hashInBackground();
    const lent = reader.openBacking();
    expect(lent).not.toBeNull();
    if (lent !== null) cache.closeBacking(lent);
    await leave(pool, reader);
  });

  it('is checked after the last close, and stays verified over a restart', async () => {
    const { file, pool, cache, directory } = setUp();
    const reader = pool.acquire(file);
    await readAt(reader, MIB, 100);
    reader.prefetch(0, SIZE, 512 * 1024, 'background');
    await leave(pool, reader);
    closeCache(cache);

    const later = setUp(64 * MIB, directory);
    const again = later.pool.acquire(file);
    expect(again.isSound).toBe(true);
    await leave(later.pool, again);
    expect(later.server.asked).toEqual([]);
  });

  it('is compared with its known blocks when they are fetched again', async () => {
    const { server, file, pool, cache, damaged } = setUp();
    const reader = pool.acquire(file);
    await readThrough(reader, MIB);
    await reader.idle();
    emptied(cache);
    server.files.set('file', damagedAt(MIB + 5));
    server.before = () => {
      if (server.asked.filter(({ offset }) => offset === MIB).length === 3) server.files.set('file', data);
    };
    expect((await readAt(reader, MIB, 100)).equals(data.subarray(MIB, MIB + 100))).toBe(true);
    expect(damaged).toEqual([]);
    await leave(pool, reader);
  });
});

/** Evicts everything. */
function emptied(cache: BlockCache): void {
  cache.reclaim(Number.MAX_SAFE_INTEGER);
  expect(cache.stats().bytes).toBe(0);
}

describe('a content that was damaged on its way', () => {
  it('is never read from beginning to end without an error', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          at: fc.nat(SIZE - 1),
          piece: fc.integer({ min: 20_000, max: MIB }),
          parallel: fc.integer({ min: 1, max: 4 }),
          ahead: fc.constantFrom(0, 128 * 1024, 512 * 1024, 4 * MIB),
          limit: fc.constantFrom(0, 3 * BLOCK, 64 * MIB),
          ignoresRange: fc.boolean(),
          before: fc.array(fc.nat(SIZE - 1), { maxLength: 3 }),
        }),
        async ({ at, piece, parallel, ahead, limit, ignoresRange, before }) => {
          const { server, file, pool, cache, damaged } = setUp(limit);
          server.files.set('file', damagedAt(at));
          server.ignoresRange = ignoresRange;
          const reader = pool.acquire(file);
          for (const offset of before) await readAt(reader, offset, 5000).catch(() => undefined);
          if (ahead > 0) reader.prefetch(0, SIZE, ahead, 'background');
          const outcome = await errnoOf(readThrough(reader, piece, parallel, damaged));
          await leave(pool, reader);
          expect({ outcome, damaged: damaged.length > 0 }).toEqual({ outcome: 'integrity', damaged: true });
          closeCache(cache);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is dropped, reported once, and right when it is read again', async () => {
    const { server, file, pool, cache, damaged } = setUp();
    server.files.set('file', damagedAt(MIB));
    const reader = pool.acquire(file);
    expect(await errnoOf(readThrough(reader, 128 * 1024))).toBe('integrity');
    expect(cache.stats().bytes).toBe(0);
    expect(damaged).toEqual([file]);
    server.files.set('file', data);
    expect((await readThrough(reader, 128 * 1024)).equals(data)).toBe(true);
    expect([reader.isSound, damaged.length]).toEqual([true, 1]);
    await leave(pool, reader);
  });

  it('is noticed by the last of those who read parts of it', async () => {
    const { server, file, pool } = setUp();
    server.files.set('file', damagedAt(5));
    const reader = pool.acquire(file);
    const offsets = Array.from({ length: Math.ceil(SIZE / BLOCK) }, (_, n) => n * BLOCK).reverse();
    const last = offsets.pop() ?? 0;
    for (const offset of offsets) await readAt(reader, offset, 100);
    expect(await errnoOf(readAt(reader, last, 100))).toBe('integrity');
    await leave(pool, reader);
  });

  it('is noticed where a block comes twice, and is not the same', async () => {
    const { server, file, pool, cache, damaged } = setUp();
    server.files.set('file', damagedAt(MIB));
    const reader = pool.acquire(file);
    await readAt(reader, MIB, 100);
    await reader.idle();
    emptied(cache);
    server.files.set('file', data);
    expect(await errnoOf(readAt(reader, MIB, 100))).toBe('integrity');
    expect(damaged).toHaveLength(1);
    await leave(pool, reader);
  });

  it('does not stay in the cache when all of it came and little was read', async () => {
    const { server, file, pool, cache, damaged } = setUp();
    server.files.set('file', damagedAt(MIB));
    const reader = pool.acquire(file);
    await readAt(reader, 5, 100);
    reader.prefetch(0, SIZE, 512 * 1024, 'background');
    await leave(pool, reader);
    expect([cache.stats().bytes, damaged.length]).toEqual([0, 1]);
  });
});

describe('a content without an MD5', () => {
  it('is delivered, cached and read directly as it came', async () => {
    const { server, pool, cache } = setUp();
    const file = server.put(data, 'other', false);
    const reader = pool.acquire(file);
    expect((await readThrough(reader, 128 * 1024)).equals(data)).toBe(true);
    await reader.idle();
    const lent = reader.openBacking();
    expect(lent).not.toBeNull();
    if (lent !== null) cache.closeBacking(lent);
    await leave(pool, reader);
  });
});
