import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FiveSyncSandbox, startSandbox } from '../../../src/sandbox/index.js';
import { Client, json, refusal } from './client.js';

let sandbox: FiveSyncSandbox;
let client: Client;
let now = 0;
beforeEach(async () => {
  now = Date.parse('2025-02-10T14:22:00Z');
  sandbox = await startSandbox({ provider: '5sync', now: () => now });
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

interface Begun {
  upload_id: string;
  chunk_size: number;
  expires: string;
}
const begin = async (fields: Record<string, unknown>) => json<Begun>(await client.init(fields));

describe('multipart uploads', () => {
  it('take parts in any order, twice if need be, several at once', async () => {
    const content = randomBytes(10_000_001);
    const answer = await client.init({ filename: 'big', size: content.length, parts: 4, path: '/d' });
    expect(answer.status).toBe(200);
    const begun = await json<Begun>(answer);
    expect(begun).toEqual({
      upload_id: expect.stringMatching(/^up_/),
      chunk_size: 2_500_001,
      expires: '2025-02-10T15:22:00Z',
    });
    const part = (n: number) => content.subarray(n * begun.chunk_size, (n + 1) * begun.chunk_size);
    const put = (n: number) => client.part(begun.upload_id, n, part(n));
    expect(await json(await put(3))).toEqual({ part: 3, received: true });
    await client.part(begun.upload_id, 0, Buffer.alloc(begun.chunk_size));
    expect(await refusal(client.complete(begun.upload_id))).toBe('400 bad_request');
    await Promise.all([put(0), put(1), put(2)]);
    expect(sandbox.store.tree()).toEqual([]);
    const done = await client.complete(begun.upload_id);
    expect(done.status).toBe(201);
    expect(await json(done)).toMatchObject({ name: 'big', size: content.length, encrypted: true });
    expect((await sandbox.store.readFile('/d/big')).equals(content)).toBe(true);
    expect(sandbox.store.stat('/d/big')?.md5).toHaveLength(32);
  });

  it('refuse wrong sizes, indexes, missing parts and unknown uploads', async () => {
    const { upload_id: id } = await begin({ filename: 'f', size: 10, parts: 3 });
    for (const answer of [
      client.part(id, 0, '123'),
      client.part(id, 0, '12345'),
      client.part(id, 2, '1234'),
      client.part(id, 3, ''),
      client.part(id, '-1', '1234'),
      client.part(id, 'x', '1234'),
      client.complete(id),
      client.init({ filename: 'f', size: 10 }),
      client.init({ filename: '', size: 10, parts: 1 }),
      client.init({ filename: 'f', size: 0, parts: 1 }),
      client.init({ filename: 'f', size: '10', parts: 1 }),
      client.init({ filename: 'f', size: 10, parts: 0 }),
      client.init({ filename: 'f', size: 10, parts: 11 }),
      client.init({ filename: 'a/f', size: 10, parts: 1 }),
    ])
      expect(await refusal(answer)).toBe('400 bad_request');
    expect(await refusal(client.part('up_none', 0, 'x'))).toBe('404 not_found');
    expect(await refusal(client.complete('up_none'))).toBe('404 not_found');
  });

  it('expire', async () => {
    const { upload_id: id } = await begin({ filename: 'f', size: 4, parts: 2 });
    await client.part(id, 0, 'ab');
    now += 3_600_000;
    expect(await refusal(client.part(id, 1, 'cd'))).toBe('404 not_found');
    expect(await refusal(client.complete(id))).toBe('404 not_found');
  });

  it('follow the readings of body, destination, chunk size and repetition', async () => {
    const fields = { filename: 'f', size: '2', parts: '1' };
    const form = () => client.send('POST', '/files/multipart/init', { body: new URLSearchParams(fields) });
    const multipart = () => {
      const body = new FormData();
      for (const [name, value] of Object.entries(fields)) body.append(name, value);
      return client.send('POST', '/files/multipart/init', { body });
    };
    expect([(await form()).status, (await multipart()).status]).toEqual([200, 200]);
    sandbox.readings.initBody = 'json';
    expect([(await form()).status, (await multipart()).status]).toEqual([400, 400]);
    sandbox.readings.initBody = 'form';
    expect((await client.init({ filename: 'f', size: 2, parts: 1 })).status).toBe(400);
    sandbox.readings.initBody = 'both';

    const upload = async (where: Record<string, unknown>) => {
      const { upload_id: id } = await begin({ size: 2, parts: 1, ...where });
      await client.part(id, 0, 'ab');
      const file = await json(await client.complete(id));
      return [sandbox.store.byId(file.id)?.path, id];
    };
    sandbox.readings.multipartPath = 'root';
    expect((await upload({ filename: 'f', path: '/d' }))[0]).toBe('/f');
    sandbox.readings.multipartPath = 'filename';
    expect((await upload({ filename: 'f', path: '/d' }))[0]).toBe('/f');
    expect((await upload({ filename: 'd/e/f' }))[0]).toBe('/d/e/f');
    const [, id = ''] = await upload({ filename: '/d/e/f' });
    expect(await json(await client.send('GET', `/files?path=/d/e`))).toMatchObject({ total: 1 });
    expect(await refusal(client.complete(id))).toBe('404 not_found');
    sandbox.readings.completeAgain = 'repeats';
    expect((await client.complete(id)).status).toBe(201);

    sandbox.readings.chunkSize = 'fixed';
    sandbox.settings.chunkSize = 4;
    const few = await begin({ filename: 'f', size: 10, parts: 2 });
    expect(few.chunk_size).toBe(4);
    expect((await client.part(few.upload_id, 0, '0123')).status).toBe(200);
    expect((await client.part(few.upload_id, 1, '4567')).status).toBe(200);
    expect(await refusal(client.complete(few.upload_id))).toBe('400 bad_request');
    const right = await begin({ filename: 'f', size: 10, parts: 3 });
    await client.part(right.upload_id, 2, '89');
    await client.part(right.upload_id, 0, '0123');
    await client.part(right.upload_id, 1, '4567');
    expect((await client.complete(right.upload_id)).status).toBe(201);
  });

  it('keep everything over a restart', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
    try {
      const first = await startSandbox({ provider: '5sync', dir });
      client = new Client(first);
      await client.file('a', 'content', '/d');
      const { upload_id: id } = await begin({ filename: 'f', size: 4, parts: 2 });
      await client.part(id, 1, 'cd');
      await first.close();
      const second = await startSandbox({ provider: '5sync', dir });
      expect(second.credentials).toEqual(first.credentials);
      client = new Client(second);
      expect((await second.store.readFile('/d/a')).toString()).toBe('content');
      await client.part(id, 0, 'ab');
      expect((await client.complete(id)).status).toBe(201);
      expect((await second.store.readFile('/f')).toString()).toBe('abcd');
      expect((await client.changes('since=2020-01-01')).events).toHaveLength(2);
      await second.close();
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

describe('the store', () => {
  it('is another client, whose changes are in the feed', async () => {
    const { store } = sandbox;
    await store.putFile('/a/b/c.txt', 'x');
    await store.putFile('/a/d.txt', 'y');
    expect(store.tree().map(({ path }) => path)).toEqual(['/a', '/a/b', '/a/b/c.txt', '/a/d.txt']);
    expect(store.list('/a').map(({ path, kind }) => `${kind} ${path}`)).toEqual(['folder /a/b', 'file /a/d.txt']);
    const { id } = store.rename('/a/d.txt', 'e.txt');
    expect(store.stat('/a/e.txt')?.id).toBe(id);
    store.move('/a/b', '/', 'z');
    expect([...store.md5s().keys()]).toEqual(['/a/e.txt', '/z/c.txt']);
    store.copy('/z/c.txt', '/a');
    store.remove('/z');
    expect(store.stat('/z')).toBeUndefined();
    expect((await client.changes('since=2025-02-10')).events.map(({ action }) => action)).toEqual([
      'created',
      'created',
      'modified',
      'modified',
      'created',
      'deleted',
    ]);
    expect(() => store.makeFolder('/new')).toThrow(/no folders/);
    await store.putFileIn('/a', 'x/y', '1');
    await store.putFileIn('/a', 'same', '1');
    await store.putFileIn('/a', 'same', '2', true);
    expect((await client.list('?path=/a&order_by=name')).items.map(({ name }) => name)).toEqual([
      'c.txt',
      'e.txt',
      'same',
      'same',
      'x/y',
    ]);
  });
});
