/**
 * The OAuth 1.0a login that a person walks through (4shared and 4Sync): the program prints a URL, the person agrees in a
 * browser, and either the browser comes back to a server on loopback or the person types the code that it shows.
 */
import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { createInterface } from 'node:readline/promises';
import { SyncmountError, UsageError } from '../base/errors.js';
import { beginLogin, finishLogin } from '../providers/fourshared/oauth-flow.js';
import type { ProviderName } from '../providers/provider.js';
import { print } from './context.js';

/** How long the program waits for the browser to come back, ms. */
const PATIENCE = 10 * 60_000;

/** Do the credentials suffice without a person? */
export function hasAccessToken(credentials: Record<string, unknown>): boolean {
  return typeof credentials.token === 'string' && typeof credentials.tokenSecret === 'string';
}

/** Asks for what is missing and walks the person through the provider's login. Resolves with complete credentials. */
export async function interactiveLogin(
  provider: ProviderName,
  endpoints: Record<string, string>,
  known: Record<string, unknown>,
): Promise<Record<string, string>> {
  if (provider !== '4shared' && provider !== '4sync') throw new UsageError(`${provider} has no interactive login yet`);
  const { consumerKey, consumerSecret } = await consumerOf(known, provider);
  const api = endpoints.api ?? '';
  const callback = await openCallback();
  try {
    const login = { endpoints: { api }, consumerKey, consumerSecret };
    const begun = await beginLogin({ ...login, callback: callback.url });
    print(`Open this page, log in and allow access:\n\n  ${begun.authorizeUrl}\n`);
    openBrowser(begun.authorizeUrl);
    const verifier = await consent(callback);
    const tokens = await finishLogin({
      ...login,
      requestToken: begun.requestToken,
      requestTokenSecret: begun.requestTokenSecret,
      ...(verifier === '' ? {} : { verifier }),
    });
    return { consumerKey, consumerSecret, ...tokens };
  } finally {
    callback.close();
  }
}

async function consumerOf(
  known: Record<string, unknown>,
  provider: string,
): Promise<{ consumerKey: string; consumerSecret: string }> {
  const { consumerKey, consumerSecret } = known;
  if (typeof consumerKey === 'string' && typeof consumerSecret === 'string') return { consumerKey, consumerSecret };
  if (!process.stdin.isTTY) {
    throw new UsageError('the credentials need consumerKey and consumerSecret; without a terminal nobody can be asked');
  }
  print(`An application's consumer key is needed; ${provider} gives one out on its developers' page.`);
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const key = (await lines.question('Consumer key: ')).trim();
    const secret = await askHidden(lines, 'Consumer secret (not shown): ');
    return { consumerKey: key, consumerSecret: secret };
  } finally {
    lines.close();
  }
}

/** Asks without an echo: what is typed is written to a readline that shows nothing but the question. */
async function askHidden(lines: ReturnType<typeof createInterface>, question: string): Promise<string> {
  const output = lines as unknown as { _writeToOutput?: (text: string) => void };
  const write = output._writeToOutput?.bind(lines);
  output._writeToOutput = (text) => {
    if (text.includes(question)) write?.(question);
  };
  try {
    return (await lines.question(question)).trim();
  } finally {
    if (write !== undefined) output._writeToOutput = write;
    print('');
  }
}

interface Callback {
  readonly url: string;
  /** Resolves with the verifier, '' where the provider sends none. */
  readonly returned: Promise<string>;
  close(): void;
}

async function openCallback(): Promise<Callback> {
  let resolve: (verifier: string) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const returned = new Promise<string>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  returned.catch(() => undefined);
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    if (url.pathname !== '/callback') {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    if (url.searchParams.has('denied') || url.searchParams.has('oauth_problem')) {
      response.end('Access was not allowed. You can close this page.\n');
      reject(new SyncmountError('login', 'access was not allowed'));
    } else {
      response.end('syncmount has access now. You can close this page.\n');
      resolve(url.searchParams.get('oauth_verifier') ?? '');
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/callback`,
    returned,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The browser coming back, or (on a terminal) the person typing the code or just Enter. */
async function consent(callback: Callback): Promise<string> {
  const stop = new AbortController();
  const waits: Promise<string>[] = [callback.returned];
  const lines = process.stdin.isTTY ? createInterface({ input: process.stdin, output: process.stdout }) : null;
  if (lines !== null) {
    waits.push(
      lines
        .question('If the browser cannot come back here, type the code that it shows (or just Enter): ', {
          signal: stop.signal,
        })
        .then((text) => text.trim()),
    );
  }
  const timer = setTimeout(() => stop.abort(new SyncmountError('login', 'nobody allowed access')), PATIENCE);
  waits.push(
    new Promise((_, no) => {
      stop.signal.addEventListener('abort', () => no(stop.signal.reason));
    }),
  );
  for (const wait of waits) wait.catch(() => undefined);
  try {
    return await Promise.race(waits);
  } finally {
    clearTimeout(timer);
    stop.abort();
    lines?.close();
  }
}

/** Where there is a desktop. That it fails is no matter: the URL is printed. */
function openBrowser(url: string): void {
  if (process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return;
  if (!process.stdout.isTTY) return;
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}
