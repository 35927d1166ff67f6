import { expect } from 'vitest';
import type { RemoteEntry } from '../../../src/providers/provider.js';
import {
  asFolder,
  type ContractSetup,
  existing,
  existingFolder,
  expectActs,
  folderOf,
  goneFolder,
  md5,
  type Rooms,
  testIf,
  treeOf,
} from '../bench.js';

export function namespaceContract(rooms: Rooms, setup: ContractSetup): void {
  const { capabilities } = setup;
  const real = testIf(capabilities.folders === 'real', 'folders exist only through their files');
  const movesFiles = testIf(capabilities.moveFile, 'the provider cannot move or rename a file');
  const movesFolders = testIf(capabilities.moveFolder, 'the provider cannot move or rename a folder');

  real('createFolder is one request and tells the new, empty folder', async () => {
    const room = rooms();
    const { provider, store, folder, path } = room;
    const made = await provider.createFolder(folder.id, 'new');
    expect(made).toMatchObject({ kind: 'folder', parentId: folder.id, name: 'new' });
    if (setup.tellsCounts !== false) expect(made).toMatchObject({ fileCount: 0, folderCount: 0 });
    expect(store.stat(`${path}/new`)?.id).toBe(made.id);
    expectActs(room, setup, 'create-folder');
    expect(await provider.list(made, { countsAreFresh: true })).toEqual([]);
  });

  real('createFolder where the name is taken, by a folder or a file, is exists and changes nothing', async () => {
    const room = rooms();
    await existing(room, 'file', 'x');
    await existingFolder(room, 'folder');
    const before = treeOf(room);
    for (const name of ['file', 'folder'])
      await expect(room.provider.createFolder(room.folder.id, name)).rejects.toMatchObject({ code: 'exists' });
    expect(treeOf(room)).toEqual(before);
  });

  real('createFolder in a folder that is not there is not-found', async () => {
    const room = rooms();
    await expect(room.provider.createFolder(await goneFolder(room), 'x')).rejects.toMatchObject({ code: 'not-found' });
  });

  for (const kind of ['file', 'folder'] as const) {
    const moves = kind === 'file' ? movesFiles : movesFolders;
    const make = async (name: string): Promise<RemoteEntry> => {
      const room = rooms();
      if (kind === 'file') return await existing(room, name, 'content');
      await room.store.putFile(`${room.path}/${name}/inner/leaf`, 'leaf');
      return await existingFolder(room, name);
    };
    const there = (path: string): Record<string, string> =>
      kind === 'file'
        ? { [path]: md5(Buffer.from('content')) }
        : { [path]: 'folder', [`${path}/inner`]: 'folder', [`${path}/inner/leaf`]: md5(Buffer.from('leaf')) };

    moves(`a ${kind} is renamed in one request, and keeps its id and content`, async () => {
      const room = rooms();
      const entry = await make('old');
      const renamed = await room.provider.move(entry, { parentId: room.folder.id, name: 'new' });
      expect(renamed).toMatchObject({ kind, id: entry.id, name: 'new', parentId: room.folder.id });
      expectActs(room, setup, `rename-${kind}`);
      expect(treeOf(room)).toEqual(there('new'));
      expect(await room.provider.stat(renamed)).toEqual(renamed);
    });

    moves(`a ${kind} is moved in one request`, async () => {
      const room = rooms();
      const entry = await make('thing');
      const target = await existingFolder(room, 'target');
      const moved = await room.provider.move(entry, { parentId: target.id, name: 'thing' });
      expect(moved).toMatchObject({ kind, name: 'thing', parentId: target.id });
      expectActs(room, setup, `move-${kind}`);
      expect(treeOf(room)).toEqual({ target: 'folder', ...there('target/thing') });
      expect(await room.provider.stat(moved)).toEqual(moved);
    });

    moves(`a ${kind} is moved and renamed in as few requests as there can be`, async () => {
      const room = rooms();
      const entry = await make('thing');
      const target = await existingFolder(room, 'target');
      const moved = await room.provider.move(entry, { parentId: target.id, name: 'other' });
      expect(moved).toMatchObject({ kind, name: 'other', parentId: target.id });
      expectActs(room, setup, ...(setup.movesInSteps ? [`rename-${kind}` as const] : []), `move-${kind}`);
      expect(treeOf(room)).toEqual({ target: 'folder', ...there('target/other') });
    });

    moves(`a ${kind} that is renamed or moved to a name that is taken is exists, and stays as it was`, async () => {
      const room = rooms();
      const entry = await make('thing');
      await existing(room, 'taken', 'other');
      const target = await existingFolder(room, 'target');
      await existing(room, 'target/thing', 'other');
      await existing(room, 'target/taken', 'other');
      const before = treeOf(room);
      for (const to of [
        { parentId: room.folder.id, name: 'taken' },
        { parentId: target.id, name: 'thing' },
        { parentId: target.id, name: 'taken' },
      ])
        await expect(room.provider.move(entry, to)).rejects.toMatchObject({ code: 'exists' });
      expect(treeOf(room)).toEqual(before);
    });

    moves(`a ${kind} that is gone, or whose target is gone, is not-found`, async () => {
      const room = rooms();
      const entry = await make('thing');
      const parentId = await goneFolder(room);
      await expect(room.provider.move(entry, { parentId, name: 'x' })).rejects.toMatchObject({
        code: 'not-found',
      });
      room.store.remove(`${room.path}/thing`);
      await expect(room.provider.move(entry, { parentId: room.folder.id, name: 'x' })).rejects.toMatchObject({
        code: 'not-found',
      });
    });

    moves(`a ${kind} moved to where it is stays there`, async () => {
      const room = rooms();
      const entry = await make('thing');
      const moved = await room.provider.move(entry, { parentId: room.folder.id, name: 'thing' });
      expect(moved).toEqual(entry);
      expect(treeOf(room)).toEqual(there('thing'));
    });
  }

  testIf(capabilities.moveFile && capabilities.caseSensitive, 'the provider takes names of other case for equal')(
    'a name can change in nothing but its case',
    async () => {
      const room = rooms();
      const entry = await existing(room, 'readme', 'x');
      const renamed = await room.provider.move(entry, { parentId: room.folder.id, name: 'README' });
      expect(renamed.name).toBe('README');
      expect(Object.keys(treeOf(room))).toEqual(['README']);
    },
  );

  movesFolders('a folder is not moved into itself', async () => {
    const room = rooms();
    const outer = await existingFolder(room, 'outer');
    const inner = await existingFolder(room, 'outer/inner');
    await expect(room.provider.move(outer, { parentId: inner.id, name: 'outer' })).rejects.toMatchObject({
      name: 'ProviderError',
    });
    expect(treeOf(room)).toEqual({ outer: 'folder', 'outer/inner': 'folder' });
  });

  movesFiles('nothing is moved out of or into a folder that may only be read', async () => {
    const room = rooms();
    const file = await existing(room, 'thing', 'x');
    const inside = await existing(room, 'shared/inside', 'x');
    const shared = folderOf(room.store.makeFolder(`${room.path}/shared`));
    room.server.forbidWriting(`${room.path}/shared`);
    for (const [entry, to] of [
      [file, { parentId: shared.id, name: 'thing' }],
      [inside, { parentId: room.folder.id, name: 'inside' }],
      [inside, { parentId: shared.id, name: 'other' }],
    ] as const)
      await expect(room.provider.move(entry, to)).rejects.toMatchObject({ code: 'permission' });
  });

  const copies = testIf(capabilities.copyFile, 'the provider cannot copy');
  copies('a file is copied in one request, beside it or elsewhere, also under another name', async () => {
    const room = rooms();
    const file = await existing(room, 'thing', 'content');
    const target = await existingFolder(room, 'target');
    for (const to of [
      { parentId: target.id, name: 'thing' },
      { parentId: target.id, name: 'other' },
      { parentId: room.folder.id, name: 'beside' },
    ]) {
      room.server.forget();
      const copy = await room.provider.copy(file, to);
      expect(copy).toMatchObject({ kind: 'file', ...to, size: file.size, md5: file.md5 });
      expect(copy.id).not.toBe(file.id);
      expectActs(room, setup, 'copy-file');
    }
    const sum = md5(Buffer.from('content'));
    expect(treeOf(room)).toEqual({
      beside: sum,
      target: 'folder',
      'target/other': sum,
      'target/thing': sum,
      thing: sum,
    });
  });

  copies('a copy to a name that is taken is exists, of a file that is gone not-found', async () => {
    const room = rooms();
    const file = await existing(room, 'thing', 'content');
    await existing(room, 'taken', 'other');
    const to = { parentId: room.folder.id, name: 'taken' };
    await expect(room.provider.copy(file, to)).rejects.toMatchObject({ code: 'exists' });
    room.store.remove(`${room.path}/thing`);
    await expect(room.provider.copy(file, { ...to, name: 'x' })).rejects.toMatchObject({ code: 'not-found' });
    expect(Object.keys(treeOf(room))).toEqual(['taken']);
  });

  testIf(!capabilities.copyFile, 'the provider can copy')('copy is unsupported', async () => {
    const room = rooms();
    const file = await existing(room, 'thing', 'content');
    const to = { parentId: room.folder.id, name: 'copy' };
    await expect(room.provider.copy(file, to)).rejects.toMatchObject({ code: 'unsupported' });
  });

  real('folders made, filled, renamed and moved by the provider alone add up', async () => {
    const { provider, folder, ...room } = rooms();
    const a = await provider.createFolder(folder.id, 'a');
    const b = await provider.createFolder(a.id, 'b');
    const c = asFolder(await provider.move(b, { parentId: folder.id, name: 'c' }));
    await provider.createFolder(c.id, 'd');
    await provider.move(a, { parentId: c.id, name: 'a' });
    expect(treeOf({ provider, folder, ...room })).toEqual({ c: 'folder', 'c/a': 'folder', 'c/d': 'folder' });
  });
}
