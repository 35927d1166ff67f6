/** Uploads whose bytes the exchange thread reads from their file and sends. */
import { createCipheriv } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { UploadSource } from '../../src/providers/content.js';
import { contentOf } from '../../src/providers/http/transport/content.js';
import { Bandwidth } from '../../src/providers/http/transport/token-bucket.js';
import { ExchangeThread } from '../../src/threads/exchange-thread.js';
import { type MiniAccount, md5, miniAccount, source } from '../providers/fourshared/mini-account.js';
import { hangUp } from '../providers/mini-server.js';
import { stoppedClock } from '../support/test-clock.js';

const MIB = 1024 * 1024;
/** No part of it is like another. */
const data = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(5 * MIB + 77));
const target = { parentId: 'root', name: 'a.bin' };
const thread = new ExchangeThread();
const directory = mkdtempSync(join(tmpdir(), 'syncmount-uploads-'));
const path = join(directory, 'content');
afterAll(async () => {
  await thread.close();
  rmSync(directory, { recursive: true });
});
beforeEach(() => writeFileSync(path, data));

/** Its `read` must not be used. */
function inFile(content = data): UploadSource & { uses: number; lent: number } {
  const counted = {
    uses: 0,
    lent: 0,
    ...source(content),
    read: () => {
      throw new Error('read on the event loop');
    },
    async whileOpen<T>(act: (fd: number) => Promise<T>): Promise<T> {
      counted.uses++;
      counted.lent++;
      const fd = openSync(path, 'r');
      try {
        return await act(fd);
      } finally {
        closeSync(fd);
        counted.uses--;
      }
    },
  };
  return counted;
}

const account = (more = {}): Promise<MiniAccount> =>
  miniAccount({ bulk: (options) => thread.exchanger(options), ...more });
const inChunks = { simpleUploadLimit: MIB, chunkBytes: 2 * MIB };

test('a file in one request is stored, with its progress told, and let go', async () => {
  const mini = await account({ simpleUploadLimit: 64 * MIB });
  const content = inFile();
  const progress: number[] = [];
  const file = await mini.provider.upload(target, content, { onProgress: (sent) => void progress.push(sent) });
  expect(file).toMatchObject({ size: data.length, md5: md5(data) });
  expect(mini.file('a.bin')?.data.equals(data)).toBe(true);
  expect(content).toMatchObject({ uses: 0, lent: 1 });
  expect(progress.length).toBeGreaterThan(1);
  expect(progress.at(-1)).toBe(data.length);
  expect([...progress].sort((a, b) => a - b)).toEqual(progress);
});

test('chunks are sent, and sent again where a connection breaks', async () => {
  const mini = await account(inChunks);
  let left = 2;
  mini.before = (request, response) => {
    if (request.method !== 'POST' || !/upload\/\w+$/.test(request.path) || left-- <= 0) return false;
    hangUp(response);
    return true;
  };
  const content = inFile();
  await mini.provider.upload(target, content);
  expect(mini.file('a.bin')?.data.equals(data)).toBe(true);
  expect(content.uses).toBe(0);
  expect(content.lent).toBeGreaterThan(3);
});

test('a file that is too short is an error of the content, and nothing is stored', async () => {
  const mini = await account({ simpleUploadLimit: 64 * MIB });
  truncateSync(path, 3 * MIB);
  const content = inFile();
  await expect(mini.provider.upload(target, content)).rejects.toMatchObject({ code: 'integrity' });
  expect(content.uses).toBe(0);
  expect(mini.files).toHaveLength(0);
});

test('a file that cannot be opened is an error of the content', async () => {
  const mini = await account({ simpleUploadLimit: 64 * MIB });
  rmSync(path);
  await expect(mini.provider.upload(target, inFile())).rejects.toMatchObject({ code: 'integrity' });
});

test('an upload that is given up lets the file go', async () => {
  const mini = await account(inChunks);
  const abort = new AbortController();
  mini.before = (request) => {
    if (request.method === 'POST' && /upload\/\w+$/.test(request.path)) abort.abort();
    return request.path.includes('/upload/');
  };
  const content = inFile();
  await expect(mini.provider.upload(target, content, { signal: abort.signal })).rejects.toMatchObject({
    code: 'aborted',
  });
  await expect.poll(() => content.uses).toBe(0);
});

test('sixteen chunks that listen to one signal are no warning in the log', async () => {
  // For a clock that stands still every line is fast.
  const mini = await account({ simpleUploadLimit: MIB, chunkBytes: 1.25 * MIB, clock: stoppedClock });
  const abort = new AbortController();
  let sent = 0;
  mini.before = (request) => request.method === 'POST' && /upload\/\w+$/.test(request.path) && sent++ > 0;
  const warnings: string[] = [];
  const warned = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', warned);
  const large = Buffer.alloc(20 * 1.25 * MIB);
  writeFileSync(path, large);
  const upload = mini.provider.upload(target, inFile(large), { signal: abort.signal });
  upload.catch(() => undefined);
  await expect.poll(() => sent).toBeGreaterThan(16);
  abort.abort();
  await expect(upload).rejects.toMatchObject({ code: 'aborted' });
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});

test('a thread that ends fails what it sends, and the next upload starts another', async () => {
  const mini = await account({ simpleUploadLimit: 64 * MIB });
  mini.before = (request) => request.method === 'POST';
  const content = inFile();
  const upload = mini.provider.upload(target, content);
  upload.catch(() => undefined);
  await expect.poll(() => content.uses).toBe(1);
  await thread.close();
  await expect(upload).rejects.toMatchObject({ code: 'aborted' });
  expect(content.uses).toBe(0);
  mini.before = () => false;
  await mini.provider.upload({ ...target, name: 'b.bin' }, inFile());
  expect(mini.file('b.bin')?.data.equals(data)).toBe(true);
});

/** Reads more slowly than it is sent to, so that most of it waits in the sender's socket. */
async function slowly(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) {
    parts.push(part as Buffer);
    if (parts.length % 16 === 0) await sleep(2);
  }
  return Buffer.concat(parts);
}

// Each part that is sent lies in the same memory as the one before it.
test.each([
  ['with its length', {}, null],
  ['in chunks of its transfer encoding', { chunked: true }, null],
  ['in small pieces, under a limit', { chunked: true }, 8 * MIB],
])('several contents at once arrive as they are at a slow server: %s', async (_, more, limit) => {
  const server = createServer((request, response) => {
    slowly(request).then(
      (body) => response.end(md5(body)),
      () => response.destroy(),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const bandwidth = new Bandwidth();
  bandwidth.set({ down: null, up: limit });
  const sender = new ExchangeThread(bandwidth);
  const exchanger = sender.exchanger({ maxConnections: 8, connectTimeoutMs: 5000 });
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  try {
    const frame = { head: Buffer.from('head'), tail: Buffer.from('tail') };
    const send = async (offset: number): Promise<string> => {
      const body = contentOf(inFile(), frame, offset, data.length - offset);
      const answer = await exchanger.send({ method: 'POST', url, headers: {}, body, ...more }, 10_000);
      const text: Uint8Array[] = [];
      for await (const part of answer.body) text.push(part as Uint8Array);
      return Buffer.concat(text).toString();
    };
    const framed = (offset: number): string => md5(Buffer.concat([frame.head, data.subarray(offset), frame.tail]));
    const offsets = [0, 1, 1000, MIB];
    expect(await Promise.all(offsets.map(send))).toEqual(offsets.map(framed));
  } finally {
    await sender.close();
    server.closeAllConnections();
    server.close();
  }
});
