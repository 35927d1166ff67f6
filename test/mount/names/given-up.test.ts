/** The mount cancels a listing when nobody waits for it any more: it requests no further page. */
import { describe, expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { eachService, openWorld } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

/** The time of one page, ms. Even on a busy machine, the waiting programs are killed long before the last page. */
const PAGE_MS = 2000;

/** On 5sync a poll for changes, 5 s after the mount, reads the list for itself: test/providers/fivesync/fivesync.test.ts counts there. */
const listing = eachService(1).filter(({ provider }) => provider !== '5sync');

describe.each(listing)('a listing of $provider', (subject) => {
  cleanUpWorlds();
  const { provider } = subject;
  const count = provider === 'acronis' ? 1500 : 12_000;

  it(
    'asks for no more pages once those who waited for it are killed, and is begun anew by the next',
    long,
    async () => {
      const world = await openWorld(subject);
      const { store, faults, log } = world.sandbox;
      for (let i = 0; i < count; i++) await store.putFile(`/many/f${i}`, '');
      await world.mount();
      await world.out('ls');
      const before = log.entries().length;
      faults.add({ method: 'GET', action: { kind: 'stall', ms: PAGE_MS } });
      const first = world.start('echo; exec ls many');
      await first.first;
      await expect.poll(() => log.entries().length).toBeGreaterThan(before);
      // The kernel lets one of them look the name up. The other one waits for that, and cannot be killed before.
      const second = world.start('echo; exec ls many');
      await second.first;
      first.child.kill('SIGKILL');
      await first.ended;
      // The other one waits still.
      const between = log.entries().length;
      await expect.poll(() => log.entries().length).toBeGreaterThan(between);
      second.child.kill('SIGKILL');
      await second.ended;
      const killed = (await world.status()).requests.total;
      // Longer than a page takes: what would follow had come.
      const later = Date.now() + 2 * PAGE_MS;
      await expect
        .poll(async () => [Date.now() > later, (await world.status()).requests.total])
        .toEqual([true, killed]);
      faults.clear();
      expect(await world.out('ls many | wc -l')).toBe(`${count}`);
      expect((await world.log()).match(/"level":(40|50|60)/)).toBeNull();
    },
  );
});
