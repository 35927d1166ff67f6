/** A client of the sandbox written apart from it: its own signing, plain fetch. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Sandbox, SandboxCredentials } from '../../src/sandbox/index.js';

export interface Secrets {
  consumerKey: string;
  consumerSecret: string;
  token?: string;
  tokenSecret?: string;
}

export interface CallOptions {
  query?: Record<string, string>;
  form?: Record<string, string>;
  json?: unknown;
  body?: Uint8Array | ReadableStream;
  headers?: Record<string, string>;
  /** Signed instead of the ones that are made. */
  oauth?: Record<string, string>;
  place?: 'header' | 'query' | 'body';
  redirect?: 'follow' | 'manual';
  signal?: AbortSignal;
}

const enc = (text: string) =>
  [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9\-._~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');

/** The oauth parameters with their signature, as RFC 5849 asks. */
export function sign(
  method: string,
  url: URL,
  secrets: Secrets,
  form: Record<string, string> = {},
  given: Record<string, string> = {},
): Record<string, string> {
  const oauth: Record<string, string> = {
    oauth_consumer_key: secrets.consumerKey,
    oauth_signature_method: 'HMAC-SHA1',
    oauth_timestamp: String(Math.floor(Date.now() / 1000)),
    oauth_nonce: randomBytes(8).toString('hex'),
    oauth_version: '1.0',
    ...(secrets.token === undefined ? {} : { oauth_token: secrets.token }),
    ...given,
  };
  const pairs = [...url.searchParams, ...Object.entries(form), ...Object.entries(oauth)];
  const sorted = pairs.map(([name, value]) => `${enc(name)}=${enc(value)}`).sort();
  const base = [method, enc(`${url.origin}${url.pathname}`), enc(sorted.join('&'))].join('&');
  const key = `${enc(secrets.consumerSecret)}&${enc(secrets.tokenSecret ?? '')}`;
  return { ...oauth, oauth_signature: createHmac('sha1', key).update(base).digest('base64') };
}

export async function send(
  base: string,
  secrets: Secrets,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Response> {
  const url = new URL(base + path);
  for (const [name, value] of Object.entries(options.query ?? {})) url.searchParams.append(name, value);
  const oauth = sign(method, url, secrets, options.form, options.oauth);
  const headers: Record<string, string> = { ...options.headers };
  const form = new URLSearchParams(options.form);
  if (options.place === 'query')
    for (const [name, value] of Object.entries(oauth)) url.searchParams.append(name, value);
  else if (options.place === 'body') for (const [name, value] of Object.entries(oauth)) form.append(name, value);
  else headers.authorization = `OAuth ${Object.entries(oauth).map(([name, value]) => `${name}="${enc(value)}"`)}`;
  let body: RequestInit['body'];
  if (options.body !== undefined) body = options.body as RequestInit['body'];
  else if (options.json !== undefined) {
    body = JSON.stringify(options.json);
    headers['content-type'] = 'application/json';
  } else if (options.form || options.place === 'body') body = form;
  const init: RequestInit & { duplex?: 'half' } = { method, headers, duplex: 'half' };
  if (body !== undefined) init.body = body;
  if (options.redirect) init.redirect = options.redirect;
  if (options.signal) init.signal = options.signal;
  return fetch(url, init);
}

export interface FileJson {
  id: string;
  name: string;
  size: number;
  md5: string | null;
  modified: string;
  parentId: string;
  path: string;
  status: string;
  [field: string]: unknown;
}

export class Client {
  readonly secrets: SandboxCredentials;
  constructor(readonly sandbox: Sandbox) {
    this.secrets = sandbox.credentials;
  }

  get root(): string {
    return this.sandbox.store.rootId;
  }

  api(method: string, path: string, options?: CallOptions): Promise<Response> {
    return send(this.sandbox.endpoints.api, this.secrets, method, path, options);
  }

  upload(method: string, path: string, options?: CallOptions): Promise<Response> {
    return send(this.sandbox.endpoints.upload, this.secrets, method, path, options);
  }

  /** `POST /files`. */
  post(fileName: string, body: string | Uint8Array | ReadableStream, folderId = this.root): Promise<Response> {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    return this.upload('POST', '/files', { query: { folderId, fileName }, body: bytes, headers: octets });
  }

  async file(fileName: string, body: string | Uint8Array, folderId = this.root): Promise<FileJson> {
    return this.json(await this.post(fileName, body, folderId));
  }

  async folder(name: string, parentId = this.root): Promise<FileJson> {
    return this.json(await this.api('POST', '/folders', { form: { parentId, name } }));
  }

  async json<T = FileJson>(response: Response): Promise<T> {
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    return JSON.parse(text) as T;
  }
}

export const octets = { 'content-type': 'application/octet-stream' };

/** `code` of a refusal, with its body's shape checked. */
export async function code(response: Response | Promise<Response>): Promise<string> {
  const answer = await response;
  const body = (await answer.json()) as Record<string, unknown>;
  if (Object.keys(body).sort().join() !== 'cause,code,fieldName,message') throw new Error(JSON.stringify(body));
  if (!String(body.code).startsWith(String(answer.status))) throw new Error(`${answer.status} for ${body.code}`);
  return String(body.code);
}
