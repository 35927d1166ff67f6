/** Ranges that are read ahead and written to the cache's file by the transport. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReaderPool } from '../../src/cache/reader-pool.js';
import type { RevisionReader } from '../../src/cache/revision-reader.js';
import { ProviderError } from '../../src/providers/errors.js';
import type { RemoteFile } from '../../src/providers/provider.js';
import { errnoOf } from '../filesystem/harness.js';
import { runs } from '../support/extent.js';
import { BLOCK, closeCache, openCache, pattern, Server, storing, temporary, zeroHole } from './support.js';

const MIB = 1024 * 1024;
const SIZE = 10 * MIB + 1000;
const data = pattern(SIZE);

function setUp(limit = 64 * MIB, md5 = true, wait?: () => Promise<void>) {
  const server = new Server();
  const file = server.put(data, 'film', md5);
  const directory = temporary();
  const cache = openCache(directory, limit, { punchHole: zeroHole });
  const pool = new ReaderPool(cache, storing(server.fetch, wait));
  const damaged: RemoteFile[] = [];
  pool.onCorruption = (what) => void damaged.push(what);
  return { server, file, directory, cache, pool, damaged, limit };
}

async function expectBytes(reader: RevisionReader, offset: number, length: number): Promise<void> {
  const into = Buffer.alloc(length);
  const count = await reader.read(into, offset);
  expect(into.subarray(0, count).equals(data.subarray(offset, offset + length))).toBe(true);
}

/** Its failure is looked at later. */
function noted(read: Promise<void>): Promise<void> {
  read.catch(() => undefined);
  return read;
}

const broken = (): never => {
  throw new ProviderError('network', 'broken off');
};

describe('a range that the transport writes to the cache', () => {
  it('is read from there, is checked, and is there after a restart without another request', async () => {
    const { server, file, directory, cache, pool } = setUp();
    const reader = pool.acquire(file);
    reader.prefetch(0, SIZE, 4 * MIB, 'background');
    await expectBytes(reader, 0, SIZE);
    await reader.check?.hashInBackground();
    expect(reader.isSound).toBe(true);
    expect(reader.canMoveToSpool()).toBe(true);
    const asked = server.asked.length;
    pool.release(reader);
    await pool.idle();
    expect(cache.stats().bytes).toBe(SIZE);
    closeCache(cache);
    const later = openCache(directory, 64 * MIB, { punchHole: zeroHole });
    const again = new ReaderPool(later, server.fetch).acquire(file);
    await expectBytes(again, 0, SIZE);
    expect(server.asked).toHaveLength(asked);
    await again.idle();
  });

  it.each([[true], [false]])(
    'keeps what came before the connection broke (MD5: %s), and frees the rest',
    async (md5) => {
      const { server, file, cache, pool } = setUp(64 * MIB, md5);
      server.during = (at) => (at === 2 * MIB ? broken() : undefined);
      const reader = pool.acquire(file);
      reader.prefetch(0, 4 * MIB, 4 * MIB, 'background');
      await reader.idle();
      // Pieces of three blocks: the last whole one ends before the break.
      expect(cache.stats().bytes).toBe(30 * BLOCK);
      server.during = () => undefined;
      const before = server.sent;
      await expectBytes(reader, 0, 4 * MIB);
      expect(server.sent - before).toBe(4 * MIB - 30 * BLOCK);
      expect(cache.stats().bytes).toBe(4 * MIB);
      await reader.idle();
    },
  );

  it('is not written by anybody else, nor closed, before the writer has let go', async () => {
    let letGo = (): void => {};
    const stuck = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const abort = new AbortController();
    const { server, file, cache, pool } = setUp(64 * MIB, true, () => stuck);
    const reader = pool.acquire(file);
    reader.prefetch(0, 4 * MIB, 4 * MIB, 'background', abort.signal);
    await expect.poll(() => server.asked.length).toBe(1);
    abort.abort();
    let isIdle = false;
    const idle = reader.idle().then(() => {
      isIdle = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isIdle).toBe(false);
    letGo();
    await idle;
    expect(cache.stats().bytes).toBeLessThan(4 * MIB);
    await expectBytes(reader, 0, SIZE);
    await reader.idle();
  });

  it('is dropped where it differs from what came before', async () => {
    const { server, file, cache, pool, damaged } = setUp();
    const reader = pool.acquire(file);
    await expectBytes(reader, 5 * MIB, 100);
    // The block goes, its CRC stays known.
    cache.reclaim(SIZE);
    const wrong = Buffer.from(data);
    wrong[5 * MIB + 7] = (wrong[5 * MIB + 7] ?? 0) ^ 1;
    server.files.set('film', wrong);
    reader.prefetch(4 * MIB, 8 * MIB, 4 * MIB, 'background');
    expect(await errnoOf(reader.read(Buffer.alloc(100), 5 * MIB))).not.toBeNull();
    await reader.idle();
    expect(damaged).toEqual([file]);
    expect(cache.stats().bytes).toBe(0);
    server.files.set('film', data);
    await expectBytes(reader, 0, SIZE);
    await reader.idle();
  });

  it('comes through memory where the cache has no room for it', async () => {
    const { server, file, cache, pool } = setUp(MIB);
    const reader = pool.acquire(file);
    reader.prefetch(0, 4 * MIB, 4 * MIB, 'background');
    await expectBytes(reader, 0, 4 * MIB);
    expect(server.sent).toBe(4 * MIB);
    expect(cache.stats().bytes).toBeLessThanOrEqual(MIB);
    await reader.idle();
  });

  it('gives the right bytes whatever is read ahead, evicted, broken off and sent otherwise', async () => {
    const step = fc.oneof(
      fc.record({
        act: fc.constant('read' as const),
        at: fc.nat(SIZE - 1),
        length: fc.integer({ min: 1, max: 2 * MIB }),
      }),
      fc.record({
        act: fc.constant('ahead' as const),
        at: fc.nat(SIZE - 1),
        length: fc.integer({ min: MIB, max: 6 * MIB }),
      }),
      fc.record({ act: fc.constant('reclaim' as const), at: fc.nat(3), length: fc.integer({ min: 1, max: 6 * MIB }) }),
      fc.record({ act: fc.constant('break' as const), at: fc.nat(40), length: fc.constant(0) }),
      fc.record({ act: fc.constant('whole' as const), at: fc.nat(1), length: fc.constant(0) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(4 * MIB, 9 * MIB, 64 * MIB),
        fc.boolean(),
        async (steps, limit, md5) => {
          const { server, file, cache, pool, damaged } = setUp(limit, md5);
          const reader = pool.acquire(file);
          const reads: Promise<void>[] = [];
          for (const { act, at, length } of steps) {
            const end = Math.min(SIZE, at + length);
            if (act === 'read') reads.push(noted(expectBytes(reader, at, end - at)));
            else if (act === 'ahead') reader.prefetch(at, end, 4 * MIB, 'background');
            else if (act === 'reclaim') cache.reclaim(length);
            else if (act === 'whole') server.ignoresRange = at === 1;
            else {
              let left = 1;
              server.during = (place) => (place === at * BLOCK && left-- > 0 ? broken() : undefined);
            }
            await new Promise((resolve) => setImmediate(resolve));
          }
          for (const outcome of await Promise.allSettled(reads))
            if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ProviderError);
          await reader.idle();
          server.during = () => undefined;
          await expectBytes(reader, 0, SIZE);
          await pool.idle();
          expect(cache.stats().bytes).toBeLessThanOrEqual(limit);
          expect(damaged).toEqual([]);
          pool.release(reader);
          await pool.idle();
          closeCache(cache);
        },
      ),
      { numRuns: runs(60) },
    );
  });
});
