import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ReaderPool } from '../../src/cache/reader-pool.js';
import type { RevisionReader } from '../../src/cache/revision-reader.js';
import { ProviderError } from '../../src/providers/errors.js';
import { revisionKey } from '../../src/providers/provider.js';
import { errnoOf } from '../filesystem/harness.js';
import { BLOCK, openCache, pattern, Server, storing, temporary, ways, zeroHole } from './support.js';

const MIB = 1024 * 1024;

describe.each(ways)('%s:', (_name, way) => {
  const setUp = (limit = 64 * MIB) => {
    const server = new Server();
    const cache = openCache(temporary(), limit, { punchHole: zeroHole });
    return { server, cache, pool: new ReaderPool(cache, way(server.fetch)) };
  };

  const readAt = async (reader: RevisionReader, offset: number, length: number): Promise<Buffer> => {
    const into = Buffer.alloc(length);
    return into.subarray(0, await reader.read(into, offset));
  };

  describe('a reader', () => {
    it('gives the bytes of any place, and none beyond the end', async () => {
      const { server, pool } = setUp();
      const data = pattern(5 * BLOCK + 123);
      const reader = pool.acquire(server.put(data));
      for (const [offset, length] of [
        [0, 10],
        [BLOCK - 5, 10],
        [3 * BLOCK, 2 * BLOCK],
        [5 * BLOCK, 1000],
        [5 * BLOCK + 123, 10],
        [9 * BLOCK, 10],
      ] as const) {
        expect((await readAt(reader, offset, length)).equals(data.subarray(offset, offset + length))).toBe(true);
      }
      pool.release(reader);
    });

    it('fetches a block once for all who want it at the same time', async () => {
      const { server, cache, pool } = setUp();
      const data = pattern(8 * BLOCK);
      const file = server.put(data);
      const readers = Array.from({ length: 10 }, () => pool.acquire(file));
      const parts = await Promise.all(readers.map((reader) => readAt(reader, 100, 2 * BLOCK)));
      expect(parts.every((part) => part.equals(data.subarray(100, 100 + 2 * BLOCK)))).toBe(true);
      expect(server.asked).toHaveLength(1);
      for (const reader of readers) pool.release(reader);
      expect(cache.stats()).toMatchObject({ misses: 3 });
    });

    it('touches no more than the blocks that random reads need', async () => {
      const { server, pool } = setUp();
      const data = pattern(16 * MIB);
      const reader = pool.acquire(server.put(data));
      const touched = new Set<number>();
      for (let n = 0; n < 60; n++) {
        const offset = (n * 7919 * 4096) % (data.length - 4096);
        for (const at of [offset, offset + 4095]) touched.add(Math.floor(at / BLOCK));
        expect((await readAt(reader, offset, 4096)).equals(data.subarray(offset, offset + 4096))).toBe(true);
      }
      expect(server.sent).toBeLessThanOrEqual(1.1 * touched.size * BLOCK);
      pool.release(reader);
    });

    it('does not ask again for what an earlier reader brought', async () => {
      const { server, pool } = setUp();
      const file = server.put(pattern(3 * BLOCK));
      const first = pool.acquire(file);
      await readAt(first, 0, 3 * BLOCK);
      pool.release(first);
      await pool.idle();
      const second = pool.acquire(file);
      expect((await readAt(second, 0, 3 * BLOCK)).equals(pattern(3 * BLOCK))).toBe(true);
      expect(server.asked).toHaveLength(1);
      pool.release(second);
    });

    it.each([[0], [1000], [BLOCK - 1], [BLOCK + 1]])(
      'asks once for a long read with a cache of %i bytes',
      async (limit) => {
        const { server, pool } = setUp(limit);
        const data = pattern(10 * BLOCK);
        const reader = pool.acquire(server.put(data));
        expect((await readAt(reader, 5, 9 * BLOCK)).equals(data.subarray(5, 5 + 9 * BLOCK))).toBe(true);
        expect(server.asked).toHaveLength(1);
        pool.release(reader);
      },
    );

    it('says of its requests whether they continue what was here before', async () => {
      const { server, cache, pool } = setUp();
      const file = server.put(pattern(8 * BLOCK));
      const said: unknown[] = [];
      server.before = (_, { hasEarlierBytes }) => void said.push(hasEarlierBytes);
      // The second reader is as after a remount.
      for (const [block, readers] of [
        [0, pool],
        [4, new ReaderPool(cache, server.fetch)],
      ] as const) {
        const reader = readers.acquire(file);
        await readAt(reader, block * BLOCK, 10);
        await readAt(reader, (block + 2) * BLOCK, 10);
        readers.release(reader);
      }
      expect(said).toEqual([false, true, true, true]);
    });

    it('hands errors of the provider on, and tries again the next time', async () => {
      const { server, pool } = setUp();
      const data = pattern(BLOCK);
      const reader = pool.acquire(server.put(data));
      server.before = () => {
        throw new ProviderError('network', 'offline');
      };
      expect(await errnoOf(readAt(reader, 0, 10))).toBe('network');
      server.before = () => undefined;
      expect((await readAt(reader, 0, 10)).equals(data.subarray(0, 10))).toBe(true);
      pool.release(reader);
    });

    it('does not fail when the read-ahead that it waited for is cancelled', async () => {
      const { server, pool } = setUp();
      const data = pattern(8 * BLOCK);
      const reader = pool.acquire(server.put(data));
      const closing = new AbortController();
      let begun!: () => void;
      const beginning = new Promise<void>((resolve) => {
        begun = resolve;
      });
      server.before = (_range, { signal }) => {
        if (signal === undefined) return;
        begun();
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new ProviderError('aborted', 'closed')));
        });
      };
      reader.prefetch(0, 8 * BLOCK, 8 * MIB, 'background', closing.signal);
      await beginning;
      const read = readAt(reader, 0, 2 * BLOCK);
      closing.abort();
      expect((await read).equals(data.subarray(0, 2 * BLOCK))).toBe(true);
      pool.release(reader);
    });

    it('does not wait again for a limit that it has waited for', async () => {
      const { server, pool } = setUp();
      const reader = pool.acquire(server.put(pattern(2 * BLOCK)));
      server.before = () => {
        throw new ProviderError('rate-limited', 'not now');
      };
      expect(await errnoOf(readAt(reader, 0, 10))).toBe('rate-limited');
      expect(server.asked).toHaveLength(1);
      pool.release(reader);
    });

    it('splits a long request, and lets it go side by side', async () => {
      const { server, pool } = setUp();
      const reader = pool.acquire(server.put(pattern(4 * MIB)));
      reader.prefetch(0, 4 * MIB, MIB, 'background');
      await readAt(reader, 0, 4 * MIB);
      expect(server.asked.map(({ offset, length, priority }) => [offset, length, priority])).toEqual(
        [0, 1, 2, 3].map((n) => [n * MIB, MIB, 'background']),
      );
      pool.release(reader);
    });
  });

  describe('a file that is opened again at once', () => {
    it('is not fetched again while its blocks are on their way to the disk', async () => {
      const { server, pool } = setUp();
      const file = server.put(pattern(1000));
      const first = pool.acquire(file);
      await readAt(first, 0, 1000);
      pool.release(first);
      const second = pool.acquire(file);
      await readAt(second, 0, 1000);
      pool.release(second);
      await pool.idle();
      expect(server.asked).toHaveLength(1);
      const third = pool.acquire(file);
      expect((await readAt(third, 0, 1000)).equals(pattern(1000))).toBe(true);
      expect(server.asked).toHaveLength(1);
      pool.release(third);
    });
  });

  describe('a server that ignores ranges', () => {
    it('is streamed once, whatever is asked for meanwhile', async () => {
      const { server, pool } = setUp();
      server.ignoresRange = true;
      const data = pattern(6 * MIB);
      const reader = pool.acquire(server.put(data));
      const offsets = [4 * MIB, 0, 2 * MIB, 5 * MIB, 100];
      const parts = await Promise.all(offsets.map((offset) => readAt(reader, offset, 1000)));
      parts.forEach((part, i) => {
        const offset = offsets[i] ?? 0;
        expect(part.equals(data.subarray(offset, offset + 1000))).toBe(true);
      });
      await readAt(reader, 3 * MIB, MIB);
      // The requests that were sent before it was known give up after their first chunk.
      expect(server.sent).toBeLessThanOrEqual(data.length + offsets.length * server.chunk);
      pool.release(reader);
      await pool.idle();
    });

    it('gives right bytes also where no block can be cached, and makes no file', async () => {
      const { server, cache, pool } = setUp(0);
      server.ignoresRange = true;
      const data = pattern(2 * MIB);
      const reader = pool.acquire(server.put(data));
      const offsets = [MIB, 0, 100_000];
      const parts = await Promise.all(offsets.map((offset) => readAt(reader, offset, 1000)));
      parts.forEach((part, i) => {
        const offset = offsets[i] ?? 0;
        expect(part.equals(data.subarray(offset, offset + 1000))).toBe(true);
      });
      expect(existsSync(cache.pathOf(reader.key))).toBe(false);
      pool.release(reader);
    });
  });

  describe('content that is not what it should be', () => {
    it('of a small file is fetched again, and never shown', async () => {
      const { server, pool } = setUp();
      const data = pattern(1000);
      const file = server.put(data);
      server.files.set('file', pattern(1000, 7));
      server.before = () => {
        if (server.asked.length === 2) server.files.set('file', data);
      };
      const reader = pool.acquire(file);
      expect((await readAt(reader, 0, 1000)).equals(data)).toBe(true);
      expect(server.asked).toHaveLength(2);
      pool.release(reader);
    });

    it('is refused when it stays so', async () => {
      const { server, cache, pool } = setUp();
      const file = server.put(pattern(1000));
      server.files.set('file', pattern(1000, 7));
      const reader = pool.acquire(file);
      expect(await errnoOf(readAt(reader, 0, 1000))).toBe('integrity');
      pool.release(reader);
      await pool.idle();
      expect(cache.isComplete(revisionKey(file), 1000)).toBe(false);
    });

    it('of a large file does not stay in the cache', async () => {
      const { server, cache, pool } = setUp();
      const file = server.put(pattern(2 * MIB));
      server.files.set('file', pattern(2 * MIB, 7));
      const reader = pool.acquire(file);
      await readAt(reader, 0, 2 * MIB).catch(() => undefined);
      pool.release(reader);
      await pool.idle();
      expect(cache.stats().bytes).toBe(0);
    });

    it('that ends early is an error, not a hang', async () => {
      const { server, pool } = setUp();
      const file = server.put(pattern(3 * BLOCK), 'file', false);
      server.files.set('file', pattern(BLOCK));
      const reader = pool.acquire(file);
      expect(await errnoOf(readAt(reader, 2 * BLOCK, 10))).toBe('protocol');
      pool.release(reader);
    });
  });

  describe('a disk slower than the network', () => {
    // What the transport writes is never in memory: the disk holds up the transport itself.
    it.skipIf(way === storing)('slows the network down instead of filling the memory', async () => {
      const { server, cache, pool } = setUp();
      const data = pattern(16 * MIB);
      const file = server.put(data, 'file', false);
      const reader = pool.acquire(file);
      const cached = cache.acquire(revisionKey(file), file.size);
      let release!: () => void;
      const slow = new Promise<void>((resolve) => {
        release = resolve;
      });
      let written = 0;
      const { write } = cached;
      cached.write = async (block, bytes) => {
        await slow;
        written++;
        return write.call(cached, block, bytes);
      };
      reader.prefetch(0, 8 * MIB, 8 * MIB, 'background');
      let last = -1;
      while (last !== server.sent) {
        last = server.sent;
        for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
      }
      expect(written).toBe(0);
      expect(server.sent).toBeLessThanOrEqual(34 * BLOCK);
      release();
      expect((await readAt(reader, 7 * MIB, MIB)).equals(data.subarray(7 * MIB, 8 * MIB))).toBe(true);
      cache.release(cached);
      pool.release(reader);
    });
  });
});
