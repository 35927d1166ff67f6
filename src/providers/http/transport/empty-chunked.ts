/**
 * Sends a request with an empty body in chunked transfer encoding. undici always sends `Content-Length: 0` with an empty
 * body, and a server that demands chunked uploads (Acronis) refuses that.
 */
import type { IncomingMessage } from 'node:http';

export async function requestEmptyChunked(
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: IncomingMessage }> {
  // Loaded when it is needed: importing node:http reads its WebSocket, and with it Node.js 24 loads an undici of its own (30 ms).
  const { request: open } = await (url.protocol === 'https:' ? import('node:https') : import('node:http'));
  return new Promise((resolve, reject) => {
    const request = open(
      url,
      // No kept-alive connection: such uploads are rare, and no socket is left to close.
      { method, headers: { ...headers, 'transfer-encoding': 'chunked' }, signal, agent: false },
      (response) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response }),
    );
    request.on('error', reject);
    request.end();
  });
}
