import { describe, expect, onTestFinished, test } from 'vitest';
import { Downloads } from '../../../src/providers/http/transport/downloads.js';
import { Transport } from '../../../src/providers/http/transport/transport.js';
import type { Content, WireRequest } from '../../../src/providers/http/transport/wire.js';
import { swallowingPorts } from '../../support/swallowing-ports.js';
import { type Handler, json, miniServer } from '../mini-server.js';

/** Sends the request to a server that acts as the test says, and aborts it when the test says. */
async function sending(request: Partial<WireRequest>, handler: Handler) {
  const server = await miniServer(handler);
  const transport = new Transport({ maxConnections: 2, connectTimeoutMs: 1000 });
  onTestFinished(() => transport.close());
  const leaving = new AbortController();
  const whole: WireRequest = { method: 'POST', url: new URL('/x', server.origin), headers: {}, ...request };
  const outcome = transport.send(whole, 10_000, leaving.signal).then(
    async ({ status, body, watch }) => {
      for await (const _chunk of body);
      watch.end();
      return status;
    },
    (error: { kind: string }) => error.kind,
  );
  return { outcome, server, leave: () => leaving.abort() };
}

/** Content in pieces of `sizes` bytes. The last piece follows when `reached`, called before it, has resolved. */
function pieces(sizes: readonly number[], reached: () => Promise<void>): Content {
  return {
    size: sizes.reduce((sum, size) => sum + size),
    async *open() {
      for (const [i, size] of sizes.entries()) {
        if (i === sizes.length - 1) await reached();
        yield Buffer.alloc(size);
      }
    },
  };
}

const small = pieces([5], () => Promise.resolve());
const large = pieces([300_000, 5], () => Promise.resolve());

describe('a request whose caller has gone', () => {
  test.each<[string, Partial<WireRequest>]>([
    ['without a body', { method: 'DELETE' }],
    ['with a form', { body: 'a=b' }],
    ['with a small content', { method: 'PUT', body: small }],
    ['with a large content', { body: large }],
    ['with a content of no stated length', { body: large, chunked: true }],
    ['with an empty content of no stated length', { body: { size: 0, async *open() {} }, chunked: true }],
  ])('%s, a change that was sent in full gets its answer', async (_what, request) => {
    const sent = await sending(request, (_seen, response) => {
      sent.leave();
      setTimeout(() => json(response, {}, 201), 100);
    });
    expect(await sent.outcome).toBe(201);
  });

  test('is ended if the answer to a change does not come', async () => {
    const sent = await sending({ body: 'a=b' }, () => sent.leave());
    expect(await sent.outcome).toBe('aborted');
  });

  test('is ended at once while its content is sent: the server does not perform a partial request', async () => {
    let over = false;
    const never = new Promise<void>(() => {});
    const body = pieces([300_000, 5], () => {
      setImmediate(() => sent.leave());
      return never;
    });
    const sent = await sending({ body }, () => {
      over = true;
    });
    expect(await sent.outcome).toBe('aborted');
    expect([over, sent.server.seen]).toEqual([false, []]);
  });

  test('is ended at once if it only reads', async () => {
    let isAnswered = false;
    const sent = await sending({ method: 'GET' }, (_seen, response) => {
      sent.leave();
      setTimeout(() => {
        isAnswered = true;
        json(response, {});
      }, 1000);
    });
    expect(await sent.outcome).toBe('aborted');
    expect(isAnswered).toBe(false);
  });
});

describe('while the network swallows what asks for a connection', () => {
  /** Longer than a test may take: what waits for the connection is not answered. */
  const connectTimeoutMs = 600_000;
  const connecting = async (request: Partial<WireRequest>, stallMs: number, leaveMs?: number): Promise<unknown> => {
    const [port] = await swallowingPorts(0);
    const url = new URL(`http://127.0.0.1:${port}/x`);
    const whole: WireRequest = { method: 'PUT', url, headers: {}, ...request };
    const transport = new Transport({ maxConnections: 2, connectTimeoutMs });
    const downloads = new Downloads({ maxConnections: 2, connectTimeoutMs });
    onTestFinished(() => transport.close());
    onTestFinished(() => downloads.close());
    const sending = request.pieces === undefined ? transport : { send: downloads.get.bind(downloads) };
    const signal = leaveMs === undefined ? undefined : leaving(leaveMs);
    return await sending.send(whole, stallMs, signal).catch((error: { kind: string }) => error.kind);
  };
  const leaving = (ms: number): AbortSignal => (ms === 0 ? AbortSignal.abort() : AbortSignal.timeout(ms));
  const kinds: [string, Partial<WireRequest>][] = [
    ['a question', { method: 'GET' }],
    ['a change', { method: 'DELETE' }],
    ['a small content', { body: small }],
    ['a large content', { body: large }],
    ['a download', { method: 'GET', pieces: { offset: 0, end: 5, bytes: 5, checked: false } as never }],
  ];

  test.each(kinds)('who gives up %s does not wait for it, and knows that nothing was sent', async (_what, request) => {
    for (const leaveMs of [0, 100]) expect(await connecting(request, connectTimeoutMs, leaveMs)).toBe('unsent');
  });

  test.each(kinds)('%s fails when its time is over, and may be sent again', async (_what, request) => {
    expect(await connecting(request, 100)).toBe('refused');
  });
});
