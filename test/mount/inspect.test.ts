/** `syncmount link`, `search` and `info` on a mount. */
import { describe, expect, it } from 'vitest';
import type { AnySandboxOptions } from '../../src/sandbox/index.js';
import { cleanUpWorlds, createServiceWorld, createWorld } from './world.js';

describe('what people ask', () => {
  cleanUpWorlds();

  it('4shared: a link of a file and of a folder is made, shown and ended; info and both searches tell what is there', async () => {
    const world = await createWorld();
    await world.mount();
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
    expect(info).toMatchObject({ path: '/docs/Annual Report/report one.txt', kind: 'file', size: 6, remote: { md5 } });
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
});
