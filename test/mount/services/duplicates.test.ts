import { describe, expect, it } from 'vitest';
import { kill } from '../kill.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

describe('a service that stores a second file under a name that is taken (5sync)', () => {
  cleanUpWorlds();

  /** An overwrite is stored beside the version that it is to replace, and not answered yet. `over` resolves when its program has ended. */
  async function overwriting(ms = 1500): Promise<{ readonly world: World; readonly over: Promise<unknown> }> {
    const readings = { existingName: 'duplicate' } as const;
    const world = await createServiceWorld({ provider: '5sync', requestsPerHour: 1_000_000, readings });
    const { faults } = world.sandbox;
    await world.mount();
    await world.out('echo first > f');
    const action = { kind: 'stall', ms, when: 'after', performed: true } as const;
    const rule = faults.add({ route: '^PUT /files$', nth: 1, action });
    const over = world.sh('echo second > f');
    await expect.poll(() => faults.fired(rule)).toBe(1);
    await expect.poll(() => world.storedFiles()).toEqual(['/f', '/f']);
    return { world, over };
  }

  it.each([
    ['rm f', []],
    ['mv f g', ['/g']],
    ['echo third > f', ['/f']],
  ])('has one file of each name after `%s` meanwhile', async (command, left) => {
    const { world, over } = await overwriting();
    await world.out(command);
    await over;
    await world.umount();
    expect(world.storedFiles()).toEqual(left);
  });

  it('has none after a removal that has waited for the answer', async () => {
    const { world, over } = await overwriting(300);
    await world.out('rm f');
    await over;
    await world.umount();
    expect(world.storedFiles()).toEqual([]);
  });

  it('has one file of the name, with the new content, where the mount was killed meanwhile', async () => {
    const { world, over } = await overwriting();
    await kill(world);
    await over;
    await world.mount();
    await world.umount();
    expect(world.storedFiles()).toEqual(['/f']);
    expect(`${await world.sandbox.store.readFile('/f')}`).toBe('second\n');
  });
});
