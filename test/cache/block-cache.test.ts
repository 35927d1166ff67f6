import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { BlockCache } from '../../src/cache/block-cache.js';
import { CacheIndex } from '../../src/cache/index-db.js';
import { ReaderPool } from '../../src/cache/reader-pool.js';
import type { PunchHole } from '../../src/cache/sparse-file.js';
import { type RemoteFile, revisionKey } from '../../src/providers/provider.js';
import { runs } from '../support/extent.js';
import {
  BLOCK,
  clock,
  closeCache,
  diskBytes,
  fileOf,
  openCache,
  pattern,
  Server,
  temporary,
  zeroHole,
} from './support.js';

const MIB = 1024 * 1024;

async function fetchAll(cache: BlockCache, server: Server, file: RemoteFile): Promise<Buffer> {
  const pool = new ReaderPool(cache, server.fetch);
  const reader = pool.acquire(file);
  const data = Buffer.alloc(file.size);
  await reader.read(data, 0);
  pool.release(reader);
  await pool.idle();
  clock.advance(1000);
  return data;
}

const has = (cache: BlockCache, file: RemoteFile): boolean => cache.isComplete(revisionKey(file), file.size);

function dataFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('index.db'))
    .map((entry) => join(entry.parentPath, entry.name));
}

const action = fc.record({
  file: fc.nat(4),
  offset: fc.nat(30 * BLOCK),
  length: fc.integer({ min: 1, max: 4 * BLOCK }),
  after: fc.constantFrom('go on', 'wait', 'release', 'restart', 'prefetch'),
});
const limits = fc.constantFrom(0, 1000, 5000, BLOCK - 1, BLOCK, 3 * BLOCK, 17 * BLOCK, 9 * MIB, 20 * MIB);

describe.each<[string, PunchHole | undefined]>([
  ['with holes punched', zeroHole],
  ['with files that others have mapped', () => false],
  ['without', undefined],
])('the cap, %s', (_how, punchHole) => {
  it('always holds, and every byte is right, whoever reads what', async () => {
    await fc.assert(
      fc.asyncProperty(limits, fc.array(action, { minLength: 1, maxLength: 25 }), async (limit, actions) => {
        const directory = temporary();
        const server = new Server();
        const contents = [10, BLOCK, 5 * BLOCK + 1, 30 * BLOCK, 12 * MIB].map((size, i) => pattern(size, i));
        const files = contents.map((data, i) => server.put(data, `f${i}`));
        let cache = openCache(directory, limit, { punchHole });
        let pool = new ReaderPool(cache, server.fetch);
        let readers: ReturnType<ReaderPool['acquire']>[] = [];
        let reads: Promise<void>[] = [];
        const check = (): void => {
          expect(cache.stats().bytes).toBeLessThanOrEqual(limit);
        };
        const checkDisk = (): void => {
          if (punchHole !== undefined) return;
          const bytes = dataFiles(directory).reduce((sum, path) => sum + diskBytes(path), 0);
          expect(bytes).toBeLessThanOrEqual(limit + 8192);
        };
        const letGo = async (): Promise<void> => {
          await Promise.all(reads.splice(0));
          for (const reader of readers) pool.release(reader);
          readers = [];
          await pool.idle();
          checkDisk();
        };
        for (const { file: which, offset, length, after } of actions) {
          const [file, data] = [files[which], contents[which]] as [RemoteFile, Buffer];
          const reader = pool.acquire(file);
          readers.push(reader);
          const into = Buffer.alloc(length);
          if (after === 'prefetch') reader.prefetch(Math.min(offset, file.size), file.size, MIB, 'background');
          reads.push(
            reader.read(into, offset).then((count) => {
              expect(into.subarray(0, count).equals(data.subarray(offset, offset + length))).toBe(true);
              check();
            }),
          );
          if (after === 'wait') await Promise.all(reads.splice(0));
          if (after === 'release') await letGo();
          if (after === 'restart') {
            await letGo();
            closeCache(cache);
            cache = openCache(directory, limit, { punchHole });
            pool = new ReaderPool(cache, server.fetch);
          }
          check();
        }
        await letGo();
        check();
        closeCache(cache);
        rmSync(directory, { recursive: true });
        reads = [];
        readers = [];
      }),
      { numRuns: runs(40) },
    );
  });
});

describe('the block cache', () => {
  it('evicts the least recently used, and a read counts as a use', async () => {
    const server = new Server();
    const cache = openCache(temporary(), 4 * MIB);
    const [a, b, c] = ['a', 'b', 'c'].map((name, i) => server.put(pattern(1.5 * MIB, i), name)) as [
      RemoteFile,
      RemoteFile,
      RemoteFile,
    ];
    await fetchAll(cache, server, a);
    await fetchAll(cache, server, b);
    await fetchAll(cache, server, a);
    await fetchAll(cache, server, c);
    expect([has(cache, a), has(cache, b), has(cache, c)]).toEqual([true, false, true]);
  });

  it('keeps a file that one open reader goes on reading', async () => {
    const server = new Server();
    const cache = openCache(temporary(), 4 * MIB);
    const hot = server.put(pattern(MIB), 'hot');
    const pool = new ReaderPool(cache, server.fetch);
    const reader = pool.acquire(hot);
    const into = Buffer.alloc(MIB);
    await reader.read(into, 0);
    for (let n = 0; n < 6; n++) {
      await fetchAll(cache, server, server.put(pattern(MIB, n + 1), `cold${n}`));
      await reader.read(into, 0);
    }
    expect(server.asked).toHaveLength(7);
    pool.release(reader);
  });

  it('reads no row of a small file by itself when it is opened: there may be a hundred thousand', async () => {
    const directory = temporary();
    const server = new Server();
    const before = openCache(directory, 64 * MIB);
    const files = Array.from({ length: 20 }, (_, i) => server.put(pattern(100 + i), `f${i}`));
    for (const file of files) await fetchAll(before, server, file);
    const { bytes } = before.stats();
    closeCache(before);
    const read = vi.spyOn(CacheIndex.prototype, 'get');
    const cache = openCache(directory, 64 * MIB);
    expect(read).not.toHaveBeenCalled();
    read.mockRestore();
    expect(cache.stats().bytes).toBe(bytes);
    expect(files.filter((file) => has(cache, file))).toEqual(files);
  });

  it('survives a restart with its content and its order', async () => {
    const directory = temporary();
    const server = new Server();
    let cache = openCache(directory, 4 * MIB);
    const a = server.put(pattern(MIB, 1), 'a');
    const b = server.put(pattern(MIB, 2), 'b');
    await fetchAll(cache, server, a);
    await fetchAll(cache, server, b);
    await fetchAll(cache, server, a);
    closeCache(cache);
    cache = openCache(directory, 4 * MIB);
    expect([has(cache, a), has(cache, b)]).toEqual([true, true]);
    expect(cache.stats().bytes).toBe(2 * MIB);
    await fetchAll(cache, server, server.put(pattern(2.5 * MIB, 3), 'c'));
    expect([has(cache, a), has(cache, b)]).toEqual([true, false]);
  });

  it('evicts down to a limit that was lowered', async () => {
    const directory = temporary();
    const server = new Server();
    const big = server.put(pattern(3 * MIB, 1), 'big');
    const small = server.put(pattern(MIB / 2, 2), 'small');
    let cache = openCache(directory, 8 * MIB);
    await fetchAll(cache, server, big);
    await fetchAll(cache, server, small);
    closeCache(cache);
    cache = openCache(directory, MIB);
    expect(cache.stats().bytes).toBe(MIB / 2);
    expect([has(cache, big), has(cache, small)]).toEqual([false, true]);
    expect(dataFiles(directory)).toHaveLength(1);
  });

  it('trusts nothing of a revision that was being written when the process died', async () => {
    const directory = temporary();
    const server = new Server();
    const cache = openCache(directory, 8 * MIB);
    const file = server.put(pattern(MIB));
    const revision = cache.acquire(revisionKey(file), file.size);
    await revision.write(3, pattern(BLOCK));
    const copy = temporary();
    for (const name of readdirSync(directory).filter((entry) => entry.startsWith('index.db'))) {
      writeFileSync(join(copy, name), readFileSync(join(directory, name)));
    }
    expect(openCache(copy, 8 * MIB).stats().bytes).toBe(0);
    cache.release(revision);
  });

  it('knows a file that it found sound again after a restart, in the same boot and as long as nobody touches it', async () => {
    const directory = temporary();
    const server = new Server();
    const file = server.put(pattern(MIB + 5));
    const isKnown = (boot: string): boolean => {
      const cache = openCache(directory, 8 * MIB, { boot });
      const revision = cache.acquire(revisionKey(file), file.size);
      const lent = cache.openBacking(revision);
      if (lent !== null) cache.closeBacking(lent);
      cache.release(revision);
      closeCache(cache);
      return lent !== null;
    };
    const first = openCache(directory, 8 * MIB, { boot: 'one' });
    await fetchAll(first, server, file);
    closeCache(first);
    expect([isKnown('one'), isKnown('one')]).toEqual([true, true]);
    // A fingerprint of another boot proves nothing, and opening the file in that boot does not renew it.
    expect([isKnown('two'), isKnown('two'), isKnown('one')]).toEqual([false, false, false]);

    const again = openCache(directory, 8 * MIB, { boot: 'two' });
    await fetchAll(again, server, file);
    closeCache(again);
    expect([server.sent, isKnown('two')]).toEqual([file.size, true]);
    const [path] = dataFiles(directory);
    const bytes = readFileSync(path ?? '');
    writeFileSync(path ?? '', bytes);
    expect(isKnown('two')).toBe(false);
  });

  it('keeps a file that cannot move to the spool, and fails where a program reads it directly', async () => {
    const server = new Server();
    const data = pattern(MIB + 5);
    const file = server.put(data);
    const cache = openCache(temporary(), 8 * MIB);
    await fetchAll(cache, server, file);
    const revision = cache.acquire(revisionKey(file), file.size);
    // A directory is where the file should go.
    const inTheWay = temporary();
    expect(cache.moveToSpool(revision, inTheWay)).toBeNull();
    const backing = cache.openBacking(revision);
    expect(() => cache.moveToSpool(revision, inTheWay)).toThrow(/EISDIR/);
    if (backing !== null) cache.closeBacking(backing);
    cache.release(revision);
    expect((await fetchAll(cache, server, file)).equals(data)).toBe(true);
    expect(server.sent).toBe(file.size);
  });

  it('adopts a file that was uploaded', async () => {
    const directory = temporary();
    const cache = openCache(directory, 8 * MIB);
    const data = pattern(2 * BLOCK + 5);
    const file = fileOf(data);
    const path = join(directory, 'spooled');
    writeFileSync(path, data);
    const crcs = [0, 1, 2].map((n) => crc32(data.subarray(n * BLOCK, (n + 1) * BLOCK)));
    expect(cache.adopt(revisionKey(file), data.length, path, crcs)).toBe(true);
    const server = new Server();
    expect((await fetchAll(cache, server, file)).equals(data)).toBe(true);
    expect(server.asked).toEqual([]);
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('leaves no file behind that it has moved and cannot note', () => {
    const directory = temporary();
    const broken = { ...clock, now: () => Number.NaN };
    const cache = openCache(directory, 8 * MIB, { clock: Object.assign(Object.create(clock), broken) });
    const data = pattern(BLOCK);
    const path = join(directory, 'spooled');
    writeFileSync(path, data);
    expect(cache.adopt(revisionKey(fileOf(data)), data.length, path, [crc32(data)])).toBe(false);
    expect([dataFiles(directory), cache.stats().bytes]).toEqual([[], 0]);
  });

  it('does not adopt a file that does not fit or is missing', () => {
    const directory = temporary();
    const cache = openCache(directory, 4 * BLOCK);
    const path = join(directory, 'spooled');
    writeFileSync(path, pattern(3 * BLOCK));
    expect(cache.adopt('big', 3 * BLOCK, path, [1, 2, 3])).toBe(false);
    expect(statSync(path).size).toBe(3 * BLOCK);
    expect(cache.adopt('gone', BLOCK, join(directory, 'nothing'), [1])).toBe(false);
    expect(cache.stats().bytes).toBe(0);
  });
});

describe('a bad cache disk', () => {
  const cached = async (data: Buffer, md5 = true) => {
    const directory = temporary();
    const server = new Server();
    const file = server.put(data, 'file', md5);
    const cache = openCache(directory, 64 * MIB);
    await fetchAll(cache, server, file);
    server.asked.length = 0;
    return { directory, server, file, cache };
  };

  it('with one damaged block costs one request', async () => {
    const data = pattern(10 * BLOCK);
    const { directory, server, file, cache } = await cached(data);
    const path = dataFiles(directory)[0] ?? '';
    const bytes = readFileSync(path);
    bytes[3 * BLOCK + 7] = (bytes[3 * BLOCK + 7] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect((await fetchAll(cache, server, file)).equals(data)).toBe(true);
    expect(server.asked.map(({ offset, length }) => [offset, length])).toEqual([[3 * BLOCK, BLOCK]]);
    expect(has(cache, file)).toBe(true);
  });

  it.each([
    ['is missing', (path: string) => rmSync(path)],
    ['was cut short', (path: string) => writeFileSync(path, 'x')],
    ['is a directory now', (path: string) => rmSync(path)],
  ])('whose file %s is read past', async (_what, damage) => {
    const data = pattern(3 * BLOCK);
    const { directory, server, file, cache } = await cached(data);
    for (const path of dataFiles(directory)) damage(path);
    expect((await fetchAll(cache, server, file)).equals(data)).toBe(true);
    expect((await fetchAll(cache, server, file)).equals(data)).toBe(true);
  });

  it('that vanished altogether is read past', async () => {
    const data = pattern(3 * BLOCK);
    const { directory, server, file, cache } = await cached(data);
    rmSync(directory, { recursive: true });
    expect((await fetchAll(cache, server, file)).equals(data)).toBe(true);
    const other = server.put(pattern(5000), 'other');
    expect((await fetchAll(cache, server, other)).equals(pattern(5000))).toBe(true);
  });

  it('with a damaged index is emptied and used again', async () => {
    const data = pattern(3 * BLOCK);
    const { directory, server, file, cache } = await cached(data);
    closeCache(cache);
    for (const name of ['index.db', 'index.db-wal'])
      writeFileSync(join(directory, name), 'this is no database, far from it');
    const again = openCache(directory, 64 * MIB);
    expect(again.stats().bytes).toBe(0);
    expect(dataFiles(directory)).toEqual([]);
    expect((await fetchAll(again, server, file)).equals(data)).toBe(true);
    expect(has(again, file)).toBe(true);
  });

  it('that cannot be written at all leaves the network', async () => {
    const directory = temporary();
    writeFileSync(join(directory, 'file'), '');
    const server = new Server();
    const cache = openCache(join(directory, 'file', 'cache'), 64 * MIB);
    const data = pattern(3 * BLOCK);
    expect((await fetchAll(cache, server, server.put(data))).equals(data)).toBe(true);
    expect(cache.stats().bytes).toBe(0);
  });

  it('that is in use by another process is an error', () => {
    const directory = temporary();
    openCache(directory, MIB);
    expect(() => openCache(directory, MIB)).toThrow(/in use/);
  });
});
