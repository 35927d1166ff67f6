/** Large answers over connections of our own, from servers that say every byte themselves. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Downloads } from '../../../src/providers/http/transport/downloads.js';
import { Bandwidth } from '../../../src/providers/http/transport/token-bucket.js';
import { TransportFailure } from '../../../src/providers/http/transport/wire.js';

const options = { maxConnections: 2, connectTimeoutMs: 5000 };
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

interface Raw {
  readonly server: Server;
  readonly url: URL;
  /** Heads of the requests, each with the number of its connection. */
  readonly asked: string[];
  readonly sockets: Socket[];
}

/** Answers the n-th request with what `answer` writes to its socket. */
async function raw(answer: (socket: Socket, index: number) => void | Promise<void>): Promise<Raw> {
  const asked: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const number = sockets.push(socket);
    let head = '';
    socket.on('error', () => {});
    socket.on('data', (data) => {
      head += data.toString('latin1');
      if (!head.endsWith('\r\n\r\n')) return;
      asked.push(`${number} ${head}`);
      head = '';
      void answer(socket, asked.length - 1);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server, url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/f?a=b`), asked, sockets };
}

function downloads(maxConnections = options.maxConnections, bandwidth?: Bandwidth): Downloads {
  const made = new Downloads({ ...options, maxConnections }, bandwidth);
  ends.push(() => made.close());
  return made;
}

async function read(from: Downloads, url: URL, stallMs = 5000, signal?: AbortSignal): Promise<string> {
  const { status, each, watch } = await from.get(
    { method: 'GET', url, headers: { range: 'bytes=0-' } },
    stallMs,
    signal,
  );
  let text = `${status} `;
  try {
    await each((bytes) => {
      text += Buffer.from(bytes).toString();
      return undefined;
    });
    return text;
  } catch (error) {
    throw watch.failure(error);
  } finally {
    watch.end();
  }
}

const failure = (run: Promise<unknown>): Promise<TransportFailure> =>
  run.then(
    () => expect.unreachable(),
    (error: unknown) => {
      expect(error).toBeInstanceOf(TransportFailure);
      return error as TransportFailure;
    },
  );

const wholeAnswers: readonly [string, readonly string[], string][] = [
  ['a length', ['HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\nhello'], '206 hello'],
  ['a length, byte by byte', [...'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab'], '200 ab'],
  ['the same length twice', ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab'], '200 ab'],
  ['no reason', ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab'], '200 ab'],
  ['nothing', ['HTTP/1.1 204 No Content\r\n\r\n'], '204 '],
  ['a length of nothing', ['HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n'], '416 '],
  [
    'chunks',
    [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r',
      '\nA \r\n0123456789\r\n0\r\nsum: 1\r\n\r\n',
    ],
    '200 abc0123456789',
  ],
  [
    'words before the answer',
    ['HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na'],
    '200 a',
  ],
];

test.each(wholeAnswers)(
  'an answer with %s is whole, and its connection takes the next request',
  async (_what, parts, text) => {
    const { url, asked } = await raw(async (socket) => {
      for (const part of parts) {
        socket.write(part);
        await new Promise(setImmediate);
      }
    });
    const from = downloads();
    expect(await read(from, url)).toBe(text);
    expect(await read(from, url)).toBe(text);
    expect(asked).toEqual(
      Array(2).fill(`1 GET /f?a=b HTTP/1.1\r\nhost: ${url.host}\r\nconnection: keep-alive\r\nrange: bytes=0-\r\n\r\n`),
    );
  },
);

test.each([
  ['that says so', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na'],
  ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na'],
  ['that keeps connections for a second', 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 1\r\n\r\na'],
])('a connection %s is used once', async (_what, answer) => {
  const { url, asked } = await raw((socket) => void socket.write(answer));
  const from = downloads();
  expect([await read(from, url), await read(from, url)]).toEqual(['200 a', '200 a']);
  expect(asked.map((head) => head[0])).toEqual(['1', '2']);
});

test('an answer without a length ends with its connection', async () => {
  const { url } = await raw((socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'));
  expect(await read(downloads(), url)).toBe('200 to the end');
});

const head = 'HTTP/1.1 200 OK\r\n';
const brokenAnswers: readonly [string, string][] = [
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n'],
  ['a length that is none', `${head}Content-Length: -5\r\n\r\nhello`],
  ['a length of letters', `${head}Content-Length: 5x\r\n\r\nhello`],
  ['two lengths', `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
  ['a chunk of a negative size', `${head}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n`],
  ['a chunk of no size', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n`],
  ['a chunk without its end', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`],
  ['a line without end', `${head}Transfer-Encoding: chunked\r\n\r\n${'1'.repeat(70_000)}`],
  ['a head without end', `${head}${'a: b\r\n'.repeat(20_000)}`],
  ['another protocol', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
];

test.each(brokenAnswers)('%s ends the connection', async (_what, answer) => {
  const { url, sockets } = await raw((socket) => void socket.write(answer));
  expect((await failure(read(downloads(), url))).kind).toBe('broken');
  await expect.poll(() => sockets[0]?.destroyed).toBe(true);
});

test.each([
  ['before the answer', ''],
  ['in the head', 'HTTP/1.1 200 OK\r\nContent-'],
  ['in the body', `${head}Content-Length: 10\r\n\r\nhello`],
  ['in the chunks', `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`],
])('a connection that the server closes %s is broken', async (_where, answer) => {
  const { url } = await raw((socket) => void socket.end(answer));
  expect(await failure(read(downloads(), url))).toMatchObject({
    kind: 'broken',
    message: 'connection lost (ECONNRESET)',
  });
});

test('a server that falls silent in the body has stalled', async () => {
  const { url } = await raw((socket) => void socket.write(`${head}Content-Length: 10\r\n\r\nhello`));
  expect((await failure(read(downloads(), url, 100))).kind).toBe('stalled');
});

test('no server is no connection', async () => {
  const { url, server } = await raw(() => {});
  server.close();
  await once(server, 'close');
  expect(await failure(read(downloads(), url))).toMatchObject({
    kind: 'refused',
    message: 'no connection (ECONNREFUSED)',
  });
});

test('whoever gives up frees the place for who waits, and nobody waits in vain', async () => {
  const { url, asked } = await raw((socket, index) => {
    if (index > 0) socket.write(`${head}Content-Length: 1\r\n\r\na`);
  });
  const from = downloads(1);
  const first = new AbortController();
  const second = new AbortController();
  const runs = [first.signal, second.signal, undefined].map((signal) => read(from, url, 5000, signal).catch(String));
  await expect.poll(() => asked.length).toBe(1);
  first.abort(new Error('enough'));
  second.abort(new Error('enough'));
  expect(await Promise.all(runs)).toEqual(
    ['TransportFailure: cancelled', 'TransportFailure: cancelled', '200 a'].map((text) =>
      expect.stringContaining(text.replace('TransportFailure: ', '')),
    ),
  );
});

test('no more connections than there may be', async () => {
  const { url, sockets } = await raw(
    (socket) => void setTimeout(() => socket.write(`${head}Content-Length: 1\r\n\r\na`), 5),
  );
  const from = downloads(2);
  expect(await Promise.all(Array.from({ length: 9 }, () => read(from, url)))).toEqual(Array(9).fill('200 a'));
  expect(sockets.length).toBe(2);
});

test('a server that says more than it was asked is not asked again over that connection', async () => {
  const { url, asked } = await raw(
    (socket) => void socket.write(`${head}Content-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n`),
  );
  const from = downloads();
  expect(await read(from, url)).toBe('200 a');
  expect(await read(from, url)).toBe('200 a');
  expect(asked.map((text) => text[0])).toEqual(['1', '2']);
});

test('a reader that needs time holds the stream', async () => {
  const size = 64 * 1024 * 1024;
  let socket: Socket | undefined;
  const { url } = await raw((opened) => {
    socket = opened;
    opened.write(`${head}Content-Length: ${size}\r\n\r\n`);
    opened.write(Buffer.alloc(size));
  });
  const { each, watch } = await downloads().get({ method: 'GET', url, headers: {} }, 5000);
  let taken = 0;
  let letGo = (): void => {};
  const over = each((bytes) => {
    taken += bytes.length;
    return taken === bytes.length ? new Promise<void>((resolve) => (letGo = resolve)) : undefined;
  });
  await expect.poll(() => taken).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const held = taken;
  expect(held).toBeLessThanOrEqual(512 * 1024);
  expect(socket?.writableLength).toBeGreaterThan(size / 4);
  letGo();
  await over;
  expect(taken).toBe(size);
  watch.end();
});

test('a reader that fails ends the connection, and a stream that is not wanted too', async () => {
  const { url, sockets } = await raw((socket) => void socket.write(`${head}Content-Length: 10\r\n\r\nhello`));
  const from = downloads();
  const request = { method: 'GET', url, headers: {} } as const;
  const failing = await from.get(request, 5000);
  await expect(failing.each(() => Promise.reject(new Error('no room')))).rejects.toThrow('no room');
  const thrown = await from.get(request, 5000);
  await expect(
    thrown.each(() => {
      throw new Error('no time');
    }),
  ).rejects.toThrow('no time');
  const unwanted = await from.get(request, 5000);
  unwanted.destroy();
  await expect(unwanted.each(() => undefined)).rejects.toThrow();
  for (const { watch } of [failing, thrown, unwanted]) watch.end();
  await expect.poll(() => sockets.map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
});

test('the bytes of a content keep to the bandwidth', async () => {
  const bandwidth = new Bandwidth();
  bandwidth.set({ down: 1000, up: null });
  const { url } = await raw((socket) => void socket.write(`${head}Content-Length: 300\r\n\r\n${'x'.repeat(300)}`));
  const { each, watch } = await downloads(1, bandwidth).get(
    { method: 'GET', url, headers: {}, isDownload: true },
    5000,
  );
  const begin = performance.now();
  await each(() => undefined);
  watch.end();
  // A tenth of a second's bytes go at once.
  expect(performance.now() - begin).toBeGreaterThanOrEqual(150);
  expect(bandwidth.moved('down')).toBe(300);
});

test('a header that would end its line is not sent', async () => {
  const { url, asked } = await raw((socket) => void socket.write(`${head}Content-Length: 0\r\n\r\n`));
  const sending = downloads().get({ method: 'GET', url, headers: { 'if-range': 'a\r\nx: y' } }, 5000);
  expect((await failure(sending)).message).toContain('the header if-range cannot be sent');
  expect(asked).toEqual([]);
});

test('closing ends what is under way', async () => {
  const { url, asked } = await raw(() => {});
  const from = downloads(1);
  const runs = [read(from, url), read(from, url)].map((run) => failure(run));
  await expect.poll(() => asked.length).toBe(1);
  from.close();
  expect((await Promise.all(runs)).map(({ kind }) => kind)).toEqual(['aborted', 'aborted']);
});
