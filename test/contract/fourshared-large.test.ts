// @module-tag long
/** Slow: the real limits of the documents, one file on each side of "150 MB". */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { UploadSource } from '../../src/providers/content.js';
import { asFile, folderOf, readRange } from './bench.js';
import { FourSharedServer } from './fourshared-setup.js';

const MB = 1_000_000;
const block = 1024 * 1024;

/** Each MiB is the same except for its number at the start, so that the whole file is never in memory. */
function big(size: number): UploadSource {
  const base = Buffer.alloc(block, 'syncmount');
  const read: UploadSource['read'] = async function* (offset, length) {
    for (let at = offset; at < offset + length; ) {
      const number = Math.floor(at / block);
      const piece = Buffer.from(base);
      piece.writeUInt32LE(number, 0);
      const end = Math.min(offset + length, (number + 1) * block);
      yield piece.subarray(at - number * block, end - number * block);
      at = end;
    }
  };
  const md5 = async (): Promise<string> => {
    const hash = createHash('md5');
    for await (const piece of read(0, size)) hash.update(piece);
    return hash.digest('hex');
  };
  return { size, read, md5 };
}

test('149 MB go in one request and 200 MB in chunks, and the second replaces the first', {
  timeout: 120_000,
}, async () => {
  const server = await FourSharedServer.open({}, {});
  try {
    const folder = folderOf(server.store.makeFolder('/room'));
    // The deadline counts real transfers here: no hurried clock.
    const provider = server.connect({ clock: undefined, deadlineMs: 60_000, stallMs: 30_000 });
    const one = big(149 * MB);
    const target = { parentId: folder.id, name: 'big.iso' };
    const first = await provider.upload(target, one);
    expect(server.requests().map(({ operation }) => operation)).toEqual(['upload']);
    expect(first.md5).toBe(await one.md5());

    server.forget();
    const two = big(200 * MB);
    const second = await provider.upload({ ...target, replaces: first }, two);
    expect(second).toMatchObject({ name: 'big.iso', size: 200 * MB, md5: await two.md5() });
    // The first one is of 2 MiB.
    expect(server.requests('upload-chunk')).toHaveLength(1 + Math.ceil((200 * MB - 2 * block) / (8 * block)));
    expect(server.requests('upload-chunk').reduce((sum, { bytesIn }) => sum + bytesIn, 0)).toBe(200 * MB);
    expect((await provider.list(folder)).map(asFile)).toEqual([second]);

    server.forget();
    const middle = await readRange(provider, second, 100 * block, 4096);
    expect(middle.readUInt32LE(0)).toBe(100);
    expect(server.requests('download').map(({ bytesOut }) => bytesOut)).toEqual([4096]);
  } finally {
    await server.close();
  }
});
