import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { type BodyBytes, isStored, type StoredPiece } from '../../../src/providers/content.js';
import type { FourSharedOptions } from '../../../src/providers/fourshared/provider.js';
import type { Provider } from '../../../src/providers/provider.js';
import { ExchangeThread } from '../../../src/threads/exchange-thread.js';
import { stoppedClock } from '../../support/test-clock.js';
import { fail, hangUp, json, type MiniServer, miniServer, type Seen } from '../mini-server.js';
import { collect, data, file, md5, providerFor as onTheLoop } from './mini-account.js';

/** Reads from a server that identifies the revision of a part. See revision-doubt.test.ts for other servers. */
const etag = '"v1"';
const wanted = { offset: 1000, length: 100_000 };
const expected = data.subarray(1000, 101_000);

function spanOf(request: Seen): [number, number] {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  return [Number(match?.[1]), Number(match?.[2]) + 1];
}

function serve(request: Seen, response: ServerResponse, headers: Record<string, string> = {}): void {
  const [start, end] = spanOf(request);
  const body = data.subarray(start, end);
  const range = `bytes ${start}-${end - 1}/${data.length}`;
  const all = { 'content-range': range, 'content-length': String(body.length), etag, ...headers };
  response.writeHead(206, all).end(body);
}

const stat = (response: ServerResponse, more: object = {}): void =>
  json(response, {
    id: 'f1',
    name: 'a.bin',
    size: data.length,
    md5: md5(data),
    modified: 1000,
    status: 'normal',
    ...more,
  });
const isStat = (request: Seen): boolean => !request.path.endsWith('/download');

const thread = new ExchangeThread();
afterAll(() => thread.close());
const pieces = { pieceBytes: 20_000, partBytes: 10 };
const directory = mkdtempSync(join(tmpdir(), 'syncmount-read-'));
let files = 0;
/** Bytes that the thread has written. */
let stored = 0;
afterAll(() => {
  rmSync(directory, { recursive: true });
  expect(stored).toBeGreaterThan(data.length);
});

/** Reads everything as a large body, in the thread. */
function inTheThread(server: MiniServer, more: Partial<FourSharedOptions> = {}): Provider {
  const provider = onTheLoop(server, { ...more, bulk: (options) => thread.exchanger(options) });
  return { ...provider, read: (what, range, options) => provider.read(what, range, { ...options, pieces }) };
}

/** The same, where the thread writes what it may into a file: from there it is read here. */
function intoAFile(server: MiniServer, more: Partial<FourSharedOptions> = {}): Provider {
  const provider = onTheLoop(server, { ...more, bulk: (options) => thread.exchanger(options) });
  return {
    ...provider,
    read: async (what, range, options) => {
      const fd = openSync(join(directory, `${++files}`), 'w+');
      let writers = 0;
      const target = { fd, hold: () => void writers++, release: () => void writers-- };
      const answer = await provider.read(what, range, { ...options, pieces: { ...pieces, target } });
      async function* body(): AsyncGenerator<BodyBytes> {
        try {
          for await (const chunk of answer.pieces ?? []) yield isStored(chunk) ? readBack(fd, chunk) : chunk;
        } finally {
          await expect.poll(() => writers).toBe(0);
          closeSync(fd);
        }
      }
      return { ...answer, body: body() };
    },
  };
}

function readBack(fd: number, { offset, byteLength, crcs }: StoredPiece): Buffer {
  const bytes = Buffer.alloc(byteLength);
  readSync(fd, bytes, 0, byteLength, offset);
  stored += byteLength;
  for (const [at, crc] of crcs.entries())
    expect(crc32(bytes.subarray(at * pieces.partBytes, (at + 1) * pieces.partBytes))).toBe(crc);
  return bytes;
}

describe.each([
  ['on the event loop', onTheLoop],
  ['in a thread', inTheThread],
  ['in a thread into a file', intoAFile],
])('a download %s', (_where, providerFor) => {
  describe('ranged download', () => {
    test('206 with Content-Range and ETag: one request', async () => {
      const server = await miniServer((request, response) => serve(request, response));
      const provider = providerFor(server);
      const body = await provider.read(file, wanted);
      expect(body).toMatchObject({ offset: 1000, length: 100_000 });
      expect((await collect(body.body)).equals(expected)).toBe(true);
      expect(provider.metrics()).toMatchObject({ total: 1, byRoute: { 'GET /files/{id}/download': 1 } });
    });

    test('200 with the length of the range, as in the documents, is checked against the file', async () => {
      const server = await miniServer((request, response) => {
        if (isStat(request)) return stat(response);
        const [start, end] = spanOf(request);
        response.writeHead(200, { 'content-length': String(end - start) }).end(data.subarray(start, end));
      });
      const body = await providerFor(server, { maxConnections: 1 }).read(file, wanted);
      expect(body.offset).toBe(1000);
      expect((await collect(body.body)).equals(expected)).toBe(true);
    });

    test('200 with the length of the range, if the file now has exactly that size, is another revision', async () => {
      const server = await miniServer((request, response) => {
        if (isStat(request)) return stat(response, { size: wanted.length, md5: 'a'.repeat(32) });
        response.writeHead(200, { 'content-length': String(wanted.length) }).end(Buffer.alloc(wanted.length));
      });
      await expect(providerFor(server).read(file, wanted)).rejects.toMatchObject({ code: 'revision-changed' });
    });

    test('a server that ignores the range sends the whole file from 0', async () => {
      const server = await miniServer((_request, response) => {
        response.writeHead(200, { 'content-length': String(data.length) }).end(data);
      });
      const body = await providerFor(server).read(file, wanted);
      expect(body).toMatchObject({ offset: 0, length: data.length });
      expect((await collect(body.body)).equals(data)).toBe(true);
    });

    test('a wrong range is not used but requested again', async () => {
      const server = await miniServer((request, response, index) => {
        if (index > 0) return serve(request, response);
        response.writeHead(206, { 'content-range': `bytes 0-99999/${data.length}`, 'content-length': '100000' });
        response.end(data.subarray(0, 100_000));
      });
      const body = await providerFor(server).read(file, wanted);
      expect((await collect(body.body)).equals(expected)).toBe(true);
      expect(server.seen).toHaveLength(2);
    });

    test.each([
      [
        'another total',
        (_: Seen, response: ServerResponse) =>
          response.writeHead(206, { 'content-range': 'bytes 1000-100999/200001' }).end(expected),
      ],
      ['416', (_: Seen, response: ServerResponse) => response.writeHead(416, { 'content-range': 'bytes */5' }).end()],
      [
        'a whole file of another size',
        (_: Seen, response: ServerResponse) => response.writeHead(200, { 'content-length': '5' }).end('12345'),
      ],
    ])('%s is revision-changed', async (_name, answer) => {
      const server = await miniServer((request, response) => {
        if (isStat(request)) stat(response, { size: 5, md5: 'b'.repeat(32) });
        else answer(request, response);
      });
      await expect(providerFor(server).read(file, wanted)).rejects.toMatchObject({ code: 'revision-changed' });
    });

    test('another ETag makes us look the file up: equal content stays readable, other content does not', async () => {
      let now = md5(data);
      const server = await miniServer((request, response, index) => {
        if (isStat(request)) stat(response, { md5: now });
        else serve(request, response, { etag: `"${index}"` });
      });
      const provider = providerFor(server);
      await collect((await provider.read(file, wanted)).body);
      await collect((await provider.read(file, wanted)).body);
      now = 'c'.repeat(32);
      await expect(provider.read(file, wanted)).rejects.toMatchObject({ code: 'revision-changed' });
    });

    test.each([
      ['the same version', {}, undefined],
      ['another of the same size', { md5: 'a'.repeat(32), modified: 2000 }, 'revision-changed'],
    ])('a part after bytes of an earlier mount is of %s: one lookup', async (_, now, code) => {
      let looks = 0;
      let served = 0;
      const server = await miniServer((request, response) => {
        if (!isStat(request)) {
          served++;
          return serve(request, response, { etag: '"x"' });
        }
        looks++;
        // A server takes its time. Meanwhile the other answers have come.
        const late = setInterval(() => {
          if (served < 3) return;
          clearInterval(late);
          setTimeout(() => stat(response, now), 300);
        }, 10);
      });
      // The server may be asked again after a second, which this slow server takes a third of.
      const provider = providerFor(server, { clock: stoppedClock });
      const read = async (): Promise<boolean> => {
        const { body } = await provider.read(file, wanted, { hasEarlierBytes: true });
        return (await collect(body)).equals(expected);
      };
      const answers = await Promise.all([1, 2, 3].map(() => read().catch((error) => error.code)));
      expect(answers).toEqual(Array(3).fill(code ?? true));
      expect(looks).toBe(1);
      // From then on the server's validator identifies the version.
      if (code === undefined) expect([await read(), looks]).toEqual([true, 1]);
    });

    test('a page instead of the file is a protocol error, after a few tries', async () => {
      const server = await miniServer((request, response) => {
        if (isStat(request)) stat(response);
        else response.writeHead(200, { 'content-type': 'text/html' }).end('<html>maintenance</html>');
      });
      await expect(providerFor(server).read(file, wanted)).rejects.toMatchObject({ code: 'protocol' });
    });

    test('a body cut short is resumed where it broke', async () => {
      const server = await miniServer((request, response, index) => {
        if (index > 0) return serve(request, response);
        const range = `bytes 1000-100999/${data.length}`;
        response.writeHead(206, { 'content-range': range, 'content-length': '100000', etag });
        response.write(expected.subarray(0, 30_000), () => setImmediate(() => hangUp(response)));
      });
      const body = await providerFor(server).read(file, wanted);
      expect((await collect(body.body)).equals(expected)).toBe(true);
      expect(server.seen).toHaveLength(2);
      expect(spanOf(server.seen[1] as Seen)[0]).toBeGreaterThan(1000);
    });

    test('a body that always ends at the same byte is an error', async () => {
      const server = await miniServer((request, response) => {
        const [start, end] = spanOf(request);
        response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${data.length}`, etag });
        response.end(start < 31_000 ? data.subarray(start, 31_000) : '');
      });
      const { body } = await providerFor(server).read(file, wanted);
      await expect(collect(body)).rejects.toMatchObject({ code: 'integrity' });
    });

    test('a body that stalls is a timeout', async () => {
      const server = await miniServer((request, response) => {
        const [start, end] = spanOf(request);
        response.writeHead(206, {
          'content-range': `bytes ${start}-${end - 1}/${data.length}`,
          'content-length': String(end - start),
          etag,
        });
        response.flushHeaders();
      });
      const { body } = await providerFor(server, { deadlineMs: 1000, stallMs: 100 }).read(file, wanted);
      await expect(collect(body)).rejects.toMatchObject({ code: 'timeout' });
    });

    test('a slow consumer is not a stall', async () => {
      const server = await miniServer((request, response) => serve(request, response));
      const { body } = await providerFor(server, { stallMs: 50 }).read(file, wanted);
      let bytes = 0;
      for await (const chunk of body) {
        if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 150));
        bytes += chunk.byteLength;
      }
      expect(bytes).toBe(100_000);
      expect(server.seen).toHaveLength(1);
    });

    test('a consumer that stops early frees its connection', async () => {
      const server = await miniServer((request, response) => serve(request, response));
      const provider = providerFor(server, { maxConnections: 1 });
      for (let i = 0; i < 3; i++) for await (const _chunk of (await provider.read(file, wanted)).body) break;
      expect(server.seen).toHaveLength(3);
    });

    test('an abort ends the body', async () => {
      const server = await miniServer((request, response) => {
        const [start, end] = spanOf(request);
        response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${data.length}`, etag });
        response.write(data.subarray(start, start + 10));
      });
      const cancel = new AbortController();
      const { body } = await providerFor(server).read(file, wanted, { signal: cancel.signal });
      const reading = (async () => {
        for await (const _chunk of body) cancel.abort();
      })();
      await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    });

    test('a file that is gone is not-found', async () => {
      const server = await miniServer((_request, response) => fail(response, '403.0461'));
      await expect(providerFor(server).read(file, wanted)).rejects.toMatchObject({
        code: 'not-found',
        data: { status: 403, providerCode: '403.0461' },
      });
    });
  });

  describe('redirects', () => {
    test('the Authorization header does not travel to another host', async () => {
      const elsewhere = await miniServer((request, response) => serve(request, response));
      const server = await miniServer(
        (_request, response) => void response.writeHead(302, { location: `${elsewhere.origin}/blob?sig=1` }).end(),
      );
      const body = await providerFor(server).read(file, wanted);
      expect((await collect(body.body)).equals(expected)).toBe(true);
      expect(server.seen[0]?.headers.authorization).toMatch(/^OAuth /);
      expect(elsewhere.seen[0]?.headers.authorization).toBeUndefined();
      expect(elsewhere.seen[0]?.headers.range).toBe('bytes=1000-100999');
    });

    test('a redirect on the same host is signed anew', async () => {
      const server = await miniServer((request, response, index) => {
        if (index === 0) response.writeHead(307, { location: '/v1_2/other?k=v' }).end();
        else serve(request, response);
      });
      await collect((await providerFor(server).read(file, wanted)).body);
      const [first, second] = server.seen.map((request) => request.headers.authorization);
      expect(second).toMatch(/^OAuth /);
      expect(second).not.toBe(first);
    });

    test('endless redirects, and those to plain http elsewhere, are refused', async () => {
      const server = await miniServer((request, response) => {
        const location = request.path.includes('f2') ? 'http://files.example/x' : request.path;
        response.writeHead(302, { location }).end();
      });
      const provider = providerFor(server);
      await expect(provider.read(file, wanted)).rejects.toMatchObject({ code: 'protocol' });
      await expect(provider.read({ ...file, id: 'f2' }, wanted)).rejects.toMatchObject({ code: 'protocol' });
    });

    test('a link that the other host refuses is requested again', async () => {
      const elsewhere = await miniServer((request, response, index) => {
        if (index === 0) response.writeHead(403).end('expired');
        else serve(request, response);
      });
      const server = await miniServer(
        (_request, response) => void response.writeHead(302, { location: `${elsewhere.origin}/blob` }).end(),
      );
      await collect((await providerFor(server).read(file, wanted)).body);
      expect(server.seen).toHaveLength(2);
    });
  });
});
