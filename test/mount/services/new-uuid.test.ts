/** An upload over a file makes a new revision. Acronis's document does not say if it keeps the uuid of the revision before. */
import { beforeEach, describe, expect, it } from 'vitest';
import { isChosen } from '../../support/extent.js';
import { openWorld } from '../subjects.js';
import { bindingNames, cleanUpWorlds, type World } from '../world.js';

describe.each(bindingNames)('each revision has a uuid of its own, over the %s binding', (binding) => {
  cleanUpWorlds();
  let world: World;
  let row = 0;
  /** In the quick run each test is for one of the bindings. */
  const turn = (name: string, test: () => Promise<void>): void => {
    if (isChosen(row++, bindingNames.indexOf(binding), bindingNames.length)) it(name, test);
  };
  beforeEach(async () => {
    world = await openWorld({ provider: 'acronis', binding }, { readings: { revisionUuid: 'new' } });
    await world.sandbox.store.putFile('/d/f', 'zero');
    await world.sandbox.store.putFile('/d/g', 'other');
  });

  const atService = async (path: string): Promise<string> => `${await world.sandbox.store.readFile(path)}`;
  const names = (): string[] => world.sandbox.store.list('/d').map(({ name }) => name);

  for (const flags of [[], ['--write-back']])
    turn(`a file is overwritten as often as one likes ${JSON.stringify(flags)}`, async () => {
      await world.mount('--dir-ttl', '1h', ...flags);
      const inode = (): Promise<string> => world.out('stat -c %i d/f');
      const first = await inode();
      const steps: [script: string, content: string][] = [
        ['printf one. > d/f', 'one.'],
        ['printf two. > d/f', 'two.'],
        ['printf longer > d/f', 'longer'],
        ['printf +more >> d/f', 'longer+more'],
        ['printf +yet >> d/f', 'longer+more+yet'],
        ['truncate -s 4 d/f', 'long'],
        ['truncate -s 2 d/f', 'lo'],
        ['printf X | dd of=d/f bs=1 seek=1 conv=notrunc status=none', 'lX'],
        ['printf renamed > d/new && mv d/new d/f', 'renamed'],
        ['printf again > d/new && mv d/new d/f', 'again'],
        ['printf last > d/f', 'last'],
      ];
      for (const [script, content] of steps) {
        expect(await world.out(`${script} && cat d/f`)).toBe(content);
        if (flags.length === 0) expect(await atService('/d/f')).toBe(content);
        if (content === 'lX') expect(await inode()).toBe(first);
      }
      expect(await world.status()).toMatchObject({ failed: [] });
      await world.umount();
      expect(await atService('/d/f')).toBe('last');
      expect(names()).toEqual(['f', 'g']);
    });

  turn('who has the file open goes on with what he wrote, and others see it', async () => {
    await world.mount('--dir-ttl', '1h');
    expect(
      await world.out(
        `exec 8<d/f 9<>d/f; printf AB >&9; sync -d d/f; printf one > d/f; printf two2 > d/f; cat <&8; printf CD >&9; exec 9>&-; cat d/f`,
      ),
    ).toBe('two2twCD');
    expect(await atService('/d/f')).toBe('twCD');
    expect(names()).toEqual(['f', 'g']);
  });

  turn('a version that another client stored is not overwritten unseen', async () => {
    await world.mount('--dir-ttl', '1s');
    await world.out('printf mine > d/f; printf 1 >> d/f');
    await world.sandbox.store.putFile('/d/f', 'theirs');
    await world.out('until grep -q theirs d/f; do sleep 0.1; done; printf +mine >> d/f; printf ! >> d/f');
    expect(await atService('/d/f')).toBe('theirs+mine!');
  });
});
