/** `syncmount pin`: pinned files are on this machine, whole and up to date, before a program reads them, and without the service. */
import { createHash } from 'node:crypto';
import { expect, it as only } from 'vitest';
import { isComplete, long } from '../../support/extent.js';
import { describeEach, isDownload, openWorld, protocols, type Subject, traits } from '../subjects.js';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

/** 2,000 files on the service with one list of all files. On the others, and in the quick run, a tenth. */
const sizeOf = ({ provider }: Subject): { folders: number; filesEach: number } =>
  isComplete && provider === '5sync' ? { folders: 20, filesEach: 100 } : { folders: 5, filesEach: 40 };

const sumOfAll = 'find . -type f -print0 | sort -z | xargs -0 md5sum | md5sum';

/** Waits until all pinned files are on this machine. */
async function allHere(world: World, files?: number): Promise<void> {
  await expect
    .poll(async () => (await world.status()).pins, { timeout: 120_000 })
    .toMatchObject({ missingFiles: 0, missingBytes: 0, ...(files === undefined ? {} : { files }) });
}

describeEach(protocols, 'what is pinned of $provider', (subject, { it, unless }) => {
  cleanUpWorlds();

  it('is whole and readable with the server gone, after a remount, although the cache is small', long, async () => {
    const world = await openWorld(subject);
    const { folders, filesEach } = sizeOf(subject);
    await world.sandbox.store.populate({ path: '/Music', folders, filesEach, size: 1500 });
    await world.sandbox.store.generate('/Music/long/film.bin', 20 * 1024 * 1024);
    await world.sandbox.store.putFile('/other.txt', 'not pinned');
    const files = folders * filesEach + 1;
    await world.mount('--cache-size', '64K');
    const told = await world.cli(['pin', `${world.mnt}/Music`]);
    expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining(`Pinned: ${world.mnt}/Music.`) });
    await allHere(world, files);
    // Checked while the server is there, without a further download.
    const downloads = (await world.requestsOf(() => world.out(`cd Music; ${sumOfAll}`))).filter(isDownload);
    expect(downloads).toEqual([]);
    const [sum] = (await world.out(`cd Music; ${sumOfAll}`)).split(' ');
    const expected = [...world.sandbox.store.md5s()]
      .filter(([path]) => path.startsWith('/Music/'))
      .map(([path, md5]) => `${md5}  ./${path.slice('/Music/'.length)}\n`)
      .sort((a, b) => (a.slice(34) < b.slice(34) ? -1 : 1));
    expect(sum).toBe(createHash('md5').update(expected.join('')).digest('hex'));
    const listed = await world.cli(['pin', '--list']);
    expect(listed.stdout).toMatch(new RegExp(`^here\\t[\\d.]+ MiB\\t${files} files\\t${world.mnt}/Music\n$`));
    await world.umount();

    await world.sandbox.close();
    await world.mount('--cache-size', '64K', '--deadline', '2s');
    expect(await world.out(`cd Music; ${sumOfAll}`)).toMatch(sum ?? '');
    await allHere(world, files);
  });

  it("gets another client's changes without being asked for", long, async () => {
    const world = await openWorld(subject);
    const { store } = world.sandbox;
    await store.putFile('/docs/report.txt', 'first\n');
    await store.putFile('/docs/sub/note.txt', 'note\n');
    await world.mount('--dir-ttl', '1s');
    await world.cli(['pin', `${world.mnt}/docs`]);
    await allHere(world, 2);
    const before = world.sandbox.log.entries().at(-1)?.n ?? 0;
    await store.putFile('/docs/report.txt', 'second, by somebody else\n');
    await store.putFile('/docs/sub/new.txt', 'new\n');
    // Nothing looks into the mount meanwhile.
    await expect
      .poll(() => world.sandbox.log.entries({ after: before }).filter(isDownload).length, { timeout: 60_000 })
      .toBe(2);
    await allHere(world, 3);
    const read = await world.requestsOf(async () =>
      expect(await world.out('cat docs/report.txt docs/sub/new.txt')).toBe('second, by somebody else\nnew'),
    );
    expect(read.filter(isDownload)).toEqual([]);
  });

  unless(({ provider }) => !traits[provider].movesFolders, 'it renames no folders')(
    'goes with its renames, and what is moved in is pinned',
    async () => {
      const world = await openWorld(subject);
      const { store } = world.sandbox;
      await store.putFile('/a/one.txt', 'one\n');
      await store.putFile('/b/two.txt', 'two\n');
      await world.mount();
      await world.cli(['pin', `${world.mnt}/a`]);
      await allHere(world, 1);
      await world.out('mv a c; mv b c/b; mkdir c/d; echo three > c/d/three.txt');
      await allHere(world, 3);
      const list = JSON.parse((await world.cli(['pin', '--list', '--json'])).stdout);
      expect(list).toMatchObject([{ path: `${world.mnt}/c`, kind: 'directory', files: 3, missingFiles: 0 }]);
      await world.out('mv c/b b');
      await allHere(world, 2);
      expect((await world.cli(['unpin', `${world.mnt}/c`])).code).toBe(0);
      await expect.poll(async () => (await world.status()).cache.pinned).toBe(0);
      expect(await world.status()).not.toHaveProperty('pins');
    },
  );

  it('stays pinned where a program saves it as a new file of its name', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/letter.txt', 'first\n');
    await world.mount();
    await world.cli(['pin', `${world.mnt}/letter.txt`]);
    await allHere(world, 1);
    await world.out('echo second > letter.new; mv letter.new letter.txt');
    // The old file was all here, too.
    await expect
      .poll(async () => JSON.parse((await world.cli(['pin', '--list', '--json'])).stdout))
      .toMatchObject([{ path: `${world.mnt}/letter.txt`, bytes: 7, missingFiles: 0 }]);
    await world.umount();
    await world.sandbox.close();
    await world.mount('--deadline', '2s');
    expect(await world.out('cat letter.txt')).toBe('second');
  });

  it('waits while the service fails, and tells why', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/a.txt', 'a\n');
    await world.mount('--deadline', '1s');
    await world.out('ls d');
    world.sandbox.faults.add({ action: { kind: 'status', status: 500 } });
    await world.cli(['pin', `${world.mnt}/d`]);
    await expect
      .poll(async () => (await world.status()).pins, { timeout: 60_000 })
      .toMatchObject({
        missingFiles: 1,
        problem: expect.any(String),
      });
    expect((await world.cli(['status'])).stdout).toMatch(/pinned +0 of 1 file, 0 B of 2 B, 0% here \(/);
    world.sandbox.faults.clear();
    await allHere(world, 1);
  });
});

cleanUpWorlds();

only('what cannot be pinned, or is not, is told', async () => {
  const world = await createWorld();
  await world.sandbox.store.putFile('/d/a.txt', 'a\n');
  await world.mount();
  expect((await world.cli(['pin', '--list'])).stdout).toBe('Nothing is pinned.\n');
  expect(await world.cli(['pin', `${world.mnt}/missing`])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/missing/),
  });
  expect((await world.cli(['pin'])).code).toBe(2);
  expect(await world.cli(['unpin', `${world.mnt}/d`])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^Not pinned by itself/),
  });
});

only('5sync: leaves a part of the hour to programs, and tells until when it waits', async () => {
  const world = await openWorld({ provider: '5sync', binding: 'kernel' }, { requestsPerHour: 40 });
  for (let n = 0; n < 60; n++) await world.sandbox.store.putFile(`/d/${n}.txt`, `content ${n}\n`);
  await world.mount();
  await world.out('ls d');
  await world.cli(['pin', `${world.mnt}/d`]);
  await expect
    .poll(async () => (await world.status()).pins, { timeout: 60_000 })
    .toMatchObject({ files: 60, problem: expect.stringMatching(/request limit of the account is used up until/) });
  // A fifth of 40.
  expect((await world.status()).rateLimit?.remaining).toBe(8);
  const { missingFiles = 0 } = (await world.status()).pins ?? {};
  expect(missingFiles).toBeGreaterThan(20);
  const asked = await world.requestsOf(() => world.out('cat d/59.txt d/58.txt'));
  expect(asked.filter(isDownload).length).toBeLessThanOrEqual(2);
  expect(await world.out('cat d/0.txt')).toBe('content 0');
});

only.each(['killed', 'unmounted'])('a mount that is %s in the middle goes on where it was', async (how) => {
  const world = await createWorld();
  for (let n = 0; n < 12; n++) await world.sandbox.store.generate(`/d/${n}.bin`, 300_000, n);
  await world.mount();
  world.sandbox.faults.add({ route: 'download', after: 5, action: { kind: 'stall', ms: 600_000 } });
  await world.cli(['pin', `${world.mnt}/d`]);
  await expect.poll(async () => (await world.status()).pins?.missingFiles, { timeout: 60_000 }).toBe(7);
  // The stalled requests hold up no unmount.
  if (how === 'unmounted') await world.umount();
  else {
    process.kill((await world.status()).pid, 'SIGKILL');
    await world.shell('umount -l "$MNT"');
  }
  world.sandbox.faults.clear();
  await world.mount();
  await allHere(world, 12);
  const asked = await world.requestsOf(() => world.out('cat d/* | wc -c'));
  expect(asked.filter(isDownload)).toEqual([]);
});
