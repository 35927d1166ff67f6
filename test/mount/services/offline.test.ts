/** A machine without a network: what is known is shown, and what is not stored yet can be worked with as on a local disk. */
import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

describeEach(protocols, 'without a network, files of $provider', (subject, { it }) => {
  cleanUpWorlds();

  it('that no upload has reached the service with are renamed and removed here', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/known', 'known');
    await world.mount('--write-back', '--deadline', '2s');
    expect(await world.out('mkdir e; cat d/known; ls e')).toBe('known');
    await world.sandbox.close();
    await world.out('echo one > d/a; echo two > d/b; head -c 3000000 /dev/zero > d/c; : > d/empty');
    // What is broken off while it connects may have reached the service: then it is asked, in vain.
    const again = 'again() { for i in 1 2 3 4 5 6; do "$@" && return; done; }; ';
    // Each has been tried, or has waited for one that was.
    await expect.poll(async () => (await world.status()).outage?.error).toMatch(/ECONNREFUSED/);
    await expect.poll(async () => (await world.status()).pending.length).toBe(4);
    expect(
      await world.out(
        `${again}again mv d/a d/a2; again mv d/b e/b2; again mv d/c d/a2; again rm d/empty; ls d e; stat -c %s d/a2`,
      ),
    ).toBe('d:\na2\nknown\n\ne:\nb2\n3000000');
  });
});
