/**
 * The documents leave points of HTTP and dates open. No reading of them changes what a program sees, or costs a further request.
 *
 * Small contents go over connections of undici, large ones over others and in a thread of their own: all of them meet it.
 */
import { expect } from 'vitest';
import { type WireReadings, wireReadings } from '../../../src/sandbox/http/wire.js';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const odd: readonly Partial<WireReadings>[] = [
  { interim: '100' },
  { interim: '103' },
  { connections: 'closed' },
  { lengths: 'untold' },
  { coding: 'gzip' },
  { dates: 'offset' },
  { dates: 'number' },
];

const MiB = 1024 * 1024;

describeEach(protocols, 'whatever $provider leaves open about HTTP', (subject, turns) => {
  cleanUpWorlds();

  /** The day in a directory; answers what it shows, and the changing requests and downloads that it took. */
  async function day(world: World, readings: Partial<WireReadings>): Promise<readonly [string, string[]]> {
    Object.assign(world.sandbox.readings, wireReadings, readings);
    let shown = '';
    const requests = await world.requestsOf(async () => {
      await world.mount('--dir-ttl', '1h', '--metadata', 'local');
      await world.out(
        `mkdir d; echo small > d/a; : > d/empty; head -c ${3 * MiB} /dev/zero | tr '\\0' x > d/large; mv d/a d/b; echo more >> d/b; rm d/empty`,
      );
      await world.umount();
      await world.clearCache();
      await world.mount('--dir-ttl', '1h', '--metadata', 'local');
      shown = await world.out('md5sum d/* known/*; stat -c "%n %s %Y" known/*; head -c 5 known/far | md5sum');
      shown += `\n${await world.out('tail -c 5 known/far; rm -r d')}`;
      await world.umount();
    });
    const counted = requests.filter(({ route }) => !route.startsWith('GET') || route.includes('download'));
    return [shown, counted.map(({ route, status }) => `${route} ${status}`).sort()];
  }

  for (const reading of odd)
    turns.it(`a mount does the same with ${JSON.stringify(reading)}`, async () => {
      const world = await openWorld(subject);
      for (const [name, content] of [
        ['near', 'near'],
        ['far', Buffer.alloc(4 * MiB, 'far ')],
      ] as const) {
        await world.sandbox.store.putFile(`/known/${name}`, content);
        world.sandbox.store.setModified(`/known/${name}`, Date.UTC(2020, 1, 2, 3, 4, 5));
      }
      const usual = await day(world, {});
      expect(usual[0]).toContain(`known/far ${4 * MiB} ${Date.UTC(2020, 1, 2, 3, 4, 5) / 1000}`);
      expect(await day(world, reading)).toEqual(usual);
    });
});
