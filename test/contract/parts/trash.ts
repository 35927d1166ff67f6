import { expect } from 'vitest';
import type { RemoteEntry } from '../../../src/providers/provider.js';
import { type ContractSetup, existing, existingFolder, expectActs, type Rooms, testIf, treeOf } from '../bench.js';

export function trashContract(rooms: Rooms, setup: ContractSetup): void {
  const { capabilities } = setup;
  const trashes = testIf(capabilities.trash, 'the provider has no trash');
  const removes = testIf(capabilities.permanentDelete, 'the provider deletes nothing for ever');

  for (const kind of ['file', 'folder'] as const) {
    const make = async (): Promise<RemoteEntry> => {
      const room = rooms();
      if (kind === 'file') return await existing(room, 'thing', 'content');
      await room.store.putFile(`${room.path}/thing/inner/leaf`, 'leaf');
      await room.store.putFile(`${room.path}/thing/leaf`, 'leaf');
      return await existingFolder(room, 'thing');
    };

    trashes(`a ${kind} goes to the trash in one request, and the answer is what it was`, async () => {
      const room = rooms();
      const entry = await make();
      const trashed = await room.provider.trash(entry);
      expect(trashed).toEqual(entry);
      expectActs(room, setup, `trash-${kind}`);
      expect(treeOf(room)).toEqual({});
      expect(room.store.trash().map(({ id }) => id)).toContain(entry.id);
    });

    trashes(`a ${kind} comes back from the trash with all that is in it, in one request`, async () => {
      const room = rooms();
      const entry = await make();
      const before = treeOf(room);
      await room.provider.trash(entry);
      room.server.forget();
      const back = await room.provider.untrash(entry);
      expect(back).toEqual(entry);
      expectActs(room, setup, `untrash-${kind}`);
      expect(treeOf(room)).toEqual(before);
      expect(await room.provider.untrash(entry)).toEqual(entry);
    });

    trashes(`a ${kind} that is gone cannot go to the trash, nor come back`, async () => {
      const room = rooms();
      const entry = await make();
      room.store.remove(`${room.path}/thing`);
      await expect(room.provider.trash(entry)).rejects.toMatchObject({ code: 'not-found' });
      await expect(room.provider.untrash(entry)).rejects.toMatchObject({ code: 'not-found' });
    });

    removes(`a ${kind} is removed for ever, with all that is in it, in one request`, async () => {
      const room = rooms();
      const entry = await make();
      await room.provider.remove(entry);
      expectActs(room, setup, `remove-${kind}`);
      expect(treeOf(room)).toEqual({});
      if (capabilities.trash) expect(room.store.trash().map(({ id }) => id)).not.toContain(entry.id);
      await expect(room.provider.stat(entry)).rejects.toMatchObject({ code: 'not-found' });
      await expect(room.provider.remove(entry)).rejects.toMatchObject({ code: 'not-found' });
    });
  }

  trashes('what comes back to a name that is taken meanwhile is exists, and stays in the trash', async () => {
    const room = rooms();
    const entry = await existing(room, 'thing', 'content');
    await room.provider.trash(entry);
    await existing(room, 'thing', 'newer');
    await expect(room.provider.untrash(entry)).rejects.toMatchObject({ code: 'exists' });
    expect(room.store.trash().map(({ id }) => id)).toContain(entry.id);
  });

  trashes(
    'the trash is listed with the old places, and gives back under another name what another client has removed',
    async () => {
      const room = rooms();
      const inFolder = room.path.split('/').filter((name) => name !== '');
      const file = await existing(room, 'a thing.txt', 'content');
      await room.store.putFile(`${room.path}/folder/leaf`, 'leaf');
      const folder = await existingFolder(room, 'folder');
      for (const name of ['a thing.txt', 'folder']) room.store.remove(`${room.path}/${name}`, { trash: true });
      const ids = new Set([file.id, folder.id]);
      const listed = ((await room.provider.listTrash?.()) ?? []).filter(({ entry }) => ids.has(entry.id));
      expect(listed.map(({ path }) => path)).toEqual(
        expect.arrayContaining([
          [...inFolder, 'a thing.txt'],
          [...inFolder, 'folder'],
        ]),
      );
      const found = listed.find(({ entry }) => entry.id === file.id)?.entry;
      expect(found).toMatchObject({ kind: 'file', name: 'a thing.txt', size: 7, parentId: file.parentId });
      await existing(room, 'a thing.txt', 'newer');
      const back = await room.provider.untrash(file, { name: 'other.txt' });
      expect(back).toMatchObject({ id: file.id, name: 'other.txt' });
      expect(Object.keys(treeOf(room)).sort()).toEqual(['a thing.txt', 'other.txt']);
      await room.provider.remove(folder);
      expect(room.store.trash().filter(({ id }) => ids.has(id))).toEqual([]);
    },
  );

  trashes('what may only be read does not go to the trash', async () => {
    const room = rooms();
    const file = await existing(room, 'shared/thing', 'x');
    room.server.forbidWriting(`${room.path}/shared`);
    await expect(room.provider.trash(file)).rejects.toMatchObject({ code: 'permission' });
    await expect(room.provider.remove(file)).rejects.toMatchObject({ code: 'permission' });
  });

  removes('a name that was freed can be taken again at once', async () => {
    const room = rooms();
    const file = await existing(room, 'thing', 'x');
    await room.provider.remove(file);
    await existingFolder(room, 'thing');
    expect(treeOf(room)).toEqual({ thing: 'folder' });
  });
}
