/** A program that removes or renames a file does not wait for the hashing of its content. */
import { beforeEach, expect } from 'vitest';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** For a content whose hashing takes half an hour, ms. */
const PROMPT = 60_000;

describeEach(overKernel, 'while the hashes of a terabyte are computed for $provider', (subject, { it }) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
    await world.mount('--write-back', '--deadline', '5s');
    await world.out('echo small > beside; truncate -s 1T huge');
    expect((await world.status()).pending.map(({ path }) => path)).toContain('/huge');
  });

  async function within(act: () => Promise<unknown>): Promise<void> {
    const begun = Date.now();
    await act();
    expect(Date.now() - begun).toBeLessThan(PROMPT);
  }

  it('its file and those beside it are renamed and removed at once', async () => {
    await within(() => world.out('mv huge other; mv beside third; echo new > fourth; rm other third; ls'));
    expect(await world.out('ls')).toBe('fourth');
    await world.umount();
    expect([...world.sandbox.store.md5s().keys()]).toEqual(['/fourth']);
  });

  it('the mount is ended by force, and the content waits for the next one', async () => {
    await within(async () => {
      const { code, stderr } = await world.cli(['umount', '--force', world.mnt]);
      expect([code, stderr]).toEqual([3, expect.stringMatching(/huge|not everything is stored/)]);
    });
    await within(() => world.mount('--write-back', '--deadline', '5s'));
    expect(await world.out('stat -c %s huge')).toBe(String(1024 ** 4));
    await within(() => world.out('rm huge'));
  });
});
