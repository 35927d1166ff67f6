/** The daily work of a mount, in a few steps each. It must work under every reading of the documents. */
import { expect, test } from 'vitest';
import type { RemoteFile, UploadCheckpoint } from '../../../src/providers/provider.js';
import {
  asFile,
  asFolder,
  type ContractSetup,
  existing,
  existingFolder,
  failure,
  md5,
  noise,
  type Room,
  type Rooms,
  readRange,
  source,
  treeOf,
} from '../bench.js';

const small = noise(3000, 31);
const old = Buffer.from('old');

type Step = (room: Room, sizes: ContractSetup['sizes']) => Promise<void>;

/** The steps by the promise that each of them checks. */
export const essentials: Readonly<Record<string, Step>> = {
  'a folder of 101 files and 2 folders is listed whole, whatever its counts say': async (room) => {
    for (let n = 0; n < 101; n++) await room.store.putFile(`${room.path}/inside/f${n}`, 'x');
    for (let n = 0; n < 2; n++) room.store.makeFolder(`${room.path}/inside/d${n}`);
    const inside = asFolder((await room.provider.list(room.folder))[0] as never);
    const names = (await room.provider.list(inside)).map(({ name }) => name).sort();
    expect(names).toEqual(
      room.store
        .list(`${room.path}/inside`)
        .map(({ name }) => name)
        .sort(),
    );
  },

  'a small file is stored, read in ranges, replaced by a small one, and never mixed': async (room) => {
    const target = { parentId: room.folder.id, name: 'Small.txt' };
    const stored = await room.provider.upload(target, source(small));
    expect(stored).toMatchObject({ name: 'Small.txt', size: small.length, parentId: room.folder.id });
    for (const [offset, length] of [
      [0, 1],
      [1000, 1500],
      [2999, 1],
      [0, 3000],
    ] as const)
      expect(
        (await readRange(room.provider, stored, offset, length)).equals(small.subarray(offset, offset + length)),
      ).toBe(true);
    const replaced = await room.provider.upload({ ...target, replaces: stored }, source(Buffer.alloc(0)));
    expect(replaced).toMatchObject({ name: 'Small.txt', size: 0 });
    expect(treeOf(room)).toEqual({ 'Small.txt': md5(Buffer.alloc(0)) });
    expect((await failure(readRange(room.provider, stored, 5, 5))).error).toMatchObject({ code: 'revision-changed' });
  },

  'a large file is stored in chunks, read, replaced by a large one, and that by a small one': async (room, sizes) => {
    const target = { parentId: room.folder.id, name: 'Large.bin' };
    const one = noise(sizes.simple * 2 + 1, 32);
    const two = noise(sizes.simple + sizes.chunk, 33);
    let file = await room.provider.upload(target, source(one));
    expect(file).toMatchObject({ name: 'Large.bin', size: one.length, parentId: room.folder.id });
    expect((await readRange(room.provider, file, one.length - 9, 9)).equals(one.subarray(-9))).toBe(true);
    file = await room.provider.upload({ ...target, replaces: file }, source(two));
    expect(file).toMatchObject({ name: 'Large.bin', size: two.length });
    expect(treeOf(room)).toEqual({ 'Large.bin': md5(two) });
    file = await room.provider.upload({ ...target, replaces: file }, source(small));
    expect(treeOf(room)).toEqual({ 'Large.bin': md5(small) });
    expect(await room.provider.list(room.folder)).toMatchObject([{ id: file.id, name: 'Large.bin' }]);
  },

  'a chunked upload goes on after an interruption': async (room, sizes) => {
    const data = noise(sizes.simple * 2, 34);
    const target = { parentId: room.folder.id, name: 'Large.bin', replaces: await existing(room, 'Large.bin', old) };
    const stop = new AbortController();
    let resume: UploadCheckpoint | undefined;
    await failure(
      room.provider.upload(target, source(data), {
        signal: stop.signal,
        onCheckpoint: (checkpoint) => {
          resume = checkpoint;
        },
        onProgress: (sent) => sent >= data.length / 2 && stop.abort(),
      }),
    );
    expect(room.store.stat(`${room.path}/Large.bin`)?.md5).toBe(md5(old));
    const other = room.server.connect();
    await other.upload(target, source(data), { resume });
    expect(treeOf(room)).toEqual({ 'Large.bin': md5(data) });
  },

  'files and folders are renamed, moved, and both at once': async (room) => {
    const target = await existingFolder(room, 'Target');
    const folder = await existingFolder(room, 'Folder');
    await room.store.putFile(`${room.path}/Folder/leaf`, old);
    let file = await existing(room, 'File', old);
    const parentId = room.folder.id;
    file = asFile(await room.provider.move(file, { parentId, name: 'FILE' }));
    file = asFile(await room.provider.move(file, { parentId: target.id, name: 'FILE' }));
    file = asFile(await room.provider.move(file, { parentId: folder.id, name: 'other' }));
    expect(await room.provider.stat(file)).toMatchObject({ id: file.id, name: 'other', parentId: folder.id });
    let moved = asFolder(await room.provider.move(folder, { parentId, name: 'Renamed' }));
    moved = asFolder(await room.provider.move(moved, { parentId: target.id, name: 'Moved' }));
    expect(moved).toMatchObject({ name: 'Moved', parentId: target.id });
    const names = (await room.provider.list(moved)).map(({ name }) => name).sort();
    expect(names).toEqual(['leaf', 'other']);
    expect(Object.keys(treeOf(room))).toEqual(['Target', 'Target/Moved', 'Target/Moved/leaf', 'Target/Moved/other']);
  },

  'what is trashed is gone, comes back whole, and is removed for ever': async (room) => {
    await room.store.putFile(`${room.path}/Folder/leaf`, old);
    const entries = [await existingFolder(room, 'Folder'), await existing(room, 'File', old)];
    for (const entry of entries) await room.provider.trash(entry);
    expect(await room.provider.list(room.folder)).toEqual([]);
    for (const entry of entries) expect(await room.provider.untrash(entry)).toMatchObject({ name: entry.name });
    expect(Object.keys(treeOf(room))).toEqual(['File', 'Folder', 'Folder/leaf']);
    for (const entry of entries) await room.provider.remove(entry);
    expect(treeOf(room)).toEqual({});
    expect(await room.provider.list(room.folder)).toEqual([]);
  },

  'a folder is made, and exists the second time; a file is copied': async (room) => {
    const made = await room.provider.createFolder(room.folder.id, 'New');
    await existing(room, 'New/leaf', 'x');
    await expect(room.provider.createFolder(room.folder.id, 'New')).rejects.toMatchObject({ code: 'exists' });
    const file = await existing(room, 'File', old);
    const copy = await room.provider.copy(file, { parentId: made.id, name: 'Copy' });
    expect(copy).toMatchObject({ name: 'Copy', parentId: made.id, size: 3 });
    expect(Object.keys(treeOf(room))).toEqual(['File', 'New', 'New/Copy', 'New/leaf']);
  },

  'lost answers leave nothing twice': async (room, sizes) => {
    const lost = { kind: 'reset', when: 'after' } as const;
    const once = { times: 1 };
    const parentId = room.folder.id;
    const data = noise(sizes.simple + sizes.chunk, 35);
    room.server.fault('create-folder', lost, once);
    const made = await room.provider.createFolder(parentId, 'New');
    room.server.fault('upload', lost, once);
    const file = await room.provider.upload({ parentId, name: 'Small' }, source(small));
    room.server.fault('copy-file', lost, once);
    await room.provider.copy(file, { parentId, name: 'Copy' });
    room.server.fault('move-file', lost, once);
    const moved = asFile(await room.provider.move(file, { parentId: made.id, name: 'Moved' }));
    expect(moved).toMatchObject({ name: 'Moved', parentId: made.id });
    room.server.fault('replace', lost, once);
    await room.provider.upload({ parentId: made.id, name: 'Moved', replaces: moved }, source(old));
    for (const operation of ['upload-start', 'upload-chunk', 'rename-file'] as const)
      room.server.fault(operation, lost, once);
    const large = await room.provider.upload({ parentId, name: 'Large' }, source(data));
    expect(treeOf(room)).toEqual(
      expect.objectContaining({ Copy: md5(small), Large: md5(data), New: 'folder', 'New/Moved': md5(old) }),
    );
    room.server.fault('trash-file', lost, once);
    await room.provider.trash(large);
    const whole = Object.entries(treeOf(room)).filter(([, what]) => what !== 'incomplete');
    expect(whole.map(([path]) => path)).toEqual(['Copy', 'New', 'New/Moved']);
    const listed = (await room.provider.list(room.folder)).filter(
      (entry): entry is RemoteFile => entry.kind === 'file',
    );
    expect(listed.map(({ name }) => name)).toEqual(['Copy']);
  },
};

export function essentialContract(rooms: Rooms, { sizes }: Pick<ContractSetup, 'sizes'>): void {
  for (const [title, step] of Object.entries(essentials)) test(title, () => step(rooms(), sizes));
}
