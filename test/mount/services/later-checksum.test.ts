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

  it('shows a descriptor that has read the file before what is stored here afterwards', async () => {
    const world = await mounted();
    await world.out('mkfifo "$TOP/may-go-on"');
    const program = [
      "open('f', 'w').write('first'); f = os.open('f', os.O_RDWR); os.pread(f, 5, 0); print('read', flush=True)",
      "open(os.environ['TOP'] + '/may-go-on').read()",
      'print(os.pread(f, 9, 0), os.pread(f, 9, 20)); os.ftruncate(f, 2)',
    ];
    const reading = world.sh(`python3 -c "import os; ${program.join('; ')}" > "$TOP/shown"`);
    await expect.poll(() => world.out('cat "$TOP/shown"')).toBe('read');
    await toldChecksum(world);
    await world.out('printf more >> f; echo > "$TOP/may-go-on"');
    expect(await reading).toMatchObject({ code: 0, stderr: '' });
    expect(await world.out('cat "$TOP/shown"; ls; cat f')).toBe("read\nb'firstmore' b''\nf\nfi");
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
