import { expect, it } from 'vitest';
import { entriesPerTurn } from '../../../src/base/event-loop-turns.js';
import { mounted } from '../harness.js';

it('very many waiting contents are listed with turns of the event loop, oldest first, by their paths', async () => {
  const m = await mounted({ writeBack: true });
  await m.fs.uploader.pause();
  await m.mkdir('d');
  await m.mkdir('d/e');
  const count = entriesPerTurn + 10;
  const paths = Array.from({ length: count }, (_, n) => (n % 2 === 0 ? `d/f${n}` : `d/e/f${n}`));
  for (const path of paths) await m.put(path, 'x');
  let turns = 0;
  let isListed = false;
  const listed = m.fs.uploader.pending(m.fs.root).finally(() => {
    isListed = true;
  });
  for (; !isListed; turns++) await new Promise((next) => setImmediate(next));
  expect((await listed).map(({ path }) => path)).toEqual(paths.map((path) => `/${path}`));
  expect(turns).toBeGreaterThan(1);
});

it('paths are as seen from the directory that is mounted', async () => {
  const m = await mounted({ writeBack: true });
  await m.fs.uploader.pause();
  await m.mkdir('d');
  await m.put('d/f', 'x');
  const below = await m.ino('d');
  expect(await m.fs.uploader.pending(below)).toMatchObject([{ path: '/f', size: 1, state: 'queued' }]);
});
