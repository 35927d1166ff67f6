/** A directory has a time on other machines too, whether the service tells one or not. */
import { expect } from 'vitest';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, joinWorld } from '../world.js';

describeEach(overKernel, 'on another machine of $provider', (subject, turns) => {
  cleanUpWorlds();

  turns.it('a directory whose own files have gone, and that has files below it, is not of 1970', async () => {
    const a = await openWorld(subject);
    await a.mount();
    // As unzip makes a symbolic link: the name is a file first.
    await a.out(`
      mkdir -p removed/sub moved/sub link/sub; for d in removed moved link; do echo x > $d/sub/x; done
      for d in removed moved link; do echo target > $d/f; done
      rm removed/f; mv moved/f moved/sub/f; rm link/f; ln -s target link/f`);
    await a.umount();
    const b = await joinWorld(a);
    await b.mount('--read-only');
    const recent = 'ls -R > /dev/null; find . -mindepth 1 -type d -newermt 2000-01-01 | sort | xargs';
    expect(await b.out(recent)).toBe('./link ./link/sub ./moved ./moved/sub ./removed ./removed/sub');
  });
});
