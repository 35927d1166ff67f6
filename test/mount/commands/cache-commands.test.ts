/** `syncmount cache`: it lists cached files by path, evicts them, and fetches them before they are read. */
import { expect, it as only } from 'vitest';
import { describeEach, isDownload, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, createWorld } from '../world.js';

interface Listing {
  readonly bytes: number;
  readonly files: readonly { readonly path: string | null; readonly bytes: number; readonly isPinned: boolean }[];
}

describeEach(protocols, 'the cache of $provider', (subject, { it }) => {
  cleanUpWorlds();

  it('warm fetches a folder once, show tells what is here, drop lets it go but for what is pinned or open', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.populate({ path: '/photos', folders: 3, filesEach: 10, size: 5000 });
    await world.sandbox.store.generate('/films/one.bin', 20 * 1024 * 1024);
    await world.sandbox.store.putFile('/kept.txt', 'kept\n');
    await world.mount();
    const json = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await world.cli(['cache', ...args, '--json'])).stdout);
    const told = await world.cli([
      'cache',
      'warm',
      `${world.mnt}/photos`,
      `${world.mnt}/films`,
      `${world.mnt}/kept.txt`,
    ]);
    expect(told).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Here: 32 of 32 files, 20\.1 MiB\.\n$/) });
    const read = await world.requestsOf(() => world.out('cat photos/*/* films/one.bin kept.txt | wc -c'));
    expect(read.filter(isDownload)).toEqual([]);
    const again = await world.requestsOf(() => world.cli(['cache', 'warm', world.mnt]));
    expect(again.filter(isDownload)).toEqual([]);

    const [cache] = (await json()) as Listing[];
    expect(cache?.files[0]).toEqual({ path: '/films/one.bin', size: 20971520, bytes: 20971520, isPinned: false });
    expect(cache?.files).toHaveLength(32);
    const shown = (await world.cli(['cache', 'show', world.mnt])).stdout;
    expect(shown).toMatch(
      /^.*: 20\.\d MiB of 10\.0 GiB, 32 files\n20\.0 MiB\tcached\t.*\/films\/one\.bin\n4\.9 KiB\tcached\t/,
    );
    expect(shown).toMatch(/\nand 2 smaller ones: --all shows them\n$/);

    await world.cli(['pin', `${world.mnt}/kept.txt`]);
    const reader = world.start(
      'exec 3< photos/folder-0000/file-0000.txt; head -c1 <&3 > /dev/null; echo open; exec sleep 600',
    );
    await reader.first;
    const dropped = await world.cli(['cache', 'drop', `${world.mnt}/photos`]);
    expect(dropped.stdout).toMatch(/^Freed 14\d(\.\d)? KiB of 29 files\. Kept: 1 that programs have open\.\n$/);
    reader.child.kill('SIGKILL');
    await reader.ended;
    await expect.poll(() => json('drop')).toEqual({ files: 0, bytes: 0, pinned: 1, open: 0 });
    const [left] = (await json()) as Listing[];
    expect(left).toMatchObject({ bytes: 0, files: [{ path: '/kept.txt', bytes: 5, isPinned: true }] });
    expect(await world.out('cat kept.txt; cmp <(cat films/one.bin) <(cat films/one.bin) && echo same')).toBe(
      'kept\nsame',
    );
  });
});

cleanUpWorlds();

only('warm says what does not fit and what cannot be had, and Ctrl-C ends it', async () => {
  const world = await createWorld();
  await world.sandbox.store.generate('/large.bin', 4 * 1024 * 1024);
  await world.sandbox.store.putFile('/d/a.txt', 'a\n');
  await world.sandbox.store.putFile('/d/b.txt', 'b\n');
  await world.mount('--cache-size', '2M', '--deadline', '2s');
  expect(await world.cli(['cache', 'warm', world.mnt])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/4\.0 MiB do not fit into the cache of 2\.0 MiB: pin it, or mount with a larger/),
  });
  world.sandbox.faults.add({ route: 'download', action: { kind: 'status', status: 404 }, times: 1 });
  const told = await world.cli(['cache', 'warm', `${world.mnt}/d`]);
  expect(told).toMatchObject({
    code: 1,
    stdout: 'Here: 1 of 2 files, 2 B.\n',
    stderr: expect.stringMatching(/\/d\/[ab]\.txt: /),
  });

  world.sandbox.faults.add({ route: 'download', action: { kind: 'stall', ms: 600_000 } });
  const warming = world.start('exec $SYNCMOUNT cache warm "$MNT/d"');
  await expect.poll(() => world.sandbox.faults.fired()).toBe(2);
  warming.child.kill('SIGINT');
  expect(await warming.ended).toMatchObject({ code: 130, stderr: expect.stringMatching(/stopped; 1 of 2 files/) });
  world.sandbox.faults.clear();
  expect((await world.cli(['cache', 'warm', `${world.mnt}/d`])).stdout).toBe('Here: 2 of 2 files, 4 B.\n');
  expect((await world.cli(['cache', 'burn'])).code).toBe(2);
});
