/** `syncmount pause` and `resume`: nothing is uploaded in between, and nothing is lost. */
import { beforeEach, expect } from 'vitest';
import { describeEach, openWorld, protocols, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

describeEach(protocols, 'uploads to $provider that are paused', (subject, { it }) => {
  const { bringing } = traits[subject.provider];
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
  });
  const stored = (): string[] =>
    world.sandbox.store.tree().flatMap(({ kind, path }) => (kind === 'file' ? [path] : []));
  const paused = { pid: expect.any(Number), paused: true };

  it('wait on this machine, so that a close does not, and go on afterwards', async () => {
    await world.mount();
    const told = await world.cli(['pause', world.mnt]);
    expect([told.code, told.stdout]).toEqual([0, expect.stringContaining('paused, nothing waits')]);
    expect(await world.out('echo one > a; mkdir d; echo two > d/b; mv a d/c; cat d/b d/c')).toBe('two\none');
    expect(await world.status()).toMatchObject({ ...paused, pending: [{}, {}] });
    expect((await world.cli(['status', world.mnt])).stdout).toContain(
      `PAUSED    nothing is uploaded until: syncmount resume`,
    );
    expect(stored()).toEqual([]);
    expect((await world.cli(['resume'])).stdout).toContain('uploads go on, 2 files wait');
    await world.untilWaiting(0, 0);
    expect(stored().toSorted()).toEqual(['/d/b', '/d/c']);
    expect(await world.status()).not.toHaveProperty('paused');
    await world.out('echo three > e');
    expect(stored()).toContain('/e');
  });

  it('break off what is under way, lets its close go, and stores it whole in the end', async () => {
    await world.mount();
    world.sandbox.faults.add({ ...bringing, action: { kind: 'stall', ms: 60_000 }, times: 1 });
    const copy = world.start('head -c 3000000 /dev/zero > big; echo closed');
    await world.until('[ "$(stat -c %s big)" = 3000000 ]');
    expect((await world.cli(['pause', world.mnt])).code).toBe(0);
    expect((await copy.ended).stdout).toBe('closed\n');
    expect(stored()).toEqual([]);
    await world.cli(['resume', world.mnt]);
    await world.untilWaiting(0, 0);
    expect(stored()).toEqual(['/big']);
    expect(await world.out('cmp big <(head -c 3000000 /dev/zero) && echo same')).toBe('same');
  });

  it('are left to the next mount by umount, which says so, and by a kill', async () => {
    await world.mount();
    await world.cli(['pause']);
    await world.out('echo one > a');
    const told = await world.cli(['umount', world.mnt]);
    expect([told.code, told.stdout + told.stderr]).toEqual([3, expect.stringContaining('/a')]);
    await world.mount();
    await world.untilWaiting(0, 0);
    expect(stored()).toEqual(['/a']);
    await world.cli(['pause']);
    await world.out('for i in {1..12}; do echo $i > m$i; done');
    const forced = await world.cli(['umount', '--force', world.mnt]);
    expect([forced.code, forced.stderr]).toEqual([3, expect.stringMatching(/(\/m\d+, ){10}and 2 more\n$/)]);
    await world.mount();
    await world.untilWaiting(0, 0);
    await world.out('rm m*');
    await world.cli(['pause']);
    await world.out('echo two > b');
    process.kill((await world.status()).pid, 'SIGKILL');
    await world.shell('umount -l "$MNT"');
    await world.mount();
    await world.untilWaiting(0, 0);
    expect(stored().toSorted()).toEqual(['/a', '/b']);
  });
});
