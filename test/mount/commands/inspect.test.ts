/** `syncmount link`, `search` and `info` on a mount. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AnySandboxOptions } from '../../../src/sandbox/index.js';
import { long } from '../../support/extent.js';
import { cleanUpWorlds, createServiceWorld, createWorld } from '../world.js';

describe('what people ask', () => {
  cleanUpWorlds();

  it(
    '4shared: a link of a file and of a folder is made, shown and ended; info and both searches tell what is there',
    long,
    async () => {
      const world = await createWorld();
      // The test counts requests, so nothing else may be stored meanwhile, however slow the machine is.
      await world.mount('--metadata', 'local');
      await world.out(
        'mkdir -p "docs/Annual Report"; echo hello > "docs/Annual Report/report one.txt"; ln -s x docs/report-link',
      );
      const file = `${world.mnt}/docs/Annual Report/report one.txt`;
      const cli = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await world.cli(args);
        if (code !== 0) throw new Error(stderr);
        return stdout.trim();
      };

      const url = await cli('link', file);
      expect(url).toMatch(/^https:\/\/www\.4shared\.com\/file\/.*report_one\.html$/);
      expect(await cli('link', '--remove', file)).toBe('Not shared by a link.');
      expect(await cli('link', '--list', file)).toBe('Not shared by a link.');
      expect(await cli('link', `${world.mnt}/docs`)).toMatch(/\/folder\/.*docs\.html$/);
      expect(JSON.parse(await cli('link', '--list', '--json', `${world.mnt}/docs`))).toMatchObject({ isPublic: true });
      expect(await world.cli(['link', '--expires', '7d', file])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/do not expire/),
      });
      expect(await world.cli(['link', '--password', `${world.mnt}/docs`])).toMatchObject({ code: 2 });

      const [info] = JSON.parse(await cli('info', '--json', file)) as Record<string, unknown>[];
      const md5 = await world.out('md5sum < "docs/Annual Report/report one.txt" | cut -c-32');
      expect(info).toMatchObject({
        path: '/docs/Annual Report/report one.txt',
        kind: 'file',
        size: 6,
        remote: { md5 },
      });
      expect(await cli('info', `${world.mnt}/docs/report-link`)).toMatch(/^service +not stored there$/m);

      const none = await world.requestsOf(async () =>
        expect(await cli('search', world.mnt, 'REPORT')).toMatch(
          /\t\/docs\/Annual Report\n.*\t\/docs\/Annual Report\/report one\.txt\n.*\t\/docs\/report-link$/,
        ),
      );
      expect(none).toEqual([]);
      expect(await cli('search', 'one', 'report')).toMatch(/^[\d :-]+\t6 B\t\/docs\/Annual Report\/report one\.txt$/);
      expect(await cli('search', '--remote', 'report one')).toMatch(/\t6 B\t\/docs\/Annual Report\/report one\.txt$/);
      expect(await world.cli(['search', 'nothing'])).toMatchObject({ code: 1, stdout: '' });
    },
  );

  it('info tells what is known here where the service does not answer', long, async () => {
    const world = await createWorld();
    await world.sandbox.store.putFile('/d/known', 'abc');
    await world.mount('--dir-ttl', '1s', '--deadline', '3s');
    await world.out('ls -lR');
    world.sandbox.faults.add({ action: { kind: 'reset', when: 'before' } });
    const info = (name: string, ...flags: string[]) => world.cli(['info', ...flags, `${world.mnt}/d/${name}`]);
    // The mount must ask the service for this one.
    expect((await world.sh('mkdir made')).code).toBe(1);
    expect((await world.status()).outage).toBeDefined();
    const found = await info('known');
    expect(found).toMatchObject({ code: 0, stdout: expect.stringMatching(/^size +3 /m) });
    expect(found.stdout).toMatch(/^OFFLINE +4shared does not answer: .*\. This is what is known here$/m);
    const [json] = JSON.parse((await info('known', '--json')).stdout) as Record<string, unknown>[];
    expect(json).toMatchObject({ path: '/d/known', unanswered: expect.stringMatching(/^4shared does not answer/) });
    expect(await info('unknown')).toMatchObject({ code: 1, stderr: expect.stringMatching(/does not answer/) });
    world.sandbox.faults.clear();
    await expect.poll(async () => (await world.status()).outage, { timeout: 60_000 }).toBeUndefined();
    expect((await info('known')).stdout).not.toContain('OFFLINE');
  });

  it('a path through a symbolic link, and a name that begins with two dots, mean that object alone', async () => {
    const world = await createWorld();
    await world.mount();
    await world.out('mkdir d; echo 1 > d/one; echo 2 > d/..two; echo 3 > ..three; ln -s "$MNT" "$TOP/cloud"');
    const cloud = join(world.directory, 'cloud');
    for (const path of [join(cloud, 'd/one'), `${world.mnt}/..three`])
      expect(await world.cli(['pin', path])).toMatchObject({ code: 0, stderr: '' });
    const pinned = async (): Promise<string[]> =>
      JSON.parse((await world.cli(['pin', '--list', '--json'])).stdout).map(({ path }: { path: string }) => path);
    expect((await pinned()).sort()).toEqual([`${world.mnt}/..three`, `${world.mnt}/d/one`]);
    expect((await world.cli(['info', join(cloud, 'd/one')])).stdout).toMatch(/^path +\/d\/one$[\s\S]*^pinned +yes$/m);
    await world.out('rm d/one d/..two ..three');
    for (const path of [join(cloud, 'd/one'), join(cloud, 'd/..two')])
      expect(await world.cli(['trash', 'empty', '--yes', path])).toMatchObject({ stdout: 'Removed 1 of 1.\n' });
    // Also where the folder that it was in is gone.
    await world.out('rmdir d');
    expect((await world.cli(['trash', 'list', join(cloud, 'd')])).stdout).toMatch(/folder\t\/d\n$/);
    expect((await world.cli(['trash', 'list'])).stdout.match(/\t\/\S*$/gm)).toEqual(
      expect.arrayContaining(['\t/..three', '\t/d']),
    );
    expect(await world.cli(['info', '/etc/passwd'])).toMatchObject({
      code: 1,
      stderr: 'syncmount: /etc/passwd does not exist in the mount\n',
    });
  });

  it('Acronis: a link ends after days; what its document lacks is told', async () => {
    const world = await createServiceWorld({ provider: 'acronis' } as AnySandboxOptions);
    await world.mount();
    await world.out('echo hello > a.txt');
    const { stdout } = await world.cli(['link', '--expires', '7d', `${world.mnt}/a.txt`]);
    expect(stdout).toMatch(/^https:\/\/dev-cloud\.acronis\.com\/fc\/t\/[\w-]+\tuntil \d{4}-\d\d-\d\d \d\d:\d\d\n$/);
    expect(await world.cli(['link', '--list', `${world.mnt}/a.txt`])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/lists no links/),
    });
    expect(await world.cli(['search', '--remote', 'a'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has no search/),
    });
  });

  it('Acronis: a folder is shared with people, what they may is changed, and all are listed; elsewhere that is told', async () => {
    const world = await createServiceWorld({ provider: 'acronis' } as AnySandboxOptions);
    await world.mount();
    await world.out('mkdir d; echo x > d/a.txt');
    const folder = `${world.mnt}/d`;
    const made = await world.cli(['share', folder, 'bob@example.com', '--read-only']);
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/\towner\t.*\nbob@example\.com\tguest\treads\n$/),
    });
    const routes = await world.routesOf(() => world.cli(['share', folder, 'Bob@example.com', '--may-invite']));
    expect(routes).toContain('PUT /sync_and_share_nodes/{node_uuid}/members/{member_id}');
    const members = JSON.parse((await world.cli(['share', folder, '--json'])).stdout);
    expect(members).toHaveLength(2);
    expect(members[1]).toMatchObject({ email: 'bob@example.com', readOnly: false, canInvite: true });
    expect(await world.cli(['share', `${folder}/a.txt`, 'bob@example.com'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/a\.txt is no folder/),
    });
    expect(await world.cli(['share', folder, 'bob'])).toMatchObject({ code: 2 });
    const other = await createWorld();
    await other.mount();
    expect(await other.cli(['share', other.mnt])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the document of 4shared has no members of folders: 'syncmount link' makes a link/),
    });
    const without = await createServiceWorld({ provider: '5sync' } as AnySandboxOptions);
    await without.mount();
    expect(await without.cli(['share', without.mnt])).toMatchObject({
      code: 1,
      stderr: 'syncmount: the document of 5sync has no members of folders\n',
    });
  });
});
