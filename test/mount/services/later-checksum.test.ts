import { describe, expect, it } from 'vitest';
import { kill } from '../kill.js';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

describe('a service that tells the checksum of what was stored later than in its answer to the upload', () => {
  cleanUpWorlds();

  async function mounted(...flags: string[]): Promise<World> {
    const world = await createWorld({ readings: { md5: 'after-upload' } });
    // One listing is enough for what a shell does at once.
    await world.mount('--dir-ttl', '1s', ...flags);
    await world.out('ls');
    return world;
  }

  /** The mount has learned the checksum from a listing. */
  async function toldChecksum(world: World): Promise<void> {
    const routes = (): Promise<string[]> => world.routesOf(() => world.out('ls'));
    await expect.poll(routes).toContainEqual(expect.stringMatching(/\{id\}\/files$/));
  }

  it('has the version that a descriptor started from under its name: what is written there replaces it', async () => {
    const world = await mounted();
    await world.out('mkfifo "$TOP/may-close"');
    const program = [
      "open('f', 'w').write('first'); f = open('f', 'r+'); f.write('second'); f.flush()",
      "open(os.environ['TOP'] + '/may-close').read()",
    ];
    const writing = world.sh(`python3 -c "import os; ${program.join('; ')}"`);
    await expect.poll(() => world.out('cat f')).toBe('second');
    await toldChecksum(world);
    await world.out('echo > "$TOP/may-close"');
    expect((await writing).code).toBe(0);
    expect(await world.out('ls; cat f')).toBe('f\nsecond');
  });

  it('keeps the times that a program sets', async () => {
    const world = await mounted('--metadata', 'local');
    await world.out('echo first > f; touch -d @1000 f');
    await toldChecksum(world);
    expect(await world.out('stat -c %Y f')).toBe('1000');
  });

  it('stores what a close waited for when the mount was killed in place of the version that it started from', async () => {
    const world = await mounted();
    const { faults, store } = world.sandbox;
    const rule = faults.add({ host: 'upload', nth: 2, action: { kind: 'stall', ms: 60_000 } });
    const writing = world.sh('echo first > f; echo second >> f');
    await expect.poll(() => faults.fired(rule)).toBe(1);
    await kill(world);
    await writing;
    await world.mount();
    await world.umount();
    expect(world.storedFiles()).toEqual(['/f']);
    expect(`${await store.readFile('/f')}`).toBe('first\nsecond\n');
  });
});
