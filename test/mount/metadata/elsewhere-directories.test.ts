/** On 5sync a directory exists only through its files. If one machine removes or renames it, it also goes on machines that listed it. */
import { expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { openWorld } from '../subjects.js';
import { cleanUpWorlds, joinWorld } from '../world.js';

cleanUpWorlds();

it('directories of 5sync that another machine renames or removes are gone here', long, async () => {
  const a = await openWorld({ provider: '5sync', binding: 'kernel' });
  await a.mount();
  await a.out('mkdir -p x/d/e/f x/r/s y; for d in x/d x/d/e/f x/r x/r/s y x; do echo $d > $d/in; done');
  await a.umount();
  const b = await joinWorld(a);
  await b.mount();
  const other = await joinWorld(a);
  await other.mount('--dir-ttl', '1s');
  for (const world of [b, other]) expect(await world.out('find . -type d | wc -l')).toBe('8');
  await b.out('mv x/d z; mv y x/y; mv z/e/f z/e/g; rm -r x/r; mkdir z/e/f; mkdir -p n/m; rm -r n');
  const wanted = await b.out('find . | sort');
  await b.umount();
  for (const world of [other, await joinWorld(a)]) {
    if (!world.isMounted) await world.mount();
    await expect.poll(() => world.out('find . | sort')).toBe(wanted);
  }
});

it("the mode of the account's own directory is not taken for that of one that has gone, whatever changes in it", async () => {
  const a = await openWorld({ provider: '5sync', binding: 'kernel' });
  await a.mount();
  await a.out('chmod 750 .; mkdir d; echo x > x; mv x d/x; sync .; touch -d @1000000000 .; rm -r d; echo y > y');
  await a.umount();
  const b = await joinWorld(a);
  await b.mount();
  expect(await b.out('stat -c %a .; ls')).toBe('750\ny');
});
