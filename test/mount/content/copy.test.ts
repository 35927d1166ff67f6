import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

/** Calls copy_file_range(2) until it has nothing more to copy, as cp(1) does, whatever cp(1) is here. */
const copy = (from: string, to: string): string => `python3 -c "
import os
a = os.open('${from}', os.O_RDONLY); b = os.open('${to}', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
while os.copy_file_range(a, b, 1 << 30): pass
os.close(b)"`;

describeEach(protocols, 'cp within a mount of $provider', (subject, { it }) => {
  cleanUpWorlds();
  /** Acronis copies to other folders only. */
  const isServerCopy = { '4shared': true, '4sync': true, '5sync': false, acronis: true }[subject.provider];

  it('copies a stored file at the provider where that can, and by its bytes where not', async () => {
    const world = await openWorld(subject);
    const { store } = world.sandbox;
    await store.generate('/a.bin', 3_000_000);
    await store.putFile('/d/other.txt', 'other');
    await world.mount();
    await world.out('ls -l a.bin d');
    const sum = store.stat('/a.bin')?.md5;
    const requests = await world.requestsOf(() => world.out(copy('a.bin', 'd/a.bin')));
    const moved = requests.reduce((bytes, { bytesIn, bytesOut }) => bytes + bytesIn + bytesOut, 0);
    expect(moved < 100_000).toBe(isServerCopy);
    expect(store.stat('/d/a.bin')?.md5).toBe(sum);
    expect(await world.out('md5sum < d/a.bin | cut -c1-32; stat -c %s d/a.bin')).toBe(`${sum}\n3000000`);

    // Within the folder, over an existing file, of a part, of an empty file, of a file that is being written.
    await world.out(copy('a.bin', 'b.bin'));
    await world.out(copy('a.bin', 'd/other.txt'));
    await world.out('dd if=a.bin of=part bs=1000 count=7 skip=3 status=none; : > empty');
    await world.out(copy('empty', 'empty2'));
    await world.out(`exec 3> fresh; printf 'not stored yet' >&3; ${copy('fresh', 'fresh2')}`);
    const names = ['b.bin', 'd/other.txt', 'a.bin'];
    expect(await world.out(`md5sum ${names.join(' ')} | cut -c1-32 | uniq`)).toBe(sum);
    expect(
      await world.out('cmp part <(dd if=a.bin bs=1000 count=7 skip=3 status=none); cat fresh2; stat -c %s empty2'),
    ).toBe('not stored yet0');
    // The copy is a file of its own, and a copied file can be changed before it is closed.
    await world.out(`echo more >> d/a.bin; python3 -c "
import os
a = os.open('a.bin', os.O_RDONLY); b = os.open('d/c.bin', os.O_RDWR | os.O_CREAT | os.O_EXCL)
while os.copy_file_range(a, b, 1 << 30): pass
os.pwrite(b, b'changed', 100)
os.close(b)"`);
    await world.umount();
    expect(store.stat('/a.bin')?.md5).toBe(sum);
    expect(store.stat('/b.bin')?.md5).toBe(sum);
    const changed = await store.readFile('/a.bin');
    changed.write('changed', 100);
    expect((await store.readFile('/d/c.bin')).equals(changed)).toBe(true);
    expect(store.stat('/d/a.bin')?.size).toBe(3_000_005);
    expect([...world.storedMd5s().keys()].filter((path) => /conflict|syncmount/.test(path))).toEqual([]);
  });
});
