import { createHash } from 'node:crypto';
import { beforeEach, expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, isDownload, openWorld, subjects, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const MIB = 1024 * 1024;

describeEach(subjects, 'reading from $provider over the $binding binding', (subject, { it, unless }) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
  });

  const { provider } = subject;
  /** The cache and its downloads do not depend on the binding. */
  const once = unless(({ binding }) => binding !== 'kernel', 'the same code under every binding');
  /** Nor on the service. */
  const onOne = unless(
    (one) => one.binding !== 'kernel' || one.provider !== '4shared',
    'the same code under every binding and service',
  );

  const downloaded = async (act: () => Promise<unknown>): Promise<number> =>
    (await world.requestsOf(act)).filter(isDownload).reduce((sum, { bytesOut }) => sum + bytesOut, 0);

  it('two programs that read one cold file at once download each byte once', async () => {
    await world.sandbox.store.generate('/file.bin', 24 * MIB);
    await world.mount();
    const expected = createHash('md5')
      .update(await world.sandbox.store.readFile('/file.bin'))
      .digest('hex');
    let sums = '';
    const bytes = await downloaded(async () => {
      sums = await world.out('md5sum < file.bin & md5sum < file.bin & wait');
    });
    expect(sums).toBe(`${expected}  -\n${expected}  -`);
    expect(bytes).toBe(24 * MIB);
  });

  it('a read of 4 KiB in the middle of a large file downloads less than 2 MiB', async () => {
    await world.sandbox.store.generate('/large.bin', provider === '4shared' ? 200_000_000 : 20_000_000);
    await world.mount();
    const expected = createHash('md5')
      .update((await world.sandbox.store.readFile('/large.bin')).subarray(2500 * 4096, 2501 * 4096))
      .digest('hex');
    let sum = '';
    const bytes = await downloaded(async () => {
      sum = await world.out('dd if=large.bin bs=4096 skip=2500 count=1 status=none | md5sum');
    });
    expect(sum).toBe(`${expected}  -`);
    expect(bytes).toBeLessThan(2 * MIB);
  });

  it('the head of a large file costs little more than what is read', async () => {
    await world.sandbox.store.generate('/photo.bin', 20 * MIB);
    await world.mount();
    expect(await downloaded(() => world.out('head -c 65536 photo.bin | wc -c'))).toBeLessThan(4 * MIB);
  });

  /** The downloads for a program that opens the file, reads `pieces` of [offset, length], and ends. */
  const looks = async (name: string, pieces: string): Promise<{ requests: number; bytes: number }> => {
    const script = `import os, sys
fd, size = os.open(sys.argv[1], os.O_RDONLY), os.stat(sys.argv[1]).st_size
for at, length in ${pieces}: os.pread(fd, length, at)`;
    const requests = (await world.requestsOf(() => world.out(`python3 -c '${script}' ${name}`))).filter(isDownload);
    return { requests: requests.length, bytes: requests.reduce((sum, { bytesOut }) => sum + bytesOut, 0) };
  };

  onOne('a photo that is read in pieces of 64 KiB, as thumbnailers do, comes in one request', async () => {
    await world.sandbox.store.generate('/photo.jpg', 2_000_000);
    await world.mount();
    const all = await looks('photo.jpg', '[(at, 65536) for at in range(0, size, 65536)]');
    expect(all).toEqual({ requests: 1, bytes: 2_000_000 });
  });

  onOne('of a photo whose header and last bytes are read, no more than half a MiB comes, and these', async () => {
    await world.sandbox.store.generate('/photo.jpg', 2_000_000);
    await world.mount();
    const { requests, bytes } = await looks('photo.jpg', '[(0, 8192), (8192, 8192), (size - 64, 64)]');
    expect(requests).toBe(2);
    expect(bytes).toBeLessThan(MIB);
  });

  onOne(
    'the first 768 KiB of a film, in pieces of 32 KiB, as ffprobe reads them, are two requests of 3 MiB',
    async () => {
      await world.sandbox.store.generate('/film.mkv', 40 * MIB);
      await world.mount();
      const { requests, bytes } = await looks('film.mkv', '[(at, 32768) for at in range(0, 786432, 32768)]');
      expect(requests).toBe(2);
      expect(bytes).toBeLessThanOrEqual(3 * MIB);
    },
  );

  it('what was read once is read again without a download, also after a remount', async () => {
    await world.sandbox.store.generate('/file.bin', 5 * MIB);
    await world.mount();
    await world.out('cat file.bin > /dev/null');
    await world.umount();
    await world.mount();
    expect(await downloaded(() => world.out('cat file.bin > /dev/null'))).toBe(0);
    expect((await world.status()).cache).toMatchObject({ bytes: 5 * MIB });
  });

  onOne('the cache stays under its limit, and reads are right all the same', long, async () => {
    await world.sandbox.store.generate('/a.bin', 20 * MIB, 1);
    await world.sandbox.store.generate('/b.bin', 20 * MIB, 2);
    await world.mount('--cache-size', '8M');
    const sum = async (path: string): Promise<string> =>
      createHash('md5')
        .update(await world.sandbox.store.readFile(path))
        .digest('hex');
    expect(await world.out('for f in a b a; do md5sum < $f.bin; done')).toBe(
      [await sum('/a.bin'), await sum('/b.bin'), await sum('/a.bin')].map((md5) => `${md5}  -`).join('\n'),
    );
    expect((await world.status()).cache.bytes).toBeLessThanOrEqual(8 * MIB);
    const onDisk = Number(await world.out('du -sB1 --exclude=index.db* "$TOP/cache" | cut -f1'));
    expect(onDisk).toBeLessThanOrEqual(8.5 * MIB);
  });

  onOne('a damaged cache is noticed and the bytes are fetched again', async () => {
    await world.sandbox.store.generate('/file.bin', 3 * MIB);
    await world.mount();
    const sum = await world.out('md5sum < file.bin');
    await world.umount();
    await world.out(
      'for f in $(find "$TOP/cache" -type f -size +1000k); do printf damaged | dd of=$f conv=notrunc seek=500000 bs=1 status=none; done',
    );
    await world.mount();
    expect(await world.out('md5sum < file.bin')).toBe(sum);
  });

  once('a server that ignores ranges is read once, and rightly', async () => {
    Object.assign(world.sandbox.readings, traits[provider].ignoringRanges);
    await world.sandbox.store.generate('/file.bin', 12 * MIB);
    await world.mount();
    const expected = createHash('md5')
      .update(await world.sandbox.store.readFile('/file.bin'))
      .digest('hex');
    const bytes = await downloaded(async () => {
      expect(await world.out('tail -c 100000 file.bin > /dev/null; md5sum < file.bin')).toBe(`${expected}  -`);
    });
    expect(bytes).toBeLessThanOrEqual(24 * MIB);
  });

  it('a change at the server is seen within the time to live of listings', async () => {
    await world.sandbox.store.putFile('/file.txt', 'first');
    await world.mount('--dir-ttl', '1s');
    expect(await world.out('cat file.txt')).toBe('first');
    await world.sandbox.store.putFile('/file.txt', 'the second version');
    await world.sandbox.store.putFile('/another.txt', 'new');
    await world.until('grep -q second file.txt && ls | grep -q another');
    expect(await world.out('cat file.txt; echo; ls')).toBe('the second version\nanother.txt\nfile.txt');
  });

  const named = unless(
    (one) => one.provider === '5sync' || one.provider === 'acronis',
    'names.test.ts has what it can hold',
  );
  named('names that no directory can hold are shown, read, written and renamed', async () => {
    const { store } = world.sandbox;
    await store.putFileIn(store.rootId, 'a/b', 'slash');
    await store.putFileIn(store.rootId, '..', 'dots');
    await store.putFileIn(store.rootId, 'twice', 'one');
    await store.putFileIn(store.rootId, 'twice', 'two', true);
    await world.mount();
    const names = (await world.out('ls -A')).split('\n');
    expect(names).toHaveLength(4);
    expect(await world.out('cat a%2Fb %2E%2E')).toBe('slashdots');
    expect((await world.out('cat twice*')).length).toBe('onetwo'.length);
    await world.out('echo changed > a%2Fb');
    expect(store.list('/').map(({ name }) => name)).toContain('a/b');
    await world.out('mv a%2Fb plain');
    expect(`${await store.readFile('/plain')}`).toBe('changed\n');
    await world.umount();
    await world.mount();
    expect((await world.out('ls -A')).split('\n').sort()).toEqual(
      names.map((name) => (name === 'a%2Fb' ? 'plain' : name)).sort(),
    );
  });
});
