import { expect, test } from 'vitest';
import type { RemoteEntry, RemoteFolder } from '../../../src/providers/provider.js';
import type { Entry } from '../../../src/sandbox/index.js';
import {
  asFolder,
  type ContractSetup,
  existing,
  folderOf,
  noise,
  type Room,
  type Rooms,
  source,
  testIf,
} from '../bench.js';

/** n files and m folders. */
const shapes: readonly (readonly [number, number])[] = [
  [0, 0],
  [1, 0],
  [0, 1],
  [100, 0],
  [101, 2],
  [250, 3],
  [2, 101],
];

async function fill({ store, path }: Room, files: number, folders: number): Promise<void> {
  const pad = (n: number): string => String(n).padStart(4, '0');
  for (let n = 0; n < files; n++) await store.putFile(`${path}/inside/file-${pad(n)}`, `content ${n}`);
  for (let n = 0; n < folders; n++) store.makeFolder(`${path}/inside/folder-${pad(n)}`);
  store.makeFolder(`${path}/inside`);
}

/** The folder `inside` as in a fresh listing of its parent. */
async function told({ provider, server, folder }: Room): Promise<RemoteFolder> {
  const [inside] = await provider.list(folder);
  server.forget();
  if (inside === undefined) throw new Error('the folder is not listed');
  return asFolder(inside);
}

const summary = (entries: readonly (Entry | RemoteEntry)[]): string[] =>
  entries.map(({ kind, id, name }) => `${kind} ${id} ${name}`).sort();

export function listContract(rooms: Rooms, { capabilities, costs, tellsCounts = true }: ContractSetup): void {
  const real = testIf(capabilities.folders === 'real', 'folders exist only through their files');

  for (const [files, folders] of shapes) {
    test(`a folder of ${files} files and ${folders} folders is listed whole, each entry once, in no more requests than its pages`, async () => {
      const room = rooms();
      const { provider, server, store, path } = room;
      await fill(room, files, folders);
      const inside = await told(room);
      const expected = summary(store.list(`${path}/inside`));

      const fresh = await provider.list(inside, { countsAreFresh: true });
      expect(summary(fresh)).toEqual(expected);
      expect(server.requests()).toHaveLength(costs.list({ files, folders, countsAreFresh: true }));

      server.forget();
      expect(summary(await provider.list(inside))).toEqual(expected);
      expect(server.requests().length).toBeLessThanOrEqual(costs.list({ files, folders, countsAreFresh: false }));

      server.forget();
      const unknown = { ...inside, fileCount: null, folderCount: null };
      expect(summary(await provider.list(unknown, { countsAreFresh: true }))).toEqual(expected);
      expect(server.requests().length).toBeLessThanOrEqual(costs.list({ files, folders, countsAreFresh: false }));
    });
  }

  test('a listing tells every attribute, so that no entry needs a request of its own', async () => {
    const { provider, store, folder, path } = rooms();
    const content = noise(1234);
    const stored = await store.putFile(`${path}/a.bin`, content, { modified: 1_500_000_000_000 });
    store.makeFolder(`${path}/sub`);
    await store.putFile(`${path}/sub/x`, 'x');
    const entries = await provider.list(folder);
    expect(entries.find(({ kind }) => kind === 'file')).toEqual({
      kind: 'file',
      id: stored.id,
      parentId: folder.id,
      name: 'a.bin',
      size: 1234,
      modified: 1_500_000_000_000,
      md5: capabilities.md5 ? stored.md5 : null,
      access: 'write',
    });
    expect(entries.find(({ kind }) => kind === 'folder')).toMatchObject({
      parentId: folder.id,
      name: 'sub',
      access: 'write',
      ...(capabilities.folders === 'real' && tellsCounts ? { fileCount: 1, folderCount: 0 } : {}),
    });
  });

  for (const [title, counts] of [
    ['too low', { fileCount: 3, folderCount: 1 }],
    ['too high', { fileCount: 900, folderCount: 300 }],
    ['zero', { fileCount: 0, folderCount: 0 }],
  ] as const) {
    real(`counts that are stale and ${title} cost requests, never entries`, async () => {
      const room = rooms();
      const { provider, store, path } = room;
      await fill(room, 120, 2);
      const inside = { ...(await told(room)), ...counts };
      expect(summary(await provider.list(inside))).toEqual(summary(store.list(`${path}/inside`)));
    });
  }

  test('two files of one name are both listed', async () => {
    const { provider, store, folder } = rooms();
    const one = await store.putFileIn(folder.id, 'twin', 'one');
    const two = await store.putFileIn(folder.id, 'twin', 'two', true);
    const entries = await provider.list(folder);
    expect(entries.map(({ id }) => id).sort()).toEqual([one.id, two.id].sort());
  });

  testIf(capabilities.trash, 'the provider has no trash')(
    'what is in the trash is not listed and not found',
    async () => {
      const room = rooms();
      const { provider, store, folder, path } = room;
      const file = await existing(room, 'gone', 'x');
      store.remove(`${path}/gone`, { trash: true });
      expect(await provider.list(folder)).toEqual([]);
      await expect(provider.stat(file)).rejects.toMatchObject({ code: 'not-found' });
    },
  );

  testIf(capabilities.resumableUpload, 'the provider has no upload in parts')(
    'an upload that is not complete is not listed and not found',
    async () => {
      const { provider, server, store, folder, path } = rooms();
      server.fault('upload-chunk', { kind: 'status', status: 403 });
      const content = noise(3 * 1024 * 1024);
      await expect(provider.upload({ parentId: folder.id, name: 'big' }, source(content))).rejects.toMatchObject({
        code: 'permission',
      });
      const [unfinished] = store.tree().filter((entry) => entry.path.startsWith(`${path}/`));
      expect(await provider.list(folder)).toEqual([]);
      if (unfinished !== undefined)
        await expect(provider.stat({ kind: 'file', id: unfinished.id })).rejects.toMatchObject({ code: 'not-found' });
    },
  );

  test('a folder that is gone is not-found', async () => {
    const { provider, store, folder, path } = rooms();
    store.makeFolder(path);
    store.remove(path);
    await expect(provider.list(folder)).rejects.toMatchObject({ code: 'not-found' });
    await expect(provider.stat(folder)).rejects.toMatchObject({ code: 'not-found' });
    await expect(provider.stat({ kind: 'file', id: 'nobody' })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('stat tells a file as the listing does, and sees a change at once', async () => {
    const room = rooms();
    const { provider, store, folder, path } = room;
    const file = await existing(room, 'a', 'one');
    expect(await provider.list(folder)).toEqual([file]);
    await store.putFile(`${path}/a`, 'another');
    expect(await provider.stat(file)).toMatchObject({ id: file.id, size: 7 });
  });

  real('stat tells a folder with its counts', async () => {
    const { provider, store, folder, path } = rooms();
    await store.putFile(`${path}/a`, 'x');
    store.makeFolder(`${path}/sub`);
    expect(await provider.stat(folder)).toMatchObject({
      kind: 'folder',
      id: folder.id,
      ...(tellsCounts ? { fileCount: 1, folderCount: 1 } : {}),
    });
  });

  real('a folder that may only be read is told so, with what is in it', async () => {
    const { provider, server, store, folder, path } = rooms();
    await store.putFile(`${path}/shared/a`, 'x');
    server.forbidWriting(`${path}/shared`);
    const [shared] = await provider.list(folder);
    expect(shared).toMatchObject({ name: 'shared', access: 'read' });
    const [inner] = await provider.list(shared as RemoteFolder);
    expect(inner).toMatchObject({ name: 'a', access: 'read' });
    const into = { parentId: shared?.id ?? '', name: 'new' };
    await expect(provider.upload(into, source(Buffer.from('x')))).rejects.toMatchObject({ code: 'permission' });
  });

  test('background listings are as right as foreground ones', async () => {
    const room = rooms();
    await fill(room, 30, 3);
    const inside = folderOf(room.store.makeFolder(`${room.path}/inside`));
    const listings = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        room.provider.list(inside, { priority: n % 2 === 0 ? 'background' : 'foreground' }),
      ),
    );
    for (const entries of listings) expect(entries).toHaveLength(capabilities.folders === 'real' ? 33 : 30);
  });
}
