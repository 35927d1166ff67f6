/** Bytes that came before it was known of which revision they are: what becomes of them when it is. */
import { expect, it } from 'vitest';
import type { FetchRange } from '../../src/cache/block-fetcher.js';
import { ReaderPool } from '../../src/cache/reader-pool.js';
import type { RevisionReader } from '../../src/cache/revision-reader.js';
import { ProviderError } from '../../src/providers/errors.js';
import { BLOCK, openCache, pattern, Server, temporary } from './support.js';

const changed = new ProviderError('revision-changed', 'changed', { data: {} });
const broken = new ProviderError('network', 'broken', { data: {} });
const data = pattern(40 * BLOCK);

function setUp(md5 = false) {
  const server = new Server();
  const cache = openCache(temporary(), 1024 * BLOCK);
  const proofs: { resolve: () => void; reject: (error: Error) => void }[] = [];
  /** What a question finds that is asked because somebody demands it; null: the file is unchanged. */
  const found: { error: Error | null } = { error: null };
  const fetch: FetchRange = async (file, range, options) => {
    let [resolve, reject]: [() => void, (error: Error) => void] = [() => {}, () => {}];
    const settled = new Promise<void>((yes, no) => {
      [resolve, reject] = [yes, no];
    });
    proofs.push({ resolve, reject });
    const demand = async (): Promise<void> => {
      if (found.error === broken) throw broken;
      if (found.error === null) resolve();
      else reject(found.error);
      await settled;
    };
    return { ...(await server.fetch(file, range, options)), proof: { settled, demand } };
  };
  const pool = new ReaderPool(cache, fetch);
  const outdated: string[] = [];
  pool.onOutdated = ({ name }) => outdated.push(name);
  const reader = pool.acquire(server.put(data, 'file', md5));
  return { server, cache, pool, reader, proofs, found, outdated };
}

async function readBlock(reader: RevisionReader, block: number): Promise<void> {
  const into = Buffer.alloc(BLOCK);
  await reader.read(into, block * BLOCK);
  expect(into.equals(data.subarray(block * BLOCK, (block + 1) * BLOCK))).toBe(true);
}

it('they are kept when they are of the revision', async () => {
  const { server, reader, proofs, outdated } = setUp();
  await readBlock(reader, 3);
  expect(reader.isSound).toBe(false);
  for (const proof of proofs) proof.resolve();
  await expect.poll(() => reader.isSound).toBe(true);
  await readBlock(reader, 3);
  expect([server.asked.length, outdated]).toEqual([1, []]);
});

it('they leave the cache when the file was another one, and its readers are told', async () => {
  const { server, reader, proofs, outdated } = setUp();
  await readBlock(reader, 3);
  proofs[0]?.reject(changed);
  await expect.poll(() => outdated).toEqual(['file']);
  expect(reader.present()).toBe(0);
  await readBlock(reader, 3);
  expect(server.asked).toHaveLength(2);
});

it('what still comes of an answer whose file was another one is not kept', async () => {
  const { server, reader, proofs, outdated } = setUp();
  let blocks = 0;
  server.during = async () => {
    if (++blocks !== 3) return;
    proofs[0]?.reject(changed);
    await expect.poll(() => outdated).toEqual(['file']);
  };
  await expect(reader.read(Buffer.alloc(20 * BLOCK), 0)).rejects.toMatchObject({ code: 'revision-changed' });
  await reader.idle();
  expect(reader.present()).toBe(0);
});

it('nothing is told where the MD5 has shown meanwhile that all of it is of the revision', async () => {
  const { reader, proofs, outdated } = setUp(true);
  for (let block = 0; block < 40; block++) await readBlock(reader, block);
  expect(reader.isSound).toBe(true);
  for (const proof of proofs) proof.reject(changed);
  await new Promise((resolve) => setImmediate(resolve));
  expect(outdated).toEqual([]);
  expect(reader.present()).toBe(data.length);
});

it('no file goes to the kernel, and no pin is whole, before the proof', async () => {
  const { reader, proofs, found } = setUp();
  for (let block = 0; block < 40; block++) await readBlock(reader, block);
  expect(reader.openBacking()).toBeNull();
  found.error = broken;
  await expect(reader.storeAll(new AbortController().signal)).rejects.toBe(broken);
  found.error = null;
  expect(await reader.storeAll(new AbortController().signal)).toBe(true);
  expect(proofs.length).toBeGreaterThan(0);
  expect(reader.isSound).toBe(true);
});

it('who makes a part of another content of them waits for the proof', async () => {
  const { reader, found } = setUp();
  await readBlock(reader, 1);
  found.error = changed;
  await expect(reader.proven()).rejects.toBe(changed);
  found.error = null;
  await readBlock(reader, 1);
  await reader.proven();
  expect(reader.isSound).toBe(true);
});

it('a reader that leaves has them proven, and keeps nothing where the service cannot be asked', async () => {
  const { server, pool, reader, found } = setUp();
  const { file } = reader;
  await readBlock(reader, 1);
  pool.release(reader);
  await pool.idle();
  const again = pool.acquire(file);
  await readBlock(again, 1);
  expect(server.asked).toHaveLength(1);
  await readBlock(again, 2);
  found.error = broken;
  pool.release(again);
  await pool.idle();
  const last = pool.acquire(file);
  expect(last.present()).toBe(0);
  pool.release(last);
});
