/** The daily work of a mount, in one test. It must work under every reading of the documents of 5sync and Acronis. */
import { expect } from 'vitest';
import type { RemoteFile } from '../../src/providers/provider.js';
import { type ContractSetup, failure, md5, noise, type Room, readRange, source, treeOf } from './bench.js';

const small = noise(3000, 31);

/** Lists, uploads, replaces and reads, small and large, and deletes. */
export async function dailyWork(room: Room, sizes: ContractSetup['sizes'], canDelete = true): Promise<void> {
  const { provider, store, folder, path } = room;
  for (let n = 0; n < 103; n++) await store.putFile(`${path}/many/f${n}`, 'x');
  const [many] = await provider.list(folder);
  expect(many).toMatchObject({ kind: 'folder', name: 'many' });
  if (many?.kind !== 'folder') return;
  const names = (await provider.list(many)).map(({ name }) => name).sort();
  expect(names).toEqual(Array.from({ length: 103 }, (_, n) => `f${n}`).sort());
  store.remove(`${path}/many`);

  const target = { parentId: folder.id, name: 'File.bin' };
  let file: RemoteFile | undefined;
  for (const content of [small, Buffer.alloc(0), noise(sizes.simple * 2 + 1, 32), noise(sizes.simple + 9, 33), small]) {
    const before = file;
    file = await provider.upload({ ...target, replaces: before }, source(content));
    expect(file).toMatchObject({ name: 'File.bin', size: content.length, parentId: folder.id });
    expect(treeOf(room)).toEqual({ 'File.bin': md5(content) });
    for (const [offset, length] of [
      [0, 1],
      [1000, 1500],
      [content.length - 9, 9],
    ] as const) {
      if (content.length === 0) continue;
      const bytes = await readRange(provider, file, offset, length);
      expect(bytes.equals(content.subarray(offset, offset + length))).toBe(true);
    }
    if (before !== undefined && before.size > content.length)
      expect((await failure(readRange(provider, before, 0, 5))).error).toMatchObject({
        code: expect.stringMatching(/^(revision-changed|not-found)$/),
      });
    expect(await provider.list(folder)).toEqual([file]);
  }
  if (file === undefined || !canDelete) return;
  await provider.remove(file);
  expect(treeOf(room)).toEqual({});
  await expect(provider.stat(file)).rejects.toMatchObject({ code: 'not-found' });
}
