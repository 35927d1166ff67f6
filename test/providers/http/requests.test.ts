import { createServer } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../../src/base/clock.js';
import { type Log, silentLog } from '../../../src/base/log.js';
import type { ProviderError } from '../../../src/providers/errors.js';
import { credentials, providerFor } from '../fourshared/mini-account.js';
import { fail, hangUp, json, miniServer } from '../mini-server.js';

const user = {
  id: 'u1',
  email: 'a@b.example',
  rootFolderId: 'root',
  freeSpace: 5,
  totalSpace: 10,
  uploadSizeLimit: 99,
  status: null,
};

describe('account', () => {
  test('one signed request', async () => {
    const server = await miniServer((_request, response) => json(response, user));
    const provider = providerFor(server);
    const account = await provider.account();
    expect(account).toMatchObject({
      userId: 'u1',
      label: 'a@b.example',
      quota: { total: 10, free: 5 },
      maxFileSize: 99,
    });
    expect(account.root).toMatchObject({ id: 'root', parentId: null });
    expect(server.lines()).toEqual(['GET /v1_2/user']);
    expect(server.seen[0]?.headers.authorization).toContain('oauth_signature=');
  });

  test('optional fields of the documents may be missing', async () => {
    const server = await miniServer((_request, response) => json(response, { id: 7, rootFolderId: 'root' }));
    const account = await providerFor(server).account();
    expect(account).toMatchObject({ userId: '7', label: '7', quota: null, maxFileSize: null });
  });
});

describe('an answer of a server with habits of its own', () => {
  const json = JSON.stringify(user);
  test.each<[string, Record<string, string>, Buffer]>([
    ['compressed, although not asked for (gzip)', { 'content-encoding': 'gzip' }, gzipSync(json)],
    ['compressed, although not asked for (deflate)', { 'content-encoding': 'deflate' }, deflateSync(json)],
    ['compressed, although not asked for (br)', { 'content-encoding': 'br' }, brotliCompressSync(json)],
    ['with a byte order mark', {}, Buffer.from(`\uFEFF${json}`)],
  ])('is read: %s', async (_what, headers, body) => {
    const server = await miniServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length, ...headers });
      response.end(body);
    });
    await expect(providerFor(server).account()).resolves.toMatchObject({ userId: 'u1', label: 'a@b.example' });
    expect(server.seen[0]?.headers['accept-encoding']).toBe('identity');
  });

  test('is refused in words where it is compressed in a way that nobody knows', async () => {
    const server = await miniServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'zstd' });
      response.end('(no text)');
    });
    await expect(providerFor(server).account()).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('a coding that was not asked for (zstd)'),
    });
  });

  test('is refused with the reason where what it unpacks to has no end', async () => {
    const bomb = gzipSync(Buffer.alloc(33 * 1024 * 1024));
    const server = await miniServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(bomb);
    });
    await expect(providerFor(server).account()).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('larger than'),
      cause: { code: 'ERR_BUFFER_TOO_LARGE' },
    });
  });
});

describe('a slow answer', () => {
  test('is read to its end, although it takes longer than stallMs', async () => {
    const server = await miniServer((_request, response) => {
      const body = JSON.stringify(user);
      response.writeHead(200, { 'content-length': String(body.length) });
      let at = 0;
      const timer = setInterval(() => {
        response.write(body.slice(at, ++at));
        if (at === body.length) clearInterval(timer);
      }, 10);
    });
    // Some 110 bytes, 10 ms each.
    await expect(providerFor(server, { deadlineMs: 2000, stallMs: 800 }).account()).resolves.toMatchObject({
      userId: 'u1',
    });
    expect(server.seen).toHaveLength(1);
  });
});

describe('retries of a safe request', () => {
  test.each([
    ['500', (response: import('node:http').ServerResponse) => fail(response, '500.0600')],
    ['503 with HTML', (response: import('node:http').ServerResponse) => void response.writeHead(503).end('<html>')],
    ['a reset', hangUp],
    ['HTML with 200', (response: import('node:http').ServerResponse) => void response.end('<html>')],
    ['broken JSON', (response: import('node:http').ServerResponse) => void response.end('{"id":')],
    ['an empty answer', (response: import('node:http').ServerResponse) => void response.end()],
    ['JSON of another form', (response: import('node:http').ServerResponse) => json(response, [])],
    [
      'a body cut short',
      (response: import('node:http').ServerResponse) => {
        response.writeHead(200, { 'content-length': '500' });
        response.write('{"id"', () => setImmediate(() => hangUp(response)));
      },
    ],
    ['an invalid nonce', (response: import('node:http').ServerResponse) => fail(response, '401.0318')],
  ])('after %s', async (_name, spoil) => {
    const server = await miniServer((_request, response, index) =>
      index === 0 ? spoil(response) : json(response, user),
    );
    const provider = providerFor(server);
    await provider.account();
    expect(provider.metrics()).toMatchObject({ total: 2, byRoute: { 'GET /user': 2 } });
    const [first, second] = server.seen.map((request) => request.headers.authorization);
    expect(/oauth_nonce="\w+"/.exec(first ?? '')?.[0]).not.toBe(/oauth_nonce="\w+"/.exec(second ?? '')?.[0]);
  });

  test('a refused timestamp is corrected from the Date header', async () => {
    const serverNow = Date.now() - 86_400_000;
    const server = await miniServer((request, response) => {
      const stamp = Number(/oauth_timestamp="(\d+)"/.exec(request.headers.authorization ?? '')?.[1]) * 1000;
      if (Math.abs(stamp - serverNow) > 60_000) fail(response, '401.0319', { date: new Date(serverNow).toUTCString() });
      else json(response, user);
    });
    await providerFor(server).account();
    expect(server.seen).toHaveLength(2);
  });

  test('a refused connection is retried until the deadline', async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as import('node:net').AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const provider = providerFor(
      { origin: `http://127.0.0.1:${port}`, seen: [], lines: () => [] },
      { deadlineMs: 2000 },
    );
    const begun = Date.now();
    await expect(provider.account()).rejects.toMatchObject({ code: 'network' });
    // Less than two deadlines.
    expect(Date.now() - begun).toBeLessThan(3900);
    expect(provider.metrics().total).toBeGreaterThan(1);
  });

  test('a server that never answers is a timeout within the deadline', async () => {
    const server = await miniServer(() => {});
    const begun = Date.now();
    await expect(providerFor(server, { deadlineMs: 2000 }).account()).rejects.toMatchObject({ code: 'timeout' });
    // Less than two deadlines.
    expect(Date.now() - begun).toBeLessThan(3900);
    expect(server.seen.length).toBeGreaterThan(1);
  });

  test('a server that only fails is a server error, with the facts', async () => {
    const server = await miniServer((_request, response) => fail(response, '500.0600'));
    await expect(providerFor(server, { deadlineMs: 4000 }).account()).rejects.toMatchObject({
      code: 'server',
      data: { status: 500, providerCode: '500.0600', route: 'GET /user' },
    });
  });

  test('an abort ends a request under way and a waiting one', async () => {
    const server = await miniServer((_request, response, index) => (index === 0 ? undefined : fail(response, '500')));
    const cancel = new AbortController();
    const provider = providerFor(server, { maxConnections: 1 });
    const both = [provider.account({ signal: cancel.signal }), provider.account({ signal: cancel.signal })];
    setTimeout(() => cancel.abort(), 50);
    for (const one of both) await expect(one).rejects.toMatchObject({ code: 'aborted' });
  });

  test('close aborts what is under way', async () => {
    const server = await miniServer(() => {});
    const provider = providerFor(server);
    const request = provider.account();
    const ended = expect(request).rejects.toMatchObject({ code: 'aborted' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await provider.close();
    await ended;
  });
});

describe('429', () => {
  test('waits by the clock, as long as the server says', async () => {
    const waits: number[] = [];
    let now = Date.parse('2024-01-01T00:00:00Z');
    const clock: Clock = {
      now: () => now,
      async sleep(ms) {
        waits.push(ms);
        now += ms;
      },
    };
    const server = await miniServer((_request, response, index) =>
      index === 0 ? fail(response, '429.0107', { 'retry-after': '20' }) : json(response, user),
    );
    await providerFor(server, { clock, deadlineMs: 60_000 }).account();
    expect(waits).toEqual([20_000]);
  });

  test('beyond the deadline fails at once as rate-limited, with the wait', async () => {
    const server = await miniServer((_request, response) => fail(response, '429', { 'retry-after': '3600' }));
    await expect(providerFor(server).account()).rejects.toMatchObject({
      code: 'rate-limited',
      data: { retryAfterMs: 3_600_000 },
    });
    expect(server.seen).toHaveLength(1);
  });

  test('that says when stops all requests until then: one request, one line in the log', async () => {
    const server = await miniServer((_request, response) => fail(response, '429.0107', { 'retry-after': '3600' }));
    const lines: string[] = [];
    const log: Log = { ...silentLog, warn: (_data, line) => void lines.push(line) };
    const provider = providerFor(server, { log });
    const before = Date.now();
    for (let n = 0; n < 20; n++) {
      const error = await provider.account().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'rate-limited', data: { resetAt: expect.any(Number) } });
      expect((error as ProviderError).data.resetAt).toBeGreaterThanOrEqual(before + 3_600_000);
    }
    expect(server.seen).toHaveLength(1);
    expect(lines).toEqual([
      expect.stringMatching(/^the request limit of the account is used up until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
    ]);
    expect(provider.metrics().rateLimit).toMatchObject({ remaining: 0, resetAt: expect.any(Number) });
  });

  test('is retried for a folder to create, without a lookup', async () => {
    const server = await miniServer((_request, response, index) =>
      index === 0 ? fail(response, '429', { 'retry-after': '0' }) : json(response, { id: 'd1', name: 'new' }),
    );
    await providerFor(server).createFolder('root', 'new');
    expect(server.lines()).toEqual(['POST /v1_2/folders', 'POST /v1_2/folders']);
  });
});

test('no secret is in an error, even when the server repeats it', async () => {
  const message = `token ${credentials.token} of ${credentials.consumerKey} with ${credentials.tokenSecret}`;
  const server = await miniServer((_request, response) => fail(response, '401.0301', {}, { message }));
  const error: unknown = await providerFor(server)
    .account()
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'auth' });
  const text = `${(error as Error).message} ${JSON.stringify((error as { data: unknown }).data)} ${(error as Error).stack}`;
  for (const secret of Object.values(credentials)) expect(text).not.toContain(secret);
});
