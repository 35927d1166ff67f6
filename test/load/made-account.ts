/**
 * A server of 4shared's protocol with an account of any size that takes no memory: each page of a listing is made when it is asked for.
 * The sandbox keeps every object; a million of them would measure the sandbox.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** "Default (and max value) is 100." */
const pageSize = 100;
const modified = '2024-01-01T00:00:00.000Z';
const rootId = 'madeRoot';

export interface MadeAccountShape {
  readonly folders: number;
  /** In each folder. */
  readonly files: number;
  /** The server does not know pages: the first one has everything, and there is no other. */
  readonly inOneAnswer?: boolean;
}

export interface MadeAccount {
  readonly url: string;
  /** Requests so far. */
  requests(): number;
  close(): Promise<void>;
}

const pad = (n: number): string => String(n).padStart(6, '0');

/** Two digests of a file: its MD5, and its id, which are in no order, as those of the service. */
function digests(folder: number, index: number): { md5: string; id: string } {
  const digest = createHash('md5').update(`${folder}/${index}`).digest();
  // Ten letters of 6 bits: of a million objects no two have the same.
  return { md5: digest.toString('hex'), id: digest.toString('base64url').slice(0, 10).replace(/^-/, 'x') };
}

/** With every field that the documents show. */
function file(folder: number, index: number, isShort: boolean): object {
  const { id, md5 } = digests(folder, index);
  const name = `file-${pad(index)}.txt`;
  // Answers of over 32 MiB are refused: where there is only one, it has the fields that matter.
  if (isShort) return { id, name, size: 1000 + index, modified, md5 };
  return {
    ...{ id, name, size: 1000 + index, modified, description: null, tags: null },
    ...{ path: `/folder-${pad(folder)}/${name}`, parentId: `d${folder}` },
    ...{ downloadPage: `https://www.4shared.com/file/${id}/${name}.html`, ownerId: 'owner', mimeType: 'text/plain' },
    ...{ exif: null, md5, ownerOnly: false, status: 'normal' },
    ...{ virusScanResult: 'clean', id3: null },
  };
}

function folder(index: number, files: number): object {
  const id = `d${index}`;
  const name = `folder-${pad(index)}`;
  return {
    ...{ id, name, description: '', parentId: rootId, path: `/${name}`, modified, access: 'private' },
    ...{ numChildren: 0, numFiles: files, ownerId: 'owner', permissions: 'read', passwordProtected: false },
    ...{ folderLink: `https://www.4shared.com/folder/${id}/${name}.html`, userPermissions: 'write', status: 'normal' },
    hasMembers: false,
  };
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
  let requests = 0;
  const page = (count: number, query: URLSearchParams): number[] => pageOf(count, query, inOneAnswer);
  const answer = (path: string, query: URLSearchParams): object | undefined => {
    if (path === '/user') return user;
    const [, id, part] = /^\/folders?\/(\w+)\/(files|children)$/.exec(path) ?? [];
    if (id === undefined) return undefined;
    const isRoot = id === rootId;
    if (part === 'children') return { folders: page(isRoot ? folders : 0, query).map((at) => folder(at, files)) };
    const at = Number(id.slice(1));
    return { files: page(isRoot ? 0 : files, query).map((index) => file(at, index, inOneAnswer)) };
  };
  const server = createServer((request, response) => {
    requests++;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const json = answer(pathname.replace(/^\/v1_2/, ''), searchParams);
    const text = JSON.stringify(json ?? { code: '404.0001', message: 'no such object' });
    response.writeHead(json === undefined ? 404 : 200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
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
