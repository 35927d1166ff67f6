/** A server may send interim answers (100 to 199) that nobody asked for, on every kind of connection that we use. */
import type { ServerResponse } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { Downloads } from '../../../src/providers/http/transport/downloads.js';
import { Transport } from '../../../src/providers/http/transport/transport.js';
import type { Content, WireRequest } from '../../../src/providers/http/transport/wire.js';
import { type MiniServer, miniServer } from '../mini-server.js';

const connections = { maxConnections: 1, connectTimeoutMs: 1000 };

function content(size: number): Content {
  return {
    size,
    async *open() {
      if (size > 0) yield Buffer.alloc(size);
    },
  };
}

type Interim = (response: ServerResponse) => void;

const interims: readonly [string, Interim][] = [
  ['100', (response) => response.writeContinue()],
  ['102', (response) => response.writeProcessing()],
  ['103', (response) => response.writeEarlyHints({ link: '</a>; rel=preload; as=style' })],
  [
    'several',
    (response) => {
      response.writeContinue();
      response.writeProcessing();
      response.writeContinue();
    },
  ],
];

/** A body that looks like an interim answer is a body. */
const BODY = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n';

async function serving(interim: Interim): Promise<MiniServer> {
  return await miniServer((_seen, response) => {
    interim(response);
    response.writeHead(201, { 'content-length': BODY.length }).end(BODY);
  });
}

const requests: readonly [string, Partial<WireRequest>][] = [
  ['GET', { method: 'GET' }],
  ['DELETE', { method: 'DELETE' }],
  ['a form', { body: 'a=b' }],
  ['a small content', { body: content(5) }],
  ['a large content', { body: content(1_000_000) }],
  ['a chunked content', { body: content(1_000_000), chunked: true }],
  ['an empty chunked content', { body: content(0), chunked: true }],
];

for (const [what, interim] of interims) {
  test.each(requests)(`${what} before the answer to %s`, async (_name, request) => {
    const server = await serving(interim);
    const transport = new Transport(connections);
    onTestFinished(() => transport.close());
    // The second one goes over the connection of the first.
    for (let n = 0; n < 2; n++) {
      const url = new URL('/x', server.origin);
      const { status, body, watch } = await transport.send({ method: 'POST', url, headers: {}, ...request }, 5000);
      const parts: Buffer[] = [];
      for await (const part of body) parts.push(Buffer.from(part as Uint8Array));
      watch.end();
      expect([status, Buffer.concat(parts).toString()]).toEqual([201, BODY]);
    }
    expect(server.seen).toHaveLength(2);
  });

  test(`${what} before a large answer`, async () => {
    const server = await serving(interim);
    const downloads = new Downloads(connections);
    onTestFinished(() => downloads.close());
    for (let n = 0; n < 2; n++) {
      const url = new URL('/x', server.origin);
      const { status, each, watch } = await downloads.get({ method: 'GET', url, headers: {} }, 5000);
      let text = '';
      await each((bytes) => {
        text += Buffer.from(bytes).toString();
        return undefined;
      });
      watch.end();
      expect([status, text]).toEqual([201, BODY]);
    }
  });
}
