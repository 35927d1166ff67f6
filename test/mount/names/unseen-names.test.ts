/** Names that only the service has so far: another client made them after this mount's last look. */
import { release } from 'node:os';
import { describe, expect, it } from 'vitest';
import { describeEach, openWorld, overKernel, protocols } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

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

/** Linux 6.16 introduced the notification. */
const [major = 0, minor = 0] = release().split('.').map(Number);
const isOlder = major < 6 || (major === 6 && minor < 16);

// 5sync is told of a name only by its contents.
describe.each(protocols.filter(({ provider }) => provider !== '5sync'))(
  'who is told that a name of $provider is taken',
  (subject) => {
    cleanUpWorlds();

    it.skipIf(isOlder)(
      `sees it at once${isOlder ? ' (skipped: the kernel shows it later, before Linux 6.16)' : ''}`,
      async () => {
        const world = await openWorld(subject);
        await world.sandbox.store.putFile('/known', 'ours');
        await world.mount('--dir-ttl', '1h');
        await world.out('ls; cat known');
        await world.sandbox.store.putFile('/file', 'theirs');
        const rename = `python3 -c "
import ctypes, os
print(ctypes.CDLL(None).renameat2(-100, b'known', -100, b'file', 1), os.stat('file').st_size, sorted(os.listdir('.')))"`;
        expect(await world.out(rename)).toBe("-1 6 ['file', 'known']");
        await world.out('! stat folder');
        await world.sandbox.store.putFile('/folder/in', 'theirs');
        expect(await world.out('mkdir -p folder && ls folder')).toBe('in');
      },
    );
  },
);
