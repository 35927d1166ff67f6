/** Which proxy the environment names, and what is said of one that gives no tunnel. */
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { proxyFor, tunnelThrough } from '../../../src/providers/http/transport/proxy.js';
import { TunnelProxy } from '../../support/tunnel-proxy.js';

const variables = [
  'https_proxy',
  'HTTPS_PROXY',
  'http_proxy',
  'HTTP_PROXY',
  'all_proxy',
  'ALL_PROXY',
  'no_proxy',
  'NO_PROXY',
];
beforeEach(() => {
  for (const variable of variables) vi.stubEnv(variable, undefined);
});
afterEach(() => vi.unstubAllEnvs());

it.each<[string, Record<string, string>, string | null]>([
  ['https://api.example/v1', {}, null],
  ['https://api.example/v1', { HTTPS_PROXY: 'http://p:3128' }, 'http://p:3128/'],
  ['https://api.example/v1', { HTTPS_PROXY: 'http://p:3128', https_proxy: 'http://small:1' }, 'http://small:1/'],
  ['https://api.example/v1', { ALL_PROXY: 'http://p:3128' }, 'http://p:3128/'],
  ['https://api.example/v1', { HTTPS_PROXY: 'p:3128' }, 'http://p:3128/'],
  ['https://api.example/v1', { HTTPS_PROXY: 'https://p:3128' }, 'https://p:3128/'],
  ['https://api.example/v1', { HTTPS_PROXY: 'http://a:b@p:3128' }, 'http://a:b@p:3128/'],
  ['https://api.example/v1', { HTTP_PROXY: 'http://p:3128' }, null],
  ['https://api.example/v1', { HTTPS_PROXY: 'http://p:3128', NO_PROXY: '*' }, null],
  ['https://api.example/v1', { HTTPS_PROXY: 'http://p:3128', NO_PROXY: 'x,.example' }, null],
  ['https://api.example/v1', { HTTPS_PROXY: 'http://p:3128', NO_PROXY: 'api.example:8443' }, 'http://p:3128/'],
  ['https://localhost:8443/v1', { HTTPS_PROXY: 'http://p:3128' }, null],
  ['https://127.0.0.1:8443/v1', { HTTPS_PROXY: 'http://p:3128' }, null],
  ['http://127.0.0.1:8080/v1', { http_proxy: 'http://p:3128' }, null],
])('%s with %o goes through %s', (url, environment, proxy) => {
  for (const [variable, value] of Object.entries(environment)) vi.stubEnv(variable, value);
  expect(proxyFor(new URL(url))?.href ?? null).toBe(proxy);
});

it.each([
  ['socks5://p:1080', 'a proxy by socks5:// cannot be used: HTTPS_PROXY must name one by http://'],
  ['http://me:secret@', 'HTTPS_PROXY is no URL such as http://proxy.example:3128'],
])('%s cannot be used', (named, message) => {
  vi.stubEnv('HTTPS_PROXY', named);
  const error = thrownBy(() => proxyFor(new URL('https://api.example/v1')));
  expect(error).toMatchObject({ code: 'proxy', message, isFinal: true });
  // A log has all of it.
  expect(inspect(error)).not.toContain('secret');
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

it('a password with a % that means nothing is told, and not repeated', async () => {
  const tunnel = tunnelThrough(new URL('http://me:50%secret@127.0.0.1:9'), new URL('https://api.example/v1'), {
    timeoutMs: 5000,
  });
  const error: unknown = await tunnel.catch((reason: unknown) => reason);
  const message = 'the user name or password in HTTPS_PROXY has a % that must be written as %25';
  expect(error).toMatchObject({ code: 'proxy', isFinal: true, message });
  expect(inspect(error)).not.toContain('secret');
});

const target = new URL('https://storage.test:8443/v1');
const options = { timeoutMs: 5000, signal: new AbortController().signal };

it.each([
  [
    407,
    true,
    /^the proxy \S+ wants a user name and a password, or others \(407\): HTTPS_PROXY=http:\/\/USER:PASSWORD@/,
  ],
  [403, true, /^the proxy \S+ does not let us reach storage\.test \(403\)$/],
  [502, false, /^the proxy \S+ does not reach storage\.test \(502\)$/],
])('an answer of %i gives no tunnel', async (status, isFinal, message) => {
  const proxy = await TunnelProxy.start();
  try {
    proxy.refusal = status;
    const tunnel = tunnelThrough(new URL(`http://127.0.0.1:${proxy.port}`), target, options);
    await expect(tunnel).rejects.toMatchObject({ code: 'proxy', isFinal, message: expect.stringMatching(message) });
    expect(proxy.asked).toEqual(['storage.test:8443']);
  } finally {
    await proxy.close();
  }
});

it('a proxy that is not there is named, and tried again later', async () => {
  const proxy = await TunnelProxy.start();
  const { port } = proxy;
  await proxy.close();
  await expect(tunnelThrough(new URL(`http://127.0.0.1:${port}`), target, options)).rejects.toMatchObject({
    code: 'proxy',
    isFinal: false,
    message: `no connection to the proxy 127.0.0.1:${port} (ECONNREFUSED)`,
  });
});

it('whoever gives up waits for no proxy', async () => {
  const proxy = await TunnelProxy.start();
  const leaving = new AbortController();
  proxy.isSilent = true;
  const tunnel = tunnelThrough(new URL(`http://127.0.0.1:${proxy.port}`), target, {
    ...options,
    signal: leaving.signal,
  });
  const why = new Error('left');
  await vi.waitFor(() => expect(proxy.asked).toHaveLength(1));
  leaving.abort(why);
  await expect(tunnel).rejects.toBe(why);
  await proxy.close();
});
