/**
 * A server of 4shared's protocol with an account of any size that takes no memory: each page of a listing is made when it is asked for.
 * The sandbox keeps every object; a million of them would measure the sandbox.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type MadeFile, madeMetadata } from './made-metadata.js';

/** "Default (and max value) is 100." */
const pageSize = 100;
const modified = '2024-01-01T00:00:00.000Z';
const rootId = 'madeRoot';
const storeId = 'madeStore';

export interface MadeAccountShape {
  readonly folders: number;
  /** In each folder. */
  readonly files: number;
  /** The server does not know pages: the first one has everything, and there is no other. */
  readonly inOneAnswer?: boolean;
  /** The account carries the modes of all files, 0640, in its metadata. */
  readonly hasMetadata?: boolean;
  /** Files can be read: each has the few letters whose MD5 it has always. */
  readonly hasContents?: boolean;
}

export interface MadeAccount {
  readonly url: string;
  /** Requests so far. */
  requests(): number;
  close(): Promise<void>;
}

const pad = (n: number): string => String(n).padStart(6, '0');

const contentOf = (folder: number, index: number): string => `${folder}/${index}`;

/** Two digests of a file: its MD5, and its id, which are in no order, as those of the service. */
function digests(folder: number, index: number): { md5: string; id: string } {
  const digest = createHash('md5').update(contentOf(folder, index)).digest();
  // Ten letters of 6 bits: of a million objects no two have the same.
  return { md5: digest.toString('hex'), id: digest.toString('base64url').slice(0, 10).replace(/^-/, 'x') };
}

const nameOf = (index: number): string => `file-${pad(index)}.txt`;

/** With every field that the documents show. */
function file(folder: number, index: number, { inOneAnswer: isShort, hasContents }: MadeAccountShape): object {
  const { id, md5 } = digests(folder, index);
  const name = nameOf(index);
  const size = hasContents ? contentOf(folder, index).length : 1000 + index;
  // Answers of over 32 MiB are refused: where there is only one, it has the fields that matter.
  if (isShort) return { id, name, size, modified, md5 };
  return {
    ...{ id, name, size, modified, description: null, tags: null },
    ...{ path: `/folder-${pad(folder)}/${name}`, parentId: `d${folder}` },
    ...{ downloadPage: `https://www.4shared.com/file/${id}/${name}.html`, ownerId: 'owner', mimeType: 'text/plain' },
    ...{ exif: null, md5, ownerOnly: false, status: 'normal' },
    ...{ virusScanResult: 'clean', id3: null },
  };
}

function folder(index: number, files: number): object {
  return folderOf(`d${index}`, `folder-${pad(index)}`, files);
}

function folderOf(id: string, name: string, files: number): object {
  return {
    ...{ id, name, description: '', parentId: rootId, path: `/${name}`, modified, access: 'private' },
    ...{ numChildren: 0, numFiles: files, ownerId: 'owner', permissions: 'read', passwordProtected: false },
    ...{ folderLink: `https://www.4shared.com/folder/${id}/${name}.html`, userPermissions: 'write', status: 'normal' },
    hasMembers: false,
  };
}

/** A file of the metadata. */
function storeFile(at: number, { name, md5, bytes }: MadeFile): object {
  return { id: `store${at}`, name, size: bytes.length, modified, md5 };
}

const user = {
  ...{ id: 'owner', email: 'made@example.com', firstName: 'Made', lastName: 'Account', plan: 'FREE' },
  ...{ freeSpace: 1e12, totalSpace: 2e12, uploadSizeLimit: 1e10, rootFolderId: rootId, created: modified },
};

/** The indexes of a page of `count` objects. */
function pageOf(count: number, query: URLSearchParams, inOneAnswer: boolean): number[] {
  const offset = Number(query.get('offset') ?? 0);
  if (inOneAnswer) return Array.from({ length: offset === 0 ? count : 0 }, (_, i) => i);
  const limit = Math.min(Number(query.get('limit') ?? pageSize), pageSize);
  return Array.from({ length: Math.max(0, Math.min(limit, count - offset)) }, (_, i) => offset + i);
}

export async function startMadeAccount(shape: MadeAccountShape): Promise<MadeAccount> {
  const { folders, files, inOneAnswer = false } = shape;
  const ofFile = (at: number, index: number) => ({ folder: `d${at}`, name: nameOf(index), id: digests(at, index).id });
  const store = shape.hasMetadata ? madeMetadata(shape, ofFile) : [];
  const contents = new Map<string, string>();
  for (let at = 0; shape.hasContents && at < folders; at++)
    for (let index = 0; index < files; index++) contents.set(digests(at, index).id, contentOf(at, index));
  let requests = 0;
  const page = (count: number, query: URLSearchParams): number[] => pageOf(count, query, inOneAnswer);
  const answer = (path: string, query: URLSearchParams): object | Buffer | undefined => {
    if (path === '/user') return user;
    const [, inStore] = /^\/files\/store(\d+)\/download$/.exec(path) ?? [];
    if (inStore !== undefined) return store[Number(inStore)]?.bytes;
    const [, read] = /^\/files\/(.+)\/download$/.exec(path) ?? [];
    if (read !== undefined) {
      const content = contents.get(read);
      return content === undefined ? undefined : Buffer.from(content);
    }
    const [, id, part] = /^\/folders?\/(\w+)\/(files|children)$/.exec(path) ?? [];
    if (id === undefined) return undefined;
    const isRoot = id === rootId;
    if (id === storeId) {
      if (part === 'children') return { folders: [] };
      return { files: page(store.length, query).map((at) => storeFile(at, store[at] as MadeFile)) };
    }
    if (part === 'children') {
      const [own, ofStore] = isRoot ? [folders, store.length > 0 ? 1 : 0] : [0, 0];
      const made = (at: number): object =>
        at < own ? folder(at, files) : folderOf(storeId, '.syncmount', store.length);
      return { folders: page(own + ofStore, query).map(made) };
    }
    const at = Number(id.slice(1));
    return { files: page(isRoot ? 0 : files, query).map((index) => file(at, index, shape)) };
  };
  const server = createServer((request, response) => {
    requests++;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const json = answer(pathname.replace(/^\/v1_2/, ''), searchParams);
    const isBytes = Buffer.isBuffer(json);
    const body = isBytes ? json : Buffer.from(JSON.stringify(json ?? { code: '404.0001', message: 'no such object' }));
    response.writeHead(json === undefined ? 404 : 200, {
      'content-type': isBytes ? 'application/octet-stream' : 'application/json',
      'content-length': body.length,
    });
    response.end(body);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1_2`,
    requests: () => requests,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
