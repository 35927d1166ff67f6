/**
 * The part of the 4shared protocol that upload and namespace tests need, in memory, after the documents. `before` may
 * answer or break a request itself. `lose` sees a performed request, and may lose its answer.
 */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import type { UploadSource } from '../../../src/providers/content.js';
import { createFourShared, type FourSharedOptions } from '../../../src/providers/fourshared/provider.js';
import type { Provider, RemoteFile } from '../../../src/providers/provider.js';
import { fail, hangUp, json, type MiniServer, miniServer, type Seen } from '../mini-server.js';

export interface StoredFile {
  id: string;
  parentId: string;
  name: string;
  status: string;
  data: Buffer;
  /** Stored ranges of an upload that is not complete. */
  ranges: [number, number][];
}

export interface MiniAccount {
  readonly server: MiniServer;
  readonly provider: Provider;
  readonly files: StoredFile[];
  readonly folders: { id: string; parentId: string; name: string; status: string }[];
  add(name: string, data: Buffer, parentId?: string): RemoteFile;
  file(name: string): StoredFile | undefined;
  /** True: `before` has answered the request. */
  before: (request: Seen, response: ServerResponse, index: number) => boolean;
  /** True: the request is performed, but its connection is cut. */
  lose: (request: Seen, index: number) => boolean;
  /** Chunks must come in the order of the file. */
  inOrder: boolean;
}

export const credentials = {
  consumerKey: 'ck-7f',
  consumerSecret: 'cs-secret',
  token: 'tk-3a',
  tokenSecret: 'ts-secret',
};

export const md5 = (data: Buffer): string => createHash('md5').update(data).digest('hex');

export function source(data: Buffer): UploadSource & { reads: number } {
  const counted = {
    reads: 0,
    size: data.length,
    async *read(offset: number, length: number) {
      counted.reads += 1;
      for (let at = offset; at < offset + length; at += 65_536)
        yield data.subarray(at, Math.min(at + 65_536, offset + length));
    },
    md5: async () => md5(data),
  };
  return counted;
}

export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

/** A deadline that a slow machine keeps, and retries after milliseconds. */
export function providerFor(server: MiniServer, more: Partial<FourSharedOptions> = {}): Provider {
  const endpoints = { api: `${server.origin}/v1_2`, upload: `${server.origin}/up/v1_2` };
  const provider = createFourShared('4shared', { endpoints, credentials, deadlineMs: 10_000, ...more });
  onTestFinished(() => provider.close());
  return provider;
}

export async function miniAccount(more: Partial<FourSharedOptions> = {}): Promise<MiniAccount> {
  const files: StoredFile[] = [];
  const folders: MiniAccount['folders'] = [];
  let ids = 0;
  const hidden = (file: { status: string }): boolean => file.status === 'trashed' || file.status === 'incomplete';
  const asFile = (file: StoredFile): object => ({
    id: file.id,
    name: file.name,
    parentId: file.parentId,
    size: file.data.length,
    modified: '2024-01-02T03:04:05.000Z',
    md5: file.status === 'incomplete' ? null : md5(file.data),
    status: file.status,
    unknownField: { nested: true },
  });
  const taken = (parentId: string, name: string, except?: string): boolean =>
    [...files, ...folders].some(
      (o) => o.parentId === parentId && o.name === name && o.status !== 'trashed' && o.id !== except,
    );

  const work = (
    request: Seen,
  ): { status: number; value?: unknown; headers?: Record<string, string>; code?: string } => {
    const upload = request.path.startsWith('/up/');
    const path = request.path.replace(/^(\/up)?\/v1_2/, '');
    const [, collection, id, action] = path.split('/');
    const file = files.find((f) => f.id === id);
    const key = `${request.method} ${upload ? 'up ' : ''}${collection}${id === undefined ? '' : '/id'}${action === undefined ? '' : `/${action}`}`;
    const { form, query } = request;
    switch (key) {
      case 'POST up files': {
        const [parentId, name] = [query.get('folderId') ?? '', query.get('fileName') ?? ''];
        if (taken(parentId, name)) return { status: 403, code: '403.0201' };
        const made: StoredFile = { id: `f${++ids}`, parentId, name, status: 'normal', data: request.body, ranges: [] };
        files.push(made);
        return { status: 200, value: asFile(made) };
      }
      case 'PUT up files/id':
        if (file === undefined) return { status: 404, code: '404' };
        file.data = request.body;
        file.name = query.get('fileName') ?? file.name;
        return { status: 200, value: asFile(file) };
      case 'POST up upload': {
        const [parentId, name] = [form.get('folderId') ?? '', form.get('name') ?? ''];
        if (taken(parentId, name)) return { status: 403, code: '403.0201' };
        const data = Buffer.alloc(Number(form.get('size')));
        const made: StoredFile = { id: `u${++ids}`, parentId, name, status: 'incomplete', data, ranges: [] };
        files.push(made);
        return { status: 200, value: asFile(made) };
      }
      case 'POST up upload/id': {
        const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(request.headers['content-range'] ?? '');
        if (file === undefined) return { status: 404, code: '404' };
        if (match === null || Number(match[3]) !== file.data.length) return { status: 400, code: '400.0500' };
        const [start, end] = [Number(match[1]), Number(match[2]) + 1];
        const have = file.ranges.reduce((sum, [a, b]) => sum + b - a, 0);
        if (account.inOrder && start !== have) return { status: 400, code: '400.0500' };
        request.body.copy(file.data, start);
        file.ranges.push([start, end]);
        if (have + end - start < file.data.length) return { status: 308 };
        file.status = 'normal';
        return { status: 201 };
      }
      case 'GET up upload/id/status': {
        if (file === undefined) return { status: 404, code: '404' };
        if (file.status === 'normal') return { status: 201 };
        const range = file.ranges.map(([a, b]) => `${a}-${b - 1}`).join(', ');
        return { status: 308, headers: range === '' ? {} : { range } };
      }
      case 'GET files/id':
        return file === undefined ? { status: 404, code: '404' } : { status: 200, value: asFile(file) };
      case 'GET folder/id/files': {
        const offset = Number(query.get('offset'));
        const listed = files.filter((f) => f.parentId === id && !hidden(f));
        return { status: 200, value: { files: listed.slice(offset, offset + 100).map(asFile) } };
      }
      case 'GET folder/id/children': {
        const listed = folders.filter((f) => f.parentId === id && !hidden(f));
        const offset = Number(query.get('offset'));
        return { status: 200, value: listed.slice(offset, offset + 100) };
      }
      case 'POST folders': {
        const [parentId, name] = [form.get('parentId') ?? '', form.get('name') ?? ''];
        if (taken(parentId, name)) return { status: 403, code: '403.0201' };
        const made = { id: `d${++ids}`, parentId, name, status: 'normal' };
        folders.push(made);
        return { status: 200, value: made };
      }
      case 'PUT files/id':
      case 'POST files/id/move':
      case 'POST files/id/copy': {
        if (file === undefined) return { status: 404, code: '404' };
        const name = form.get('name') ?? file.name;
        const parentId = form.get('folderId') ?? file.parentId;
        if (taken(parentId, name, file.id)) return { status: 403, code: '403.0201' };
        if (action === 'copy') {
          const made = { ...file, id: `f${++ids}`, parentId, name };
          files.push(made);
          return { status: 200, value: asFile(made) };
        }
        Object.assign(file, { name, parentId });
        return { status: 200, value: asFile(file) };
      }
      case 'POST files/id/trash':
      case 'POST files/id/untrash':
        if (file === undefined) return { status: 404, code: '404' };
        if ((file.status === 'trashed') === (action === 'trash'))
          return { status: 403, code: action === 'trash' ? '403.0223' : '403.0224' };
        file.status = action === 'trash' ? 'trashed' : 'normal';
        return { status: 200, value: asFile(file) };
      case 'DELETE files/id':
        if (file === undefined) return { status: 404, code: '404' };
        files.splice(files.indexOf(file), 1);
        return { status: 204 };
      default:
        return { status: 404, code: '404' };
    }
  };

  const server = await miniServer((request, response, index) => {
    if (account.before(request, response, index)) return;
    const { status, value, headers, code } = work(request);
    if (account.lose(request, index)) hangUp(response);
    else if (code !== undefined) fail(response, code);
    else if (value !== undefined) json(response, value, status);
    else response.writeHead(status, headers).end();
  });
  const account: MiniAccount = {
    server,
    provider: providerFor(server, more),
    files,
    folders,
    before: () => false,
    lose: () => false,
    inOrder: false,
    file: (name) => files.find((f) => f.name === name && !hidden(f)),
    add(name, data, parentId = 'root') {
      const id = `f${++ids}`;
      files.push({ id, parentId, name, status: 'normal', data, ranges: [] });
      const modified = Date.parse('2024-01-02T03:04:05.000Z');
      return { kind: 'file', id, parentId, name, size: data.length, modified, md5: md5(data), access: 'write' };
    },
  };
  return account;
}

/** A file that comes in several ranges. */
export const data = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
export const file: RemoteFile = {
  kind: 'file',
  id: 'f1',
  parentId: 'root',
  name: 'a.bin',
  size: data.length,
  modified: 1000,
  md5: md5(data),
  access: 'write',
};
