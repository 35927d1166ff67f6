/** A client of the 5sync sandbox written apart from it: plain fetch. */
import type { FiveSyncSandbox } from '../../../src/sandbox/index.js';

export interface FileJson {
  id: string;
  name: string;
  size: number;
  encrypted: boolean;
  created: string;
  [field: string]: unknown;
}

export interface Changes {
  events: { id: string; action: string; timestamp: string }[];
  cursor: string;
  has_more: boolean;
}

export class Client {
  constructor(
    readonly sandbox: FiveSyncSandbox,
    public key = sandbox.credentials.apiKey,
  ) {}

  send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.key}`, ...(init.headers as Record<string, string>) };
    return fetch(`${this.sandbox.endpoints.api}${path}`, { ...init, method, headers });
  }

  put(name: string, content: string | Uint8Array<ArrayBuffer>, fields: Record<string, string> = {}): Promise<Response> {
    const form = new FormData();
    form.append('file', new Blob([content]), name);
    for (const [field, value] of Object.entries(fields)) form.append(field, value);
    return this.send('PUT', '/files', { body: form });
  }

  async file(name: string, content: string, path?: string): Promise<FileJson> {
    return json(await this.put(name, content, path === undefined ? {} : { path }));
  }

  init(fields: Record<string, unknown>): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    return this.send('POST', '/files/multipart/init', { body: JSON.stringify(fields), headers });
  }

  part(upload: string, part: number | string, content: string | Uint8Array<ArrayBuffer>): Promise<Response> {
    return this.send('PUT', `/files/multipart/${upload}/${part}`, { body: content });
  }

  complete(upload: string): Promise<Response> {
    return this.send('POST', `/files/multipart/${upload}/complete`);
  }

  async list(query = ''): Promise<{ items: FileJson[]; total: number; page: number; limit: number }> {
    return json(await this.send('GET', `/files${query}`));
  }

  async changes(query: string): Promise<Changes> {
    return json(await this.send('GET', `/changes?${query}`));
  }
}

export async function json<T = FileJson>(response: Response): Promise<T> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text) as T;
}

/** `400 bad_request`, with the shape of the body checked. */
export async function refusal(response: Response | Promise<Response>): Promise<string> {
  const answer = await response;
  const body = (await answer.json()) as { error: { type: string; message: string } };
  if (Object.keys(body).join() !== 'error' || Object.keys(body.error).join() !== 'type,message')
    throw new Error(JSON.stringify(body));
  return `${answer.status} ${body.error.type}`;
}
