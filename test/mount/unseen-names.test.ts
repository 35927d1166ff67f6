/** Names that only the service has yet: another client made them since this mount looked. */
import { describe, expect, it } from 'vitest';
import { describeEach, openWorld, overKernel } from './subjects.js';
import { cleanUpWorlds } from './world.js';

describeEach(overKernel, 'a name that only $provider has yet', (subject, { it }) => {
  cleanUpWorlds();

  it('is replaced by a rename like any other, and is in the way of one that must not replace', async () => {
    const world = await openWorld(subject);
    for (const name of ['one', 'two']) await world.sandbox.store.putFile(`/${name}`, name);
    await world.mount('--dir-ttl', '1h');
    await world.out('ls; cat one two');
    for (const name of ['taken', 'kept']) await world.sandbox.store.putFile(`/${name}`, 'theirs');
    expect(await world.out('mv one taken; cat taken')).toBe('one');
    const renameNoReplace = `python3 -c "
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
print(errno.errorcode[ctypes.get_errno()] if libc.renameat2(-100, b'two', -100, b'kept', 1) else 'done')"`;
    // 5sync is told of a name only by its contents, and stores a second version under it.
    if (subject.provider !== '5sync') expect(await world.out(renameNoReplace)).toBe('EEXIST');
    await world.umount();
    const files = world.sandbox.store.tree().filter(({ kind }) => kind === 'file');
    const names = files.map(({ path }) => path).sort();
    expect(names).toEqual(['/kept', '/taken', '/two']);
    expect(`${await world.sandbox.store.readFile('/taken')}`).toBe('one');
    expect(`${await world.sandbox.store.readFile('/kept')}`).toBe('theirs');
  });
});

describe('an account of acronis that is full', () => {
  cleanUpWorlds();

  it('says so, although the service speaks of permission', async () => {
    const world = await openWorld({ provider: 'acronis', binding: 'kernel' });
    await world.sandbox.store.putFile('/some', 'x'.repeat(5000));
    await world.mount();
    await world.out('ls');
    world.sandbox.settings.quotaBytes = 6000;
    const { code, stderr } = await world.sh('head -c 3000 /dev/zero > large');
    expect([code, stderr.includes('No space left on device')]).toEqual([1, true]);
    expect((await world.status()).failed).toMatchObject([{ path: '/large', error: expect.any(String) }]);
    expect(await world.out('echo small > small; cat small')).toBe('small');
  });
});
