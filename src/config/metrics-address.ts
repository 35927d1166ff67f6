import { isIP } from 'node:net';
import { UsageError } from '../base/errors.js';

export type MetricsAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** `9469`, `:9469` (this machine only), `HOST:9469`, `[::1]:9469`, or the path of a Unix socket. Throws `UsageError`. */
export function parseMetricsAddress(text: string): MetricsAddress {
  if (text.startsWith('/')) return { path: text };
  const match = /^(?:(\[[0-9a-f:.]+\]|[^:[\]]*):)?(\d{1,5})$/i.exec(text);
  const host = match?.[1]?.replace(/[[\]]/g, '') || '127.0.0.1';
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535 || (isIP(host) === 0 && host !== 'localhost'))
    throw new UsageError(`'${text}' is neither IP:PORT, nor PORT, nor the path of a socket`);
  return { host, port };
}
