/**
 * Login through the browser: the user gives consent on the provider's page, which redirects to a server on loopback. If that cannot work
 * (the browser is on another machine), the user types the code that the page shows.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline/promises';
import { SyncmountError } from '../../base/errors.js';
import { print } from './output.js';

/** How long the program waits for the browser to come back, ms. */
const PATIENCE = 10 * 60_000;

export interface Callback {
  readonly url: string;
  /** Sets the test that recognizes an answer to this login. Other requests are refused: any user of this machine can send them. */
  expect(isOurs: (query: URLSearchParams) => boolean): void;
  /** Resolves with the query that the browser brought back. */
  readonly returned: Promise<URLSearchParams>;
  close(): void;
}

/** Listens on a free port of loopback. */
export async function openCallback(): Promise<Callback> {
  let isExpected = (_: URLSearchParams): boolean => false;
  let resolve: (query: URLSearchParams) => void = () => undefined;
  const returned = new Promise<URLSearchParams>((yes) => {
    resolve = yes;
  });
  const server = createServer((request, response) => {
    const target = `http://127.0.0.1${request.url}`;
    const url = URL.canParse(target) ? new URL(target) : null;
    if (url?.pathname !== '/callback') {
      response.writeHead(404).end();
      return;
    }
    if (request.method !== 'GET' || !isExpected(url.searchParams)) {
      response.writeHead(400, { 'content-type': 'text/plain; charset=utf-8' });
      response.end('This is no answer to the login that waits here. It goes on waiting.\n');
      return;
    }
    const refused = ['denied', 'oauth_problem', 'error'].some((name) => url.searchParams.has(name));
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(`${refused ? 'Access was not allowed.' : 'syncmount has access now.'} You can close this page.\n`);
    resolve(url.searchParams);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/callback`,
    returned,
    expect: (isOurs) => {
      isExpected = isOurs;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * Shows the page and waits for the user. Resolves with the query that the browser brings back, or with the typed text. Throws
 * `SyncmountError` `login` when access was refused or nobody came.
 */
export async function consent(page: string, callback: Callback): Promise<URLSearchParams | string> {
  for (const line of ['Open this page, log in and allow access:', '', `  ${page}`, '']) print(line);
  openBrowser(page);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new SyncmountError('login', 'nobody allowed access')), PATIENCE);
  const waits: Promise<URLSearchParams | string>[] = [
    callback.returned,
    new Promise((_, no) => stop.signal.addEventListener('abort', () => no(stop.signal.reason))),
  ];
  const lines = process.stdin.isTTY ? createInterface({ input: process.stdin, output: process.stdout }) : null;
  const question = 'If the browser cannot come back here, type the code that it shows (or just Enter): ';
  if (lines !== null) waits.push(lines.question(question, { signal: stop.signal }).then((text) => text.trim()));
  for (const wait of waits) wait.catch(() => undefined);
  try {
    const answer = await Promise.race(waits);
    if (typeof answer !== 'string' && (answer.has('denied') || answer.has('oauth_problem') || answer.has('error'))) {
      throw new SyncmountError('login', 'access was not allowed');
    }
    return answer;
  } finally {
    clearTimeout(timer);
    stop.abort();
    lines?.close();
  }
}

/** Opens the page if there is a desktop. A failure does no harm: the URL is printed as well. */
function openBrowser(url: string): void {
  if (process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return;
  if (!process.stdout.isTTY) return;
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}
