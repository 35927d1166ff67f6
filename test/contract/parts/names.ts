import { expect, test } from 'vitest';
import { type ContractSetup, noise, type Rooms, readRange, source, testIf } from '../bench.js';

const brief = (name: string): string => {
  const shown = JSON.stringify(name);
  return shown.length > 60 ? `${shown.slice(0, 20)}… (${name.length} symbols)` : shown;
};

export function nameContract(rooms: Rooms, { capabilities, names, sizes }: ContractSetup): void {
  for (const name of names) {
    test(`${brief(name)} is stored, listed, read and replaced as it is`, async () => {
      const { provider, store, folder } = rooms();
      const content = Buffer.from('one');
      const stored = await provider.upload({ parentId: folder.id, name }, source(content));
      expect(stored.name).toBe(name);
      expect(store.byId(stored.id)?.name).toBe(name);
      expect(await provider.list(folder)).toEqual([stored]);
      expect((await readRange(provider, stored, 0, 3)).toString()).toBe('one');
      const replaced = await provider.upload(
        { parentId: folder.id, name, replaces: stored },
        source(Buffer.from('x2')),
      );
      expect(await provider.list(folder)).toEqual([replaced]);
    });
  }

  testIf(capabilities.moveFile, 'the provider cannot rename')('every awkward name can be renamed to', async () => {
    const { provider, folder, store } = rooms();
    let file = await provider.upload({ parentId: folder.id, name: 'start' }, source(Buffer.from('x')));
    for (const name of names) {
      file = (await provider.move(file, { parentId: folder.id, name })) as typeof file;
      expect([file.name, store.byId(file.id)?.name]).toEqual([name, name]);
    }
  });

  testIf(capabilities.folders === 'real', 'folders exist only through their files')(
    'every awkward name can be a folder, and files go into it',
    async () => {
      const { provider, folder } = rooms();
      for (const name of names) {
        const made = await provider.createFolder(folder.id, name);
        expect(made.name).toBe(name);
        await provider.upload({ parentId: made.id, name }, source(Buffer.from('x')));
      }
      const listed = await provider.list(folder);
      expect(listed.map(({ name }) => name).sort()).toEqual([...names].sort());
    },
  );

  testIf(capabilities.resumableUpload, 'the provider has no upload in parts')(
    'a large file may have the longest and the strangest name',
    async () => {
      const { provider, folder } = rooms();
      const content = noise(sizes.simple + 1);
      for (const name of [
        names.some((name) => name.includes('/')) ? 'a/b 🐎' : 'a-b 🐎',
        'x'.repeat(capabilities.maxNameLength),
      ]) {
        const stored = await provider.upload({ parentId: folder.id, name }, source(content));
        expect(stored).toMatchObject({ name, size: content.length });
      }
    },
  );

  for (const [title, name] of [
    ['longer than the provider takes', 'x'.repeat(capabilities.maxNameLength + 1)],
    ['that is empty', ''],
    ['that is not Unicode', 'half \ud83d'],
  ] as const) {
    test(`a name ${title} is invalid-name without a request`, async () => {
      const { provider, server, folder, store, path } = rooms();
      const { id } = await store.putFile(`${path}/f`, 'x');
      const file = await provider.stat({ kind: 'file', id });
      server.forget();
      const refused = { code: 'invalid-name' };
      await expect(provider.upload({ parentId: folder.id, name }, source(Buffer.from('x')))).rejects.toMatchObject(
        refused,
      );
      if (capabilities.folders === 'real')
        await expect(provider.createFolder(folder.id, name)).rejects.toMatchObject(refused);
      if (capabilities.moveFile)
        await expect(provider.move(file, { parentId: folder.id, name })).rejects.toMatchObject(refused);
      expect(server.requests()).toEqual([]);
    });
  }
}
