/** A small HTTP server for one test: records the requests, and answers what the test says. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Seen {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** The form fields of the body. */
  readonly form: URLSearchParams;
}

export interface MiniServer {
  readonly origin: string;
  readonly seen: Seen[];
  /** `METHOD path` of every request. */
  lines(): string[];
}

export type Handler = (request: Seen, response: ServerResponse, index: number) => void | Promise<void>;

/** Serves until the test has finished. `index` counts requests from 0. */
export async function miniServer(handler: Handler): Promise<MiniServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://mini');
      const body = Buffer.concat(parts);
      const entry: Seen = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body,
        form: new URLSearchParams(body.toString('utf8')),
      };
      const index = seen.push(entry) - 1;
      void handler(entry, response, index);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, seen, lines: () => seen.map((entry) => `${entry.method} ${entry.path}`) };
}

export function json(
  response: ServerResponse,
  value: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

export function fail(
  response: ServerResponse,
  code: string,
  headers: Record<string, string> = {},
  more: object = {},
): void {
  json(response, { code, message: `told ${code}`, ...more }, Number.parseInt(code, 10), headers);
}

/** Sends the error answer of `code`. Returns true, for handlers that return whether they have answered. */
export function failed(response: ServerResponse, code: string): true {
  fail(response, code);
  return true;
}

/** Cuts the connection without an answer. */
export function hangUp(response: ServerResponse): void {
  response.socket?.destroy();
}
