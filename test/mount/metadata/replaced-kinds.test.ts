// @module-tag long
/** Another machine replaces each kind of name by each other kind, then removes, renames or replaces it again. All machines agree. */
import { resolve } from 'node:path';
import { expect } from 'vitest';
import { isComplete } from '../../support/extent.js';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

const program = resolve('test/mount/metadata/replaced-kinds.py');
/** The complete matrix has every pair of kinds: a hundred, each with four names. */
const share = isComplete ? 1 : 3;
const run = (what: 1 | 2 | 3 | 'look'): string => `python3 ${program} ${what} ${share}`;
/** On a machine that has others to serve, all pairs take four minutes. */
const timeout = 900_000;
const watching = ['--dir-ttl', '1s'] as const;

describeEach(overKernel, 'names of $provider that another machine gives to something else', (subject, turns) => {
  cleanUpWorlds();

  for (const isMounted of [false, true])
    turns.it(`are shown as they are, on machines that ${isMounted ? 'are' : 'were'} mounted`, { timeout }, async () => {
      const a = await openWorld(subject, subject.provider === '5sync' ? { requestsPerHour: 6_000_000 } : {});
      await a.out('mkdir "$TOP/local"');
      const locally = (what: 1 | 2 | 3): Promise<string> => a.out(`cd "$TOP/local"; ${run(what)}; ${run('look')}`);
      const made = await locally(1);
      const count = await a.out('ls "$TOP/local" | wc -l');
      await a.mount('--write-back', ...watching);
      await a.out(run(1));
      if (isMounted) await a.out('sync .');
      else await a.umount();
      const b = await joinWorld(a);
      await b.mount('--write-back');
      expect(await b.out(run('look'))).toBe(made);
      // One that has looked at everything, and one that has not.
      const [looked, shallow] = [await joinWorld(a), await joinWorld(a)];
      for (const world of [looked, shallow]) {
        await world.mount(...watching);
        expect(await world.out(world === looked ? run('look') : 'ls | wc -l')).toBe(world === looked ? made : count);
        if (!isMounted) await world.umount();
      }
      for (const round of [2, 3] as const) {
        await b.out(run(round));
        expect(await b.out(run('look'))).toBe(await locally(round));
      }
      const ended = await b.out(run('look'));
      await b.umount();
      for (const world of [await joinWorld(a), looked, shallow, a]) await shows(world, ended);
    });
});

async function shows(world: World, wanted: string): Promise<void> {
  if (!world.isMounted) await world.mount(...watching);
  // An older listing is shown first.
  await expect.poll(() => world.out(run('look')), { interval: 1000 }).toBe(wanted);
  await world.umount();
}
