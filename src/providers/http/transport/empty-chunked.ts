/**
 * Sends a request with an empty body in chunked transfer encoding. undici always sends `Content-Length: 0` with an empty
 * body, and a server that demands chunked uploads (Acronis) refuses that.
 */
import type { IncomingMessage, RequestOptions } from 'node:http';
import { proxyFor, tunnelThrough } from './proxy.js';
import { tlsHost } from './tls-host.js';

export async function requestEmptyChunked(
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  connectTimeoutMs: number,
): Promise<{ readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: IncomingMessage }> {
  // Loaded when it is needed: importing node:http reads its WebSocket, and with it Node.js 24 loads an undici of its own (30 ms).
  const { request: open } = await (url.protocol === 'https:' ? import('node:https') : import('node:http'));
  const way = await wayTo(url, signal, connectTimeoutMs);
  return new Promise((resolve, reject) => {
    const request = open(
      url,
      { method, headers: { ...headers, 'transfer-encoding': 'chunked' }, signal, ...way },
      (response) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response }),
    );
    request.on('error', reject);
    request.end();
  });
}

/** No kept-alive connection: such uploads are rare, and no socket is left to close. */
async function wayTo(url: URL, signal: AbortSignal, timeoutMs: number): Promise<RequestOptions> {
  const proxy = proxyFor(url);
  if (proxy === null) return { agent: false };
  const [socket, { connect }] = await Promise.all([
    tunnelThrough(proxy, url, { timeoutMs, signal }),
    import('node:tls'),
  ]);
  return { createConnection: () => connect({ socket, ...tlsHost(url) }) };
}
