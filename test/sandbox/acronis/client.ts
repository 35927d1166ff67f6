/** A client of the Acronis sandbox written apart from it: plain fetch. */
import { request } from 'node:http';
import type { AcronisSandbox } from '../../../src/sandbox/index.js';

export interface NodeJson {
  uuid: string;
  name: string;
  path: string;
  size?: number;
  checksum: string;
  is_directory: boolean;
  actions: Record<string, string>;
  permissions: Record<string, boolean>;
  [field: string]: unknown;
}

export class Client {
  token: string;

  constructor(readonly sandbox: AcronisSandbox) {
    this.token = sandbox.tokens.grant().accessToken;
  }

  get origin(): string {
    return new URL(this.sandbox.endpoints.api).origin;
  }

  /** A path of the API, or an address below the host when it begins with /fc/. */
  send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, ...(init.headers as Record<string, string>) };
    const base = path.startsWith('/fc/') ? this.origin : this.sandbox.endpoints.api;
    return fetch(base + path, { ...init, method, headers });
  }

  json(method: string, path: string, body: unknown): Promise<Response> {
    return this.send(method, path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  }

  create(name: string, parent = '0'): Promise<Response> {
    return this.json('POST', '/sync_and_share_nodes', { sync_and_share_node: { name, parent_uuid: parent } });
  }

  async folder(name: string, parent = '0'): Promise<NodeJson> {
    return node(await this.create(name, parent));
  }

  /** Not by fetch, which announces the length of an empty stream instead of sending it chunked. */
  post(parent: string, query: Record<string, string>, ...pieces: (string | Buffer)[]): Promise<Response> {
    const url = `${this.sandbox.endpoints.api}/sync_and_share_nodes/${parent}/upload?${new URLSearchParams(query)}`;
    const headers = {
      authorization: `Bearer ${this.token}`,
      'content-type': 'application/octet-stream',
      'transfer-encoding': 'chunked',
    };
    return new Promise((resolve, reject) => {
      const sent = request(url, { method: 'POST', headers }, (answer) => {
        const received: Buffer[] = [];
        answer.on('data', (piece: Buffer) => received.push(piece));
        answer.on('end', () => resolve(new Response(Buffer.concat(received), { status: answer.statusCode ?? 0 })));
        answer.on('error', reject);
      });
      sent.on('error', reject);
      for (const piece of pieces) if (piece.length > 0) sent.write(piece);
      sent.end();
    });
  }

  async file(filename: string, content: string, parent = '0'): Promise<NodeJson> {
    return node(await this.post(parent, { filename, size: String(Buffer.byteLength(content)) }, content));
  }

  contents(parent = '0', query = ''): Promise<Response> {
    return this.send('GET', `/sync_and_share_nodes/${parent}/contents${query}`);
  }

  async names(parent = '0', query = ''): Promise<string[]> {
    return ((await (await this.contents(parent, query)).json()) as NodeJson[]).map(({ name }) => name);
  }

  rename(id: string, name: string): Promise<Response> {
    return this.json('PUT', `/sync_and_share_nodes/${id}`, { sync_and_share_node: { name } });
  }

  move(id: string, parent: string): Promise<Response> {
    return this.json('POST', `/sync_and_share_nodes/${id}/move`, { parent_uuid: parent });
  }

  copy(id: string, parent: string): Promise<Response> {
    return this.json('POST', `/sync_and_share_nodes/${id}/copy`, { parent_uuid: parent });
  }

  grant(form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.sandbox.endpoints.token, { method: 'POST', body: new URLSearchParams(form), headers });
  }
}

export async function node(response: Response): Promise<NodeJson> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text) as NodeJson;
}

/** `404/10`, with the shape of the body checked. */
export async function refusal(response: Response | Promise<Response>): Promise<string> {
  const answer = await response;
  const { error } = (await answer.json()) as { error: { domain: string; code: number; message: string } };
  if (error.domain !== 'Files' || typeof error.message !== 'string') throw new Error(JSON.stringify(error));
  return `${answer.status}/${error.code}`;
}
