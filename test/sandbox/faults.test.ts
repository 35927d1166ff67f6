import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FaultAction, type Sandbox, startSandbox } from '../../src/sandbox/index.js';
import { Client, code, type FileJson, octets } from './client.js';

let sandbox: Sandbox;
let client: Client;
let file: FileJson;
const text = 'x'.repeat(1000);
beforeEach(async () => {
  sandbox = await startSandbox();
  client = new Client(sandbox);
  file = await client.file('f', text);
});
afterEach(() => sandbox.close());

const once = (action: FaultAction, route = 'download') => sandbox.faults.add({ route, times: 1, action });
const get = (headers: Record<string, string> = {}) => client.api('GET', `/files/${file.id}/download`, { headers });
const body = async (answer: Promise<Response>) => (await answer).text();

describe('the fault plan', () => {
  it('fires by nth, after, times and probability', async () => {
    const action: FaultAction = { kind: 'status', code: '500.0600' };
    const statuses = async (n: number) => {
      const seen: number[] = [];
      for (let i = 0; i < n; i++) seen.push((await client.api('GET', '/user')).status);
      return seen;
    };
    sandbox.faults.add({ route: '^GET /user$', nth: 2, action });
    expect(await statuses(3)).toEqual([200, 500, 200]);
    sandbox.faults.clear();
    sandbox.faults.add({ method: 'GET', host: 'api', after: 1, times: 1, action });
    expect(await statuses(3)).toEqual([200, 500, 200]);
    sandbox.faults.clear();
    const id = sandbox.faults.add({ probability: 0.5, action });
    const some = await statuses(20);
    expect(some.filter((status) => status === 500)).toHaveLength(sandbox.faults.fired(id));
    expect(new Set(some).size).toBe(2);
  });

  it('answers errors, with Retry-After, before or after the work', async () => {
    once({ kind: 'status', code: '429.0107', retryAfter: 7 }, '^POST /files$');
    const refused = await client.post('new', 'x');
    expect(refused.headers.get('retry-after')).toBe('7');
    expect(await code(refused)).toBe('429.0107');
    expect(sandbox.store.stat('/new')).toBeUndefined();
    once({ kind: 'status', status: 503, performed: true }, '^POST /files$');
    expect((await client.post('new', 'x')).status).toBe(503);
    expect(sandbox.store.stat('/new')).toBeDefined();
  });

  it('resets before, in the middle and after', async () => {
    once({ kind: 'reset', when: 'before' }, 'POST /files');
    await expect(client.post('a', 'x')).rejects.toThrow();
    once({ kind: 'reset', when: 'middle' }, 'POST /files');
    await expect(client.post('a', text)).rejects.toThrow();
    expect(sandbox.store.stat('/a')).toBeUndefined();
    once({ kind: 'reset', when: 'after' }, 'POST /files');
    await expect(client.post('a', text)).rejects.toThrow();
    expect(sandbox.store.stat('/a')?.size).toBe(1000);
    once({ kind: 'reset', when: 'middle' });
    await expect(body(get())).rejects.toThrow();
    expect(sandbox.log.entries({ route: 'GET /files/{id}/download' }).at(-1)).toMatchObject({
      bytesOut: 500,
      fault: 'reset',
    });
  });

  it('spoils bodies', async () => {
    once({ kind: 'truncate', at: 10 });
    await expect(body(get())).rejects.toThrow();
    once({ kind: 'truncate', at: 10, silent: true });
    expect(await body(get())).toHaveLength(10);
    once({ kind: 'corrupt', at: 3 });
    const spoilt = Buffer.from(await (await get()).arrayBuffer());
    expect([spoilt.length, spoilt[2], spoilt[3]]).toEqual([1000, 120, 120 ^ 0xff]);
    once({ kind: 'corrupt', where: 'request' }, 'POST /files');
    await client.post('c', text);
    expect(sandbox.store.stat('/c')?.md5).not.toBe(file.md5);
    once({ kind: 'wrong-content-range', shift: 5 });
    const shifted = await get({ range: 'bytes=10-19' });
    expect([shifted.headers.get('content-range'), await shifted.text()]).toEqual(['bytes 15-24/1000', 'x'.repeat(10)]);
    once({ kind: 'ignore-range' });
    expect(await body(get({ range: 'bytes=10-19' }))).toHaveLength(1000);
  });

  it('answers nonsense', async () => {
    once({ kind: 'html' }, 'GET /user');
    const html = await client.api('GET', '/user');
    expect([html.status, (await html.text()).startsWith('<!DOCTYPE')]).toEqual([200, true]);
    once({ kind: 'broken-json' }, 'GET /user');
    await expect((await client.api('GET', '/user')).json()).rejects.toThrow();
    once({ kind: 'empty' }, 'GET /user');
    expect(await body(client.api('GET', '/user'))).toBe('');
    once({ kind: 'redirect', to: 'http://other.example/' }, 'GET /user');
    expect((await client.api('GET', '/user', { redirect: 'manual' })).headers.get('location')).toBe(
      'http://other.example/',
    );
  });

  it('stalls and trickles', async () => {
    once({ kind: 'stall', ms: 100 });
    let begun = performance.now();
    await body(get());
    expect(performance.now() - begun).toBeGreaterThan(95);
    once({ kind: 'slow', bytesPerSecond: 10_000 });
    begun = performance.now();
    expect(await body(get())).toBe(text);
    expect(performance.now() - begun).toBeGreaterThan(80);
  });
});

describe('speed', () => {
  it('holds latency and bandwidth in both directions', async () => {
    Object.assign(sandbox.settings, { latencyMs: 50, bandwidth: 2_000_000 });
    const bytes = Buffer.alloc(400_000, 'y');
    let begun = performance.now();
    const big = await client.file('big', bytes);
    expect(performance.now() - begun).toBeGreaterThan(240);
    begun = performance.now();
    await (await client.api('GET', `/files/${big.id}/download`)).arrayBuffer();
    expect(performance.now() - begun).toBeGreaterThan(240);
  });
});

describe('the log', () => {
  it('templates routes, counts bytes, and keeps no secrets', async () => {
    sandbox.log.clear();
    await client.api('GET', `/folders/${client.root}/files`, { query: { limit: '5' }, place: 'query' });
    await client.upload('POST', '/files', {
      query: { folderId: client.root, fileName: 'g' },
      body: Buffer.from(text),
      headers: octets,
    });
    const [listing, upload] = sandbox.log.entries();
    expect(listing).toMatchObject({ route: 'GET /folder/{id}/files', query: { limit: '5' }, host: 'api', status: 200 });
    expect(upload).toMatchObject({ route: 'POST /files', host: 'upload', bytesIn: 1000, status: 200 });
    expect(JSON.stringify(sandbox.log.entries())).not.toMatch(/oauth_signature|OAuth/);
    expect(sandbox.log.totals().byRoute).toEqual({ 'GET /folder/{id}/files': 1, 'POST /files': 1 });
  });
});
