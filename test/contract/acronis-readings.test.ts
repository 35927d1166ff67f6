/** The document of Acronis leaves points open. The client must work under every reading of them: the tests try each value alone. */
import { describe, expect, test } from 'vitest';
import { type AcronisReadings, acronisReadings } from '../../src/sandbox/index.js';
import { acronisValues, ofProvider } from '../support/reading-values.js';
import { AcronisServer, acronisSizes as sizes } from './acronis-setup.js';
import { asFile, asFolder, existing, existingFolder, md5, type Room, treeOf } from './bench.js';
import { useRooms } from './provider-contract.js';
import { dailyWork } from './service-readings.js';

const values = ofProvider(acronisValues);

/** These concern the login, not a client. */
const unseen = new Set<keyof AcronisReadings>(['autoApprove']);
/** These have an effect only if another reading has this value. */
const where: { readonly [Name in keyof AcronisReadings]?: Partial<AcronisReadings> } = {
  unofferedMethod: { deletion: 'none' },
  deleteAction: { deletion: 'action' },
  deleteActionMethod: { deletion: 'action' },
};

async function renamesAndMoves({ provider, folder, path, ...room }: Room): Promise<void> {
  const all = { provider, folder, path, ...room };
  const parentId = folder.id;
  const target = await existingFolder(all, 'Target');
  let file = await existing(all, 'File', 'old');
  file = asFile(await provider.move(file, { parentId, name: 'FILE' }));
  file = asFile(await provider.move(file, { parentId: target.id, name: 'FILE' }));
  file = asFile(await provider.move(file, { parentId, name: 'other' }));
  expect(await provider.stat(file)).toMatchObject({ id: file.id, name: 'other', parentId });
  let made = asFolder(await provider.createFolder(parentId, 'Made'));
  await expect(provider.createFolder(parentId, 'Made')).rejects.toMatchObject({ code: 'exists' });
  made = asFolder(await provider.move(made, { parentId: target.id, name: 'Moved' }));
  await provider.copy(file, { parentId: made.id, name: 'Copy' });
  const old = md5(Buffer.from('old'));
  expect(treeOf(all)).toEqual({
    Target: 'folder',
    'Target/Moved': 'folder',
    'Target/Moved/Copy': old,
    other: old,
  });
}

for (const name of (Object.keys(values) as (keyof AcronisReadings)[]).filter((name) => !unseen.has(name)))
  for (const value of values[name])
    if (value !== acronisReadings[name] || where[name] !== undefined)
      describe(`Acronis where ${name} is ${value}`, () => {
        const readings = { ...where[name], [name]: value };
        const rooms = useRooms({ open: () => AcronisServer.open({ readings }) });
        const canDelete = readings.deletion !== 'none';

        test('the daily work is done', () => dailyWork(rooms(), sizes, canDelete));

        test('files and folders are renamed, moved and copied', () => renamesAndMoves(rooms()));

        test('a token that the server no longer takes is renewed', async () => {
          const room = rooms();
          const server = room.server as AcronisServer;
          await existing(room, 'File', 'x');
          server.sandbox.tokens.expire();
          expect(await room.provider.list(room.folder)).toHaveLength(1);
          room.server.clock.jump(2 * 3600_000);
          expect(await room.provider.list(room.folder)).toHaveLength(1);
        });

        if (!canDelete)
          test('nothing is deleted, and nothing pretends to be', async () => {
            const room = rooms();
            const file = await existing(room, 'File', 'x');
            const { error } = await room.provider.remove(file).then(
              () => ({ error: undefined }),
              (thrown: unknown) => ({ error: thrown as { code: string } }),
            );
            expect(error?.code).toBe('unsupported');
            expect(Object.keys(treeOf(room))).toEqual(['File']);
          });
      });

/** The document names no method for an action. It is looked for once. */
test.each(values.unofferedMethod)(
  'files are removed where the action takes DELETE, and POST is a %i',
  async (status) => {
    const readings = { deletion: 'action', deleteActionMethod: 'DELETE', unofferedMethod: status } as const;
    const server = await AcronisServer.open({ readings });
    try {
      for (const name of ['a', 'b', 'c']) await server.store.putFile(`/${name}`, name);
      const provider = server.connect();
      const files = await provider.list((await provider.account()).root);
      const [first, ...others] = files.map((entry) => () => provider.remove(entry));
      await first?.();
      server.sandbox.log.clear();
      for (const remove of others) await remove();
      expect(server.store.tree()).toEqual([]);
      expect(server.sandbox.log.entries().map(({ route }) => route.split(' ')[0])).toEqual(['DELETE', 'DELETE']);
    } finally {
      await server.close();
    }
  },
);
