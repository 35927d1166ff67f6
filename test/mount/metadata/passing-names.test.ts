/** An object that takes a name elsewhere leaves the metadata of its namesakes alone: they never share the name, not even for a moment. */
import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, joinWorld } from '../world.js';

const tree = `find . -mindepth 1 -printf '%P|%y|%m|%l\\n' | sort`;

describeEach(protocols, 'on another machine of $provider', (subject, turns) => {
  cleanUpWorlds();

  for (const [what, readings, script] of [
    [
      'a directory',
      {},
      'mkdir a b b/x; ln -s target x; mkdir a/in; mv -T a b/x; mkdir c d; echo x > c/f; echo y > e; chmod 600 e; mv c d/e',
    ],
    [
      'an empty file that is refused',
      { emptyContent: 'refused' },
      'mkdir a b; touch a/x; ln -s target b/x; mv a/x b/y; ln b/y b/z',
    ],
  ] as const)
    for (const flags of [[], ['--write-back']])
      turns.it(`the namesakes of ${what} that is renamed show as they are${flags.join()}`, async () => {
        const a = await openWorld(subject, { readings });
        await a.mount(...flags);
        await a.out(script);
        const shown = await a.out(tree);
        await a.umount();
        const b = await joinWorld(a);
        await b.mount(...flags);
        expect(await b.out(tree)).toBe(shown);
      });

  turns.it(
    'a new content that took a name, and has another one since, does not show the mode of the former one',
    async () => {
      const a = await openWorld(subject);
      await a.mount();
      await a.out('mkdir d; echo former > d/x; chmod 701 d/x');
      await a.umount();
      const looked = await joinWorld(a);
      await looked.mount();
      expect(await looked.out('stat -c %a d/x')).toBe('701');
      await looked.umount();
      const b = await joinWorld(a);
      await b.mount('--write-back');
      // It is stored in the object of the former one, because it is open when it takes the name.
      await b.out('exec 3> d/new; echo new >&3; mv d/new d/x; exec 3>&-; mv d/x d/y');
      await b.umount();
      for (const world of [looked, a, await joinWorld(a)]) {
        await world.mount('--dir-ttl', '1s');
        // An older listing is shown first.
        await world.until('[ "$(cd d; stat -c "%n %a" *)" = "y 644" ]');
        await world.umount();
      }
    },
  );
});
