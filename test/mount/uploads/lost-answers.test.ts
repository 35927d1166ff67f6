/** A content whose upload succeeded, but lost its answer, is there once, whatever was looked at before the retry. */
import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

describeEach(protocols, 'a content that $provider has stored, and all answers were lost,', (subject, { it }) => {
  cleanUpWorlds();

  for (const before of ['a new file', 'an empty one that the service refuses'])
    it(`is not stored again after its folder was listed: ${before}`, async () => {
      const isEmpty = before !== 'a new file';
      const world = await openWorld(subject, isEmpty ? { readings: { emptyContent: 'refused' } } : {});
      await world.mount('--deadline', '3s', '--dir-ttl', '1s');
      await world.out(`mkdir d; cd d; echo keep > keep; ${isEmpty ? ': > f' : ':'}`);
      await world.untilWaiting(0, 0);
      world.sandbox.faults.add({ action: { kind: 'reset', when: 'after' } });
      await world.sh('cd d; echo text > f');
      expect((await world.status()).failed).toHaveLength(1);
      world.sandbox.faults.clear();
      const seen = (): Promise<string> => world.out('cat d/*; ls d');
      // The listing shows what was stored, beside what waits for being stored, unless that has been tried again by then.
      const isStored = async (): Promise<boolean> => (await world.status()).failed.length === 0;
      await expect.poll(async () => (await seen()).includes('~') || (await isStored()), { interval: 200 }).toBe(true);
      await world.cli(['uploads', 'retry', world.mnt]);
      await world.untilWaiting(0, 0);
      await expect.poll(seen, { interval: 200 }).toBe('text\nkeep\nf\nkeep');
      expect(world.storedFiles()).toEqual(['/d/f', '/d/keep']);
    });
});
