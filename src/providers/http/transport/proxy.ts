/**
 * The way through an HTTP proxy, if the environment names one: `HTTPS_PROXY` or `ALL_PROXY`, and `NO_PROXY` for hosts that need none, in
 * upper or lower case. All requests that leave this machine use TLS, so all go through a tunnel (CONNECT: RFC 9110, 9.3.6): the proxy
 * learns the host's name, and nothing else.
 */
import type { Socket } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';
import { codeOf, messageOf, SyncmountError } from '../../../base/errors.js';
import { isLoopback } from '../../../base/loopback.js';

/** The tunnel was not made. `isFinal`: a repeat would fail too, until the user changes the environment. */
export class ProxyError extends SyncmountError {
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean, cause?: unknown) {
    super('proxy', message, { cause });
    this.isFinal = isFinal;
  }
}

/** The proxy for requests to `url`; null if there is none. Throws `ProxyError` if the named one cannot be used. */
export function proxyFor(url: URL): URL | null {
  if (url.protocol !== 'https:' || isLoopback(url.hostname)) return null;
  const named = getProxyForUrl(url);
  if (named === '') return null;
  let proxy: URL;
  try {
    proxy = new URL(hasOwnScheme(named) ? named : named.replace(/^https:/, 'http:'));
  } catch {
    // Without the cause: it contains the URL, and so perhaps a password.
    throw new ProxyError('HTTPS_PROXY is no URL such as http://proxy.example:3128', true);
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')
    throw new ProxyError(`a proxy by ${proxy.protocol}// cannot be used: HTTPS_PROXY must name one by http://`, true);
  return proxy;
}

/** `proxy:3128` means plain HTTP, as for curl(1), but the library adds the scheme of the request. */
function hasOwnScheme(named: string): boolean {
  return ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'].some((name) => process.env[name] === named);
}

/** The proxy as messages name it: without its password. */
export function proxyName(proxy: URL): string {
  return `the proxy ${proxy.host}`;
}

export interface TunnelOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** A connection through the proxy to a host, without TLS yet. Rejects with `ProxyError`, or with the signal's reason. */
export async function tunnelThrough(proxy: URL, to: URL, options: TunnelOptions): Promise<Socket> {
  const { timeoutMs, signal } = options;
  // Loaded when they are needed: most machines have no proxy.
  const isSecure = proxy.protocol === 'https:';
  const { request } = await (isSecure ? import('node:https') : import('node:http'));
  // CONNECT needs the port, which a URL omits if it is that of https.
  const authority = `${to.hostname}:${to.port || 443}`;
  return new Promise((resolve, reject) => {
    const asked = request({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: Number(proxy.port || (isSecure ? 443 : 80)),
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...authorization(proxy) },
      agent: false,
      timeout: timeoutMs,
      ...(signal !== undefined && { signal }),
    });
    asked.once('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode < 200 || statusCode > 299 || head.length > 0) {
        socket.destroy();
        reject(refusal(proxy, statusCode, to.hostname));
        return;
      }
      socket.setTimeout(0);
      resolve(socket);
    });
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    asked.once('error', (error) => {
      const why = codeOf(error) ?? messageOf(error);
      reject(
        signal?.aborted === true
          ? signal.reason
          : new ProxyError(`no connection to ${proxyName(proxy)} (${why})`, false, error),
      );
    });
    asked.end();
  });
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  let pair: string;
  try {
    pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw new ProxyError('the user name or password in HTTPS_PROXY has a % that must be written as %25', true);
  }
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

function refusal(proxy: URL, status: number, host: string): ProxyError {
  if (status === 407)
    return new ProxyError(
      `${proxyName(proxy)} wants a user name and a password, or others (407): HTTPS_PROXY=http://USER:PASSWORD@${proxy.host}`,
      true,
    );
  if (status === 403) return new ProxyError(`${proxyName(proxy)} does not let us reach ${host} (403)`, true);
  return new ProxyError(`${proxyName(proxy)} does not reach ${host} (${status})`, false);
}
