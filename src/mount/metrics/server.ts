/** `--metrics ADDRESS`: a small HTTP server that answers `GET /metrics`. */
import { chmodSync, rmSync, statSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { messageOf, SyncmountError } from '../../base/errors.js';
import type { MetricsAddress } from '../../config/metrics-address.js';
import type { Family } from './families.js';
import { contentTypes, formatFor, metricsText } from './text.js';

export interface MetricsServer {
  close(): void;
}

/** `read` returns null before the mount is there. Throws `metrics` if the server cannot listen on the address. */
export async function serveMetrics(
  address: MetricsAddress,
  read: () => Promise<readonly Family[] | null>,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request;
    if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, 'only GET');
    if (url.split('?')[0] !== '/metrics') return refuse(response, 404, 'the metrics are at /metrics');
    const format = formatFor(request.headers.accept);
    const answer = async (): Promise<void> => {
      const families = await read();
      if (families === null) return refuse(response, 503, 'the mount is not ready yet');
      const text = await metricsText(families, format);
      response.writeHead(200, { 'content-type': contentTypes[format] }).end(text);
    };
    answer().catch((error) => refuse(response, 500, messageOf(error)));
  });
  // A client that leaves, or sends nonsense, does not affect the mount.
  server.on('clientError', (_error, socket) => socket.destroy());
  if ('path' in address) removeSocket(address.path);
  const options: ListenOptions = { ...address };
  // The socket file is private from its first moment.
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options, resolve));
  } catch (error) {
    throw new SyncmountError(
      'metrics',
      `--metrics: cannot listen: ${messageOf(error)}; each mount needs an address of its own`,
      {
        cause: error,
      },
    );
  } finally {
    process.umask(umask);
  }
  server.unref();
  if ('path' in address) chmodSync(address.path, 0o600);
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${why}\n`);
}

/** Removes a socket that an earlier mount left. Anything else stays, and is an error. */
function removeSocket(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path, { force: true });
}
