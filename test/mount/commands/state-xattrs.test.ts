/** `user.syncmount.state` and `.pinned`: they tell the state of a file without a request, and programs never copy them. */
import { expect } from 'vitest';
import { describeEach, openWorld, subjects, traits } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

const mine = subjects.filter(({ provider }) => provider !== '4sync');

describeEach(mine, 'how a file of $provider is kept ($binding)', (subject, { it }) => {
  const { bringing } = traits[subject.provider];
  cleanUpWorlds();

  it('is told by an attribute that costs no request', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/small.txt', 'small\n');
    await world.sandbox.store.generate('/d/large.bin', 30 * 1024 * 1024);
    await world.mount('--write-back');
    await world.out('ls d');
    const state = (path: string): Promise<string> =>
      world.out(`getfattr --only-values -n user.syncmount.state '${path}'`);
    const asked = await world.requestsOf(async () => {
      expect(await state('d/small.txt')).toBe('remote');
      expect((await world.sh('getfattr -n user.syncmount.pinned d/small.txt')).stderr).toMatch(/No such attribute/);
      expect((await world.sh('getfattr -n user.syncmount.state d')).stderr).toMatch(/No such attribute/);
    });
    expect(asked).toEqual([]);
    await world.out('cat d/small.txt; dd if=d/large.bin of=/dev/null bs=4k count=1 skip=4000 status=none');
    expect([await state('d/small.txt'), await state('d/large.bin')]).toEqual(['cached', 'partial']);

    await world.out('setfattr -n user.syncmount.pinned -v 1 d');
    expect(await world.out('getfattr --only-values -n user.syncmount.pinned d d/small.txt 2>/dev/null')).toBe(
      '1folder',
    );
    await world.until('[ "$(getfattr --only-values -n user.syncmount.state d/large.bin)" = pinned ]');
    await expect.poll(async () => (await world.status()).pins).toMatchObject({ pins: 1, files: 2, missingFiles: 0 });
    expect((await world.sh('setfattr -x user.syncmount.pinned d/small.txt')).stderr).toMatch(/not permitted/);
    await world.out('setfattr -x user.syncmount.pinned d');
    expect(await world.status()).not.toHaveProperty('pins');
    expect((await world.sh('setfattr -x user.syncmount.pinned d')).stderr).toMatch(/No such attribute/);

    world.sandbox.faults.add({ ...bringing, action: { kind: 'stall', ms: 600_000 } });
    await world.out('echo new > d/new.txt');
    expect(await state('d/new.txt')).toBe('uploading');
    world.sandbox.faults.clear();
    await world.untilWaiting(0, 0);
    expect(await state('d/new.txt')).toBe('cached');
    world.sandbox.faults.add({ ...bringing, action: { kind: 'status', status: 403 } });
    await world.out('echo more >> d/new.txt');
    await world.untilWaiting(0, 1);
    expect(await state('d/new.txt')).toBe('failed');
    world.sandbox.faults.clear();
    await world.cli(['uploads', 'retry', world.mnt]);
    await world.untilWaiting(0, 0);
  });

  it('is not listed, so no program copies it, and no program can store under such a name', async () => {
    const world = await openWorld(subject);
    await world.mount();
    await world.out('echo a > a; setfattr -n user.note -v kept a; setfattr -n user.syncmount.pinned -v 1 a');
    expect(await world.out('getfattr -d -m - --absolute-names a | grep -o "^user[^=]*"')).toBe('user.note');
    await world.out(
      'cp -a a b; rsync -aX a c; tar --xattrs --xattrs-include="*" -cf - a | (mkdir d; tar --xattrs -C d -xf -)',
    );
    for (const copy of ['b', 'c', 'd/a']) {
      expect((await world.sh(`getfattr -n user.syncmount.pinned ${copy}`)).stderr).toMatch(/No such attribute/);
      expect(await world.out(`getfattr --only-values -n user.note ${copy}`)).toBe('kept');
    }
    for (const name of ['state', 'link', 'anything'])
      expect((await world.sh(`setfattr -n user.syncmount.${name} -v x a`)).stderr).toMatch(/not permitted/);
    expect((await world.sh('setfattr -n user.syncmount.pinned -v yes a')).stderr).toMatch(/Invalid argument/);
  });
});
