import { describe, expect, test } from 'vitest';
import type { RemoteFolder } from '../../../src/providers/provider.js';
import { fail, json, type MiniServer, miniServer } from '../mini-server.js';
import { providerFor } from './mini-account.js';

const folder = (fileCount: number | null, folderCount: number | null): RemoteFolder => ({
  kind: 'folder',
  id: 'd 1',
  parentId: 'root',
  name: 'd',
  modified: 0,
  access: 'write',
  fileCount,
  folderCount,
});
const rawFile = (n: number, more: object = {}): object => ({
  id: `f${n}`,
  name: `n${n}`,
  size: n,
  modified: '2024-01-01T00:00:00Z',
  ...more,
});
const rawFolder = (n: number): object => ({
  id: `d${n}`,
  name: `d${n}`,
  numFiles: 3,
  numChildren: 0,
  userPermissions: 'read',
});

/** A folder of `files` and `folders`, in pages of at most 100. */
function serve(files: object[], folders: object[], wrap = true): Promise<MiniServer> {
  return miniServer((request, response) => {
    const isFiles = request.path.endsWith('/files');
    const offset = Number(request.query.get('offset'));
    const page = (isFiles ? files : folders).slice(offset, offset + Math.min(100, Number(request.query.get('limit'))));
    json(response, wrap ? { [isFiles ? 'files' : 'folders']: page } : page);
  });
}
const many = (n: number, of: (i: number) => object = rawFile): object[] => Array.from({ length: n }, (_, i) => of(i));

describe('list', () => {
  test.each([
    { files: 0, folders: 0, counts: [0, 0], fresh: true, requests: 0 },
    { files: 5, folders: 0, counts: [5, 0], fresh: true, requests: 1 },
    { files: 100, folders: 100, counts: [100, 100], fresh: true, requests: 2 },
    { files: 250, folders: 101, counts: [250, 101], fresh: true, requests: 5 },
    { files: 250, folders: 0, counts: [null, null], fresh: false, requests: 4 },
    { files: 5, folders: 0, counts: [0, 0], fresh: false, requests: 2 },
    { files: 250, folders: 0, counts: [120, 0], fresh: true, requests: 3 },
    { files: 120, folders: 0, counts: [250, 0], fresh: true, requests: 3 },
    { files: 300, folders: 0, counts: [200, 0], fresh: false, requests: 5 },
  ])('%o', async ({ files, folders, counts, fresh, requests }) => {
    const server = await serve(many(files), many(folders, rawFolder));
    const provider = providerFor(server);
    const entries = await provider.list(folder(counts[0] ?? null, counts[1] ?? null), { countsAreFresh: fresh });
    expect(entries.filter((entry) => entry.kind === 'file')).toHaveLength(files);
    expect(entries.filter((entry) => entry.kind === 'folder')).toHaveLength(folders);
    expect(server.seen).toHaveLength(requests);
  });

  test('bare arrays, hidden states, duplicates, missing and unknown fields', async () => {
    const files = [
      rawFile(1, { status: 'normal', md5: 'ABCDEF0123456789ABCDEF0123456789', extra: [1] }),
      rawFile(2, { status: 'trashed' }),
      rawFile(3, { status: 'incomplete', size: null }),
      rawFile(4, { status: 'deleted' }),
      rawFile(5, { md5: '', size: '77', modified: null }),
      rawFile(1, { status: 'normal', md5: 'ABCDEF0123456789ABCDEF0123456789' }),
      rawFile(6, { status: 'conflicted', md5: null }),
    ];
    const server = await serve(files, [rawFolder(1)], false);
    const entries = await providerFor(server).list(folder(null, null));
    expect(entries).toEqual([
      {
        kind: 'folder',
        id: 'd1',
        parentId: 'd 1',
        name: 'd1',
        modified: 0,
        access: 'read',
        fileCount: 3,
        folderCount: 0,
      },
      {
        kind: 'file',
        id: 'f1',
        parentId: 'd 1',
        name: 'n1',
        size: 1,
        modified: 1_704_067_200_000,
        md5: 'abcdef0123456789abcdef0123456789',
        access: 'write',
      },
      { kind: 'file', id: 'f5', parentId: 'd 1', name: 'n5', size: 77, modified: 0, md5: null, access: 'write' },
      {
        kind: 'file',
        id: 'f6',
        parentId: 'd 1',
        name: 'n6',
        size: 6,
        modified: 1_704_067_200_000,
        md5: null,
        access: 'write',
      },
    ]);
    expect(server.lines().sort()).toEqual(['GET /v1_2/folder/d%201/children', 'GET /v1_2/folder/d%201/files']);
  });

  test('the other spelling of a route is tried once and remembered', async () => {
    const server = await miniServer((request, response) => {
      if (request.path.includes('/folder/')) fail(response, '405.0211');
      else json(response, { files: [], folders: [] });
    });
    const provider = providerFor(server);
    await provider.list(folder(null, null));
    const before = server.seen.length;
    await provider.list(folder(null, null));
    expect(server.lines().slice(before).sort()).toEqual([
      'GET /v1_2/folders/d%201/children',
      'GET /v1_2/folders/d%201/files',
    ]);
  });

  test('a folder that is gone is not-found', async () => {
    const server = await miniServer((_request, response) => fail(response, '404'));
    await expect(providerFor(server).list(folder(null, null))).rejects.toMatchObject({ code: 'not-found' });
  });

  test('stat hides what is in the trash', async () => {
    const server = await miniServer((request, response) =>
      json(
        response,
        request.path.includes('/files/') ? rawFile(1, { status: 'trashed' }) : { ...rawFolder(1), parentId: 'root' },
      ),
    );
    const provider = providerFor(server);
    await expect(provider.stat({ kind: 'file', id: 'f1' })).rejects.toMatchObject({ code: 'not-found' });
    await expect(provider.stat({ kind: 'folder', id: 'd1' })).resolves.toMatchObject({
      parentId: 'root',
      fileCount: 3,
    });
  });
});
