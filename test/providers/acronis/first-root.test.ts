/** The root that the account's question has listed is the first listing of a new mount. */
import { expect, test } from 'vitest';
import { rootFolder } from '../../../src/providers/acronis/entities.js';
import { miniAcronis } from './mini-acronis.js';

test('a mount that begins lists the root once', async () => {
  const mini = await miniAcronis();
  mini.add('0', 'd');
  await mini.provider.account();
  const asked = mini.server.seen.length;
  expect((await mini.provider.list(rootFolder)).map(({ name }) => name)).toEqual(['d']);
  expect(mini.server.seen).toHaveLength(asked);
  mini.add('0', 'later');
  expect(await mini.provider.list(rootFolder)).toHaveLength(2);
});

test('but again where something was sent in between', async () => {
  const mini = await miniAcronis();
  await mini.provider.account();
  await mini.provider.createFolder('0', 'made');
  expect(await mini.provider.list(rootFolder)).toHaveLength(1);
});
