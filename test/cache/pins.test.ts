/** Pinned contents: outside of the cache's limit, never evicted, fetched whole and checked. */
import { expect, it } from 'vitest';
import type { BlockCache } from '../../src/cache/block-cache.js';
import { ReaderPool } from '../../src/cache/reader-pool.js';
import { ProviderError } from '../../src/providers/errors.js';
import { type RemoteFile, revisionKey } from '../../src/providers/provider.js';
import { BLOCK, closeCache, openCache, pattern, Server, storing, temporary, zeroHole } from './support.js';

const LIMIT = 4 * BLOCK;
const never = new AbortController().signal;

async function store(cache: BlockCache, server: Server, file: RemoteFile, signal = never): Promise<boolean> {
  const pool = new ReaderPool(cache, storing(server.fetch));
  const reader = pool.acquire(file);
  try {
    return await reader.storeAll(signal);
  } finally {
    pool.release(reader);
    await pool.idle();
  }
}

const pin = (cache: BlockCache, file: RemoteFile): void => cache.pins.add(revisionKey(file), file.size);
const unpin = (cache: BlockCache, file: RemoteFile): void => cache.pins.remove(revisionKey(file));
const has = (cache: BlockCache, file: RemoteFile): boolean => cache.isComplete(revisionKey(file), file.size);

it('a pinned file larger than the limit is kept whole beside a full cache, also by the next mount', async () => {
  const directory = temporary();
  const server = new Server();
  const small = server.put(pattern(3 * BLOCK, 1), 'small');
  const large = server.put(pattern(150 * BLOCK + 7, 2), 'large');
  const other = server.put(pattern(4 * BLOCK, 3), 'other');
  let cache = openCache(directory, LIMIT, { punchHole: zeroHole });
  await store(cache, server, small);
  pin(cache, large);
  expect(await store(cache, server, large)).toBe(true);
  expect(cache.stats()).toMatchObject({ bytes: 3 * BLOCK, pinned: large.size });
  expect(has(cache, small)).toBe(true);
  // All of the limit is for the others.
  expect(await store(cache, server, other)).toBe(true);
  expect([has(cache, large), has(cache, small), has(cache, other)]).toEqual([true, false, true]);
  closeCache(cache);

  cache = openCache(directory, LIMIT, { punchHole: zeroHole });
  expect(cache.pins.keys()).toEqual([revisionKey(large)]);
  expect([has(cache, large), has(cache, other)]).toEqual([true, true]);
  cache.reclaim(Number.MAX_SAFE_INTEGER);
  expect([has(cache, large), has(cache, other)]).toEqual([true, false]);
  expect(cache.stats()).toMatchObject({ bytes: 0, pinned: large.size });
});

it('what is unpinned counts again, and goes as far as it does not fit', async () => {
  const directory = temporary();
  const server = new Server();
  const a = server.put(pattern(3 * BLOCK, 1), 'a');
  const b = server.put(pattern(2 * BLOCK, 2), 'b');
  let cache = openCache(directory, LIMIT);
  for (const file of [a, b]) pin(cache, file);
  for (const file of [a, b]) expect(await store(cache, server, file)).toBe(true);
  expect(cache.stats()).toMatchObject({ bytes: 0, pinned: 5 * BLOCK });
  unpin(cache, a);
  expect(cache.stats()).toMatchObject({ bytes: 3 * BLOCK, pinned: 2 * BLOCK });
  unpin(cache, b);
  expect(cache.stats()).toMatchObject({ bytes: 2 * BLOCK, pinned: 0 });
  expect([has(cache, a), has(cache, b)]).toEqual([false, true]);
  closeCache(cache);
  cache = openCache(directory, LIMIT);
  expect([cache.pins.keys(), has(cache, b)]).toEqual([[], true]);
});

it('only what is missing is fetched, behind programs, and never as more than the file', async () => {
  const server = new Server();
  const data = pattern(40 * BLOCK, 1);
  const file = server.put(data, 'file');
  const cache = openCache(temporary(), 100 * BLOCK, { punchHole: zeroHole });
  pin(cache, file);
  const pool = new ReaderPool(cache, server.fetch);
  const reader = pool.acquire(file);
  await reader.read(Buffer.alloc(BLOCK), 7 * BLOCK);
  const before = server.asked.length;
  expect(await reader.storeAll(never)).toBe(true);
  const asked = server.asked.slice(before);
  expect(asked.every(({ priority }) => priority === 'background')).toBe(true);
  expect(asked.reduce((sum, { length }) => sum + length, 0)).toBe(39 * BLOCK);
  expect(await reader.storeAll(never)).toBe(true);
  expect(server.asked.length).toBe(before + asked.length);
  pool.release(reader);
  await pool.idle();
});

it('a content with another MD5 is not taken, and one from a server that ignores ranges is fetched once', async () => {
  const server = new Server();
  const file = server.put(pattern(40 * BLOCK, 1), 'file');
  const cache = openCache(temporary(), 100 * BLOCK, { punchHole: zeroHole });
  pin(cache, file);
  server.files.set('file', pattern(40 * BLOCK, 2));
  expect(await store(cache, server, file)).toBe(false);
  expect(has(cache, file)).toBe(false);
  server.files.set('file', pattern(40 * BLOCK, 1));
  server.ignoresRange = true;
  server.sent = 0;
  expect(await store(cache, server, file)).toBe(true);
  expect(server.sent).toBe(file.size);
});

it('it ends at once when nobody wants it any more, and as the service fails', async () => {
  const server = new Server();
  const file = server.put(pattern(40 * BLOCK, 1), 'file');
  const cache = openCache(temporary(), 100 * BLOCK, { punchHole: zeroHole });
  pin(cache, file);
  const ending = new AbortController();
  server.during = (at) => {
    if (at === 5 * BLOCK) ending.abort(new ProviderError('aborted', 'not wanted any more'));
  };
  await expect(store(cache, server, file, ending.signal)).rejects.toMatchObject({ code: 'aborted' });
  server.during = () => undefined;
  server.before = () => {
    throw new ProviderError('network', 'offline');
  };
  await expect(store(cache, server, file)).rejects.toMatchObject({ code: 'network' });
});
