import { expect, test } from 'vitest';
import type { UploadSource } from '../../../src/providers/content.js';
import {
  type ContractSetup,
  existing,
  expectActs,
  failure,
  goneFolder,
  md5,
  noise,
  type Rooms,
  source,
  testIf,
  treeOf,
} from '../bench.js';

const MiB = 1024 * 1024;

export function uploadContract(rooms: Rooms, setup: ContractSetup): void {
  const { capabilities } = setup;
  for (const [title, size] of [
    ['0 bytes', 0],
    ['1 byte', 1],
    ['a little', 4096],
    ['1 MiB', MiB],
  ] as const) {
    test(`${title} are stored in one request, and told as the server has them`, async () => {
      const room = rooms();
      const content = noise(size);
      const sent: number[] = [];
      const stored = await room.provider.upload({ parentId: room.folder.id, name: 'f' }, source(content), {
        onProgress: (bytes) => sent.push(bytes),
      });
      expect(stored).toMatchObject({ kind: 'file', parentId: room.folder.id, name: 'f', size });
      expect(stored.md5).toBe(capabilities.md5 ? md5(content) : null);
      expect(treeOf(room)).toEqual({ f: md5(content) });
      expectActs(room, setup, 'upload');
      expect(await room.provider.stat(stored)).toEqual(stored);
      expect(sent.at(-1)).toBe(size);
      expect(Math.max(...sent)).toBe(size);
    });

    test(`${title} replace what was there, in one request`, async () => {
      const room = rooms();
      const replaces = await existing(room, 'f', 'old content');
      const content = noise(size);
      const target = { parentId: room.folder.id, name: 'f', replaces };
      const stored = await room.provider.upload(target, source(content));
      expect(stored).toMatchObject({ name: 'f', size });
      expect(treeOf(room)).toEqual({ f: md5(content) });
      expectActs(room, setup, 'replace');
    });
  }

  test('many small files at once are all stored', async () => {
    const room = rooms();
    const names = Array.from({ length: 60 }, (_, n) => `f${n}`);
    await Promise.all(
      names.map((name) => room.provider.upload({ parentId: room.folder.id, name }, source(Buffer.from(name)))),
    );
    expect(treeOf(room)).toEqual(Object.fromEntries(names.map((name) => [name, md5(Buffer.from(name))])));
    expect(room.server.requests('upload')).toHaveLength(60);
  });

  test('a name that is taken is exists, and the other file stays', async () => {
    const room = rooms();
    await existing(room, 'f', 'somebody else');
    const before = treeOf(room);
    const upload = room.provider.upload({ parentId: room.folder.id, name: 'f' }, source(Buffer.from('ours')));
    await expect(upload).rejects.toMatchObject({ code: 'exists' });
    expect(treeOf(room)).toEqual(before);
  });

  test('into a folder that is gone, or over a file that is gone, is not-found', async () => {
    const room = rooms();
    const content = source(Buffer.from('x'));
    await expect(room.provider.upload({ parentId: await goneFolder(room), name: 'f' }, content)).rejects.toMatchObject({
      code: 'not-found',
    });
    const replaces = await existing(room, 'f', 'old');
    room.store.remove(`${room.path}/f`);
    const target = { parentId: room.folder.id, name: 'f', replaces };
    await expect(room.provider.upload(target, content)).rejects.toMatchObject({ code: 'not-found' });
    expect(treeOf(room)).toEqual({});
  });

  test('what the server stores wrongly is integrity, and does not keep the name', async () => {
    const room = rooms();
    room.server.fault('upload', { kind: 'corrupt', where: 'request', at: 100 }, { times: 1 });
    const content = noise(4096);
    const target = { parentId: room.folder.id, name: 'f' };
    // A server that is told the md5 refuses it by itself: then it is sent again at once.
    const outcome = await room.provider.upload(target, source(content)).catch((error: unknown) => error);
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({ code: 'integrity' });
      expect(treeOf(room)).toEqual({});
    }
    if (outcome instanceof Error) await room.provider.upload(target, source(content));
    expect(treeOf(room)).toEqual({ f: md5(content) });
  });

  test('a new version that the server stores wrongly is integrity, and the next try mends it', async () => {
    const room = rooms();
    const replaces = await existing(room, 'f', 'old');
    room.server.fault('replace', { kind: 'corrupt', where: 'request', at: 100 }, { times: 1 });
    const content = noise(4096);
    const target = { parentId: room.folder.id, name: 'f', replaces };
    const outcome = await room.provider.upload(target, source(content)).catch((error: unknown) => error);
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'integrity' });
    else expect(treeOf(room)).toEqual({ f: md5(content) });
    await room.provider.upload(target, source(content));
    expect(treeOf(room)).toEqual({ f: md5(content) });
  });

  test('without space is quota, over the plan is too-large, one too many is limit: and nothing is stored', async () => {
    const room = rooms();
    const upload = (size: number): Promise<unknown> =>
      room.provider.upload({ parentId: room.folder.id, name: 'f' }, source(noise(size)));
    room.server.limit('file-size', 1000);
    await expect(upload(1001)).rejects.toMatchObject({ code: 'too-large' });
    room.server.limit('files-in-folder', 0);
    await expect(upload(10)).rejects.toMatchObject({ code: 'limit' });
    room.server.limit('files-in-folder', 100);
    room.server.limit('quota', 10);
    await expect(upload(500)).rejects.toMatchObject({ code: 'quota' });
    expect(treeOf(room)).toEqual({});
    // A retry helps with none of them.
    expect(room.server.requests('upload')).toHaveLength(3);
  });

  testIf(capabilities.resumableUpload, 'the provider has no upload in parts')(
    'the same limits hold for a large file, also when it replaces one',
    async () => {
      const room = rooms();
      const replaces = await existing(room, 'old', 'old');
      room.server.limit('file-size', MiB);
      for (const target of [
        { parentId: room.folder.id, name: 'f' },
        { parentId: room.folder.id, name: 'old', replaces },
      ]) {
        const upload = room.provider.upload(target, source(noise(3 * MiB)));
        await expect(upload).rejects.toMatchObject({ code: 'too-large' });
      }
      room.server.limit('quota', MiB);
      room.server.limit('file-size', 10 * MiB);
      const upload = room.provider.upload({ parentId: room.folder.id, name: 'f' }, source(noise(3 * MiB)));
      await expect(upload).rejects.toMatchObject({ code: 'quota' });
      expect(treeOf(room)).toEqual({ old: md5(Buffer.from('old')) });
    },
  );

  for (const [title, broken] of [
    [
      'that cannot be read',
      // biome-ignore lint/correctness/useYield: it fails before its first byte.
      async function* () {
        throw new Error('EIO: the disk');
      },
    ],
    [
      'that is shorter than it said',
      async function* () {
        yield Buffer.from('short');
      },
    ],
  ] as const) {
    for (const size of [4096, 600_000]) {
      test(`content of ${size} bytes ${title} is integrity, and nothing is stored`, async () => {
        const room = rooms();
        const content: UploadSource = { size, read: broken, md5: async () => 'f'.repeat(32) };
        const { error } = await failure(room.provider.upload({ parentId: room.folder.id, name: 'f' }, content));
        expect(error).toMatchObject({ name: 'ProviderError', code: 'integrity' });
        expect(treeOf(room)).toEqual({});
      });
    }
  }
}
