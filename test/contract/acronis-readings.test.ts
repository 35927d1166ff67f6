/** Where the document of Acronis is silent, the client works under every reading: each value of each of them alone. */
import { describe, expect, test } from 'vitest';
import { type AcronisReadings, acronisReadings } from '../../src/sandbox/index.js';
import { AcronisServer, acronisSizes as sizes } from './acronis-setup.js';
import { asFile, asFolder, existing, existingFolder, md5, type Room, treeOf } from './bench.js';
import { useRooms } from './provider-contract.js';
import { dailyWork } from './service-readings.js';

/** Every value of every reading; the compiler sees to it that a new reading comes in. */
const values: { readonly [Name in keyof AcronisReadings]: readonly AcronisReadings[Name][] } = {
  refreshTokens: ['rotating', 'fixed', 'none'],
  expiresIn: [true, false],
  clientAuth: ['either', 'basic', 'body'],
  passwordClient: ['optional', 'required'],
  autoApprove: [false, true],
  unauthorizedBody: ['none', 'error'],
  defaultPerPage: [50, 10, 0],
  maxPerPage: [100, 20, 0],
  overMaxPerPage: ['clamped', 'refused'],
  lastPageStatus: [206, 200],
  missingNode: ['documented', '404', '403'],
  unofferedMethod: [405, 404, 403],
  deletion: ['node', 'action', 'none'],
  deleteAction: ['remove', 'delete'],
  deleteActionMethod: ['DELETE', 'POST'],
  deletedListed: [false, true],
  nameCase: ['insensitive', 'sensitive'],
  // Refused is what is above the provider's business: test/mount/uploads/refused-content.test.ts.
  emptyContent: ['stored'],
  uploadCase: ['keeps', 'renames'],
  revisionUuid: ['kept', 'new'],
  range: ['206', 'ignored'],
  validator: ['etag', 'last-modified', 'none'],
  actionUrls: ['documented', 'opaque'],
  userInfo: ['allowed', 'forbidden'],
  renameChangesModified: [false, true],
  // In lower case, what this asks for by name is not found again: test/mount/names/changed-names.test.ts.
  storedNames: ['asked', 'cleaned'],
  toldNames: ['kept', 'asked'],
};

/** The login meets it, no client. */
const unseen = new Set<keyof AcronisReadings>(['autoApprove']);
/** These mean something only where another one has this value. */
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
            expect(['unsupported', 'permission']).toContain(error?.code);
            expect(Object.keys(treeOf(room))).toEqual(['File']);
          });
      });
