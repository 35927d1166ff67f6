import { describe, expect, it } from 'vitest';
import type { AcronisReadings } from '../../../src/sandbox/index.js';
import { isComplete, leaveOut } from '../../support/extent.js';
import { cleanUpWorlds, createServiceWorld, joinWorld, type World } from '../world.js';

const removedFiles = 'Removed files (syncmount)';

function withoutDeletion(readings: Partial<AcronisReadings> = {}): Promise<World> {
  return createServiceWorld({ provider: 'acronis', readings: { deletion: 'none', ...readings } });
}

describe('a service that does not delete (Acronis without a deletion)', () => {
  cleanUpWorlds();

  it.each([405, 404, 403] as const)(
    'removes files and directories where it answers %i to a deletion',
    async (unofferedMethod) => {
      const world = await withoutDeletion({ unofferedMethod, missingNode: '403' });
      await world.mount();
      await world.out('mkdir d && echo x > d/f && mkdir d/e && rmdir d/e && rm d/f && rmdir d');
      expect(await world.out('ls -A')).toBe('');
      expect([...world.sandbox.store.md5s().keys()]).toEqual([`/${removedFiles}/f`]);
    },
  );

  it('keeps, with --delete permanent, the version that a rename replaces under a name that says so, and status lists it', async () => {
    const world = await withoutDeletion();
    const { store } = world.sandbox;
    await world.mount('--dir-ttl', '1s', '--delete', 'permanent');
    await world.out('mkdir sub && echo old > sub/report.txt && echo new > sub/new && mv sub/new sub/report.txt');
    expect(await world.out('cat sub/report.txt; ls -A sub')).toBe('new\nreport.txt');
    const aside = /^\/sub\/report \(old version kept by syncmount [0-9a-f]{12}\)\.txt$/;
    const paths = (): string[] => [...store.md5s().keys()].sort();
    const [kept = '', ...others] = paths();
    expect([kept, others]).toEqual([expect.stringMatching(aside), ['/sub/report.txt']]);
    expect(`${await store.readFile(kept)}`).toBe('old\n');

    const listed = [{ path: kept, was: 'report.txt' }];
    expect(await world.status()).toMatchObject({ pending: [], failed: [], kept: listed });
    const { stdout } = await world.cli(['status']);
    expect(stdout).toContain(`KEPT      ${kept}  an old version of report.txt`);
    expect(stdout).toMatch(/acronis does not delete what is kept\. .* removed at its website/);

    // Also at the next mount, which asks nothing for it and does not show it.
    await world.umount();
    await world.mount('--dir-ttl', '1s', '--delete', 'permanent');
    expect((await world.status()).kept).toEqual(listed);
    expect(await world.out('ls -A sub')).toBe('report.txt');
    await world.out('$SYNCMOUNT uploads retry');
    expect((await world.status()).kept).toEqual(listed);

    // Removed at the service, it is listed no more once that is looked at.
    store.remove(kept);
    await world.out('$SYNCMOUNT uploads retry');
    await expect.poll(async () => (await world.status()).kept).toBeUndefined();
    expect(await world.out('cat sub/report.txt')).toBe('new');
  });

  it('moves removed objects to one folder: rm, editors, git and rsync --delete work, and the trash has them', async () => {
    const world = await withoutDeletion();
    const { store } = world.sandbox;
    await world.mount('--dir-ttl', '1h');
    const top = `.Trash-${process.getuid?.() ?? 0}`;
    expect(await world.out(`ls; stat -c %F ${top}`)).toBe('regular empty file');
    await world.out('mkdir docs; echo 1 > docs/a; echo 2 > docs/b');
    // The first removal finds out that the server does not delete, and makes the folder.
    await world.out('rm docs/a');
    expect([...store.md5s().keys()].sort()).toEqual([`/${removedFiles}/a`, '/docs/b']);
    expect(await world.out(`stat -c %F ${top}`)).toBe('directory');
    const routes = await world.routesOf(() => world.out('rm docs/b; rmdir docs'));
    expect(routes.filter((route) => !route.startsWith('GET'))).toEqual([
      'POST /sync_and_share_nodes/{node_uuid}/move',
      'POST /sync_and_share_nodes/{node_uuid}/move',
    ]);
    expect(await world.out('ls -A')).toBe('');

    const work = `
      mkdir -p "$TOP/src/sub"; for n in 1 2 3; do echo $n > "$TOP/src/$n"; echo $n > "$TOP/src/sub/$n"; done
      rsync -a "$TOP/src/" mirror/; rm -r "$TOP/src/sub" "$TOP/src/3"; rsync -a --delete "$TOP/src/" mirror/; ls mirror
      sed -i s/1/one/ mirror/1; cat mirror/1
      git init -q repo; cd repo; git config user.email a@b; git config user.name c; seq 9 > f; git add f; git commit -qm one
      git rm -q f; git commit -qm two; git fsck; git log --oneline | wc -l`;
    expect(await world.out(work)).toBe('1\n2\none\n2');
    expect((await world.status()).kept).toBeUndefined();

    // The trash of the desktop and of the command; another machine knows of it from the start.
    expect(await world.out(`ls ${top}/files`)).toContain('a\nb\n');
    expect(await world.out(`cat ${top}/info/b.trashinfo | grep Path`)).toBe('Path=docs/b');
    expect(await world.cli(['trash', 'restore', '/docs/b'])).toMatchObject({ stdout: 'Restored 1 of 1.\n' });
    expect(await world.out('cat docs/b')).toBe('2');
    await world.out(`echo kept > kept; gio trash kept; mv ${top}/files/kept back; cat back`);
    const { stderr, code } = await world.sh(`rm -f ${top}/files/a`);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/not permitted/)]);
    // gvfs empties the trash so.
    const emptied = await world.sh(`mkdir -p ${top}/expunged; mv -T ${top}/files/a ${top}/expunged/1`);
    expect([emptied.code, emptied.stderr]).toEqual([1, expect.stringMatching(/not permitted/)]);
    const other = await joinWorld(world);
    await other.mount();
    expect(await other.out(`ls -A; ls ${top}/files | grep '^a$'; mv ${top}/files/a a; cat a`)).toContain('\n1');
  });

  it('has a trash for a machine that was there before it, and gives a folder back with what was in it', async () => {
    const world = await withoutDeletion();
    await world.mount();
    await world.out('mkdir -p docs/sub; echo 1 > docs/a; echo 2 > docs/sub/b');
    const other = await joinWorld(world);
    await other.mount();
    await other.out('ls');
    expect(await other.cli(['trash', 'list'])).toMatchObject({ code: 1, stderr: 'syncmount: acronis has no trash\n' });
    await world.out('rm -r docs');
    expect((await other.cli(['trash', 'list'])).stdout).toMatch(/\t2 B\t.*b\n/);
    expect(await world.cli(['trash', 'restore', '/docs'])).toMatchObject({ stdout: 'Restored 4 of 4.\n', stderr: '' });
    expect(await world.out('cat docs/a docs/sub/b')).toBe('1\n2');
    await world.out('rm docs/a; echo 3 > docs/a');
    expect(await world.cli(['trash', 'restore', '/docs/a'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has another one of its name: move or rename that first\n$/),
    });
  });

  // On 4shared test/mount/commands/trash.test.ts has it in the quick run.
  const manyFiles = 1_000;
  if (!isComplete) leaveOut(2);
  else
    it.each(['none', undefined])(
      'has 1,000 removed objects, for two machines (Acronis with deletion: %s)',
      async (deletion) => {
        const world = deletion === 'none' ? await withoutDeletion() : await createServiceWorld({ provider: 'acronis' });
        for (let n = 0; n < manyFiles; n++) await world.sandbox.store.putFile(`/many/${n}`, 'x'.repeat(4_096));
        await world.mount('--dir-ttl', '1h');
        const other = await joinWorld(world);
        await other.mount('--dir-ttl', '1s');
        const free = async (): Promise<number> => Number(await world.out('df -B1 --output=avail . | tail -1'));
        const before = await free();
        await world.out('ls many > /dev/null');
        const routes = await world.routesOf(() => world.out('find many -type f -delete; ls -A many'));
        const changes = routes.filter((route) => !route.startsWith('GET'));
        // Besides the first refusal, the folder for removed files, and its metadata.
        expect(changes.length).toBeGreaterThanOrEqual(manyFiles);
        expect(changes.length).toBeLessThanOrEqual(manyFiles + 3);
        expect(changes.filter((route) => route === changes.at(-1))).toHaveLength(manyFiles);
        const freed = (await free()) - before;
        const listed = await other.cli(['trash', 'list', '--json']);
        if (deletion === undefined) {
          expect(freed).toBe(manyFiles * 4_096);
          expect(listed).toMatchObject({ code: 1, stderr: 'syncmount: acronis has no trash\n' });
          return;
        }
        expect(freed).toBe(0);
        const items = JSON.parse(listed.stdout) as { name: string }[];
        expect(new Set(items.map(({ name }) => name)).size).toBe(manyFiles);
        const own = JSON.parse((await world.cli(['trash', 'list', '--json'])).stdout) as { path: string }[];
        expect(own.map(({ path }) => path).sort()).toEqual(
          Array.from({ length: manyFiles }, (_, n) => `/many/${n}`).sort(),
        );
        expect(await world.cli(['trash', 'restore', '/many/17'])).toMatchObject({ stdout: 'Restored 1 of 1.\n' });
        expect(await world.out('ls many; cat many/17 | wc -c')).toBe('17\n4096');
        await other.until('test "$(ls many)" = 17');
        expect(JSON.parse((await other.cli(['trash', 'list', '--json'])).stdout)).toHaveLength(manyFiles - 1);
      },
    );

  it('says so with --delete permanent', async () => {
    const world = await withoutDeletion();
    await world.mount('--delete', 'permanent');
    const { code, stderr } = await world.sh('echo 1 > a; rm a');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/not permitted/)]);
    expect(await world.out('cat a')).toBe('1');
  });
});
