/** Another client removes, moves or replaces the folder of a content that is not stored yet. The content stays visible, and is stored. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, protocols, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const uploadsFail = 'fail';

describeEach(protocols, 'content that is not stored at $provider', (subject, { it }) => {
  const { bringing, keepsFolders } = traits[subject.provider];
  cleanUpWorlds();
  let world: World;
  const flags = ['--write-back', '--dir-ttl', '1s', '--deadline', '5s'];

  beforeEach(async () => {
    world = await openWorld(subject);
    await world.sandbox.store.putFile('/Work/sub/old.txt', 'old\n');
    await world.sandbox.store.putFile('/Else/other.txt', 'other\n');
    await world.mount(...flags);
    await world.out('ls -R');
  });

  const stop = (): void => {
    world.sandbox.faults.add({ ...bringing, action: { kind: 'status', status: 403, message: uploadsFail } });
  };
  /** Waits until the mount shows what the other client has done. */
  const until = (test: string) => world.until(test);
  /** Where in the mount the content is. */
  const found = () => world.out('grep -rl precious . | sort');
  const stored = async (): Promise<Record<string, string>> => {
    const { store } = world.sandbox;
    const files: Record<string, string> = {};
    for (const path of store.md5s().keys()) files[path] = `${await store.readFile(path)}`;
    return files;
  };
  const precious = async (): Promise<string[]> =>
    Object.entries(await stored())
      .filter(([, content]) => content.includes('precious'))
      .map(([path]) => path);

  const waiting = async (): Promise<string[]> => {
    const { pending, failed } = await world.status();
    return [...pending, ...failed].map(({ path }) => path);
  };

  /** Checks that it is visible now and after a remount, can be exported, and is stored as soon as the provider takes it. */
  async function expectKept(path: string | RegExp): Promise<void> {
    const at = typeof path === 'string' ? expect.stringMatching(new RegExp(`^.${path}$`)) : expect.stringMatching(path);
    expect(await found()).toEqual(at);
    expect(await waiting()).toHaveLength(1);
    const target = join(world.directory, 'out');
    const exported = await world.cli(['uploads', 'export', target]);
    expect(exported).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Exported 1 of 1 /) });
    expect(await world.out('find "$TOP/out" -type f -exec cat {} +')).toMatch(/precious/);
    expect(await world.cli(['umount', '--force', world.mnt])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/not everything is stored/),
    });
    const unmounted = await world.cli(['uploads', 'export', join(world.directory, 'out-unmounted')]);
    expect(unmounted).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Exported 1 of 1 /) });
    expect(await world.shell('find out-unmounted -type f -exec cat {} +')).toMatch(/precious/);
    await world.mount(...flags);
    expect(await found()).toEqual(at);
    world.sandbox.faults.clear();
    await world.cli(['uploads', 'retry']);
    await world.umount();
    expect(await precious()).toHaveLength(1);
    await world.mount(...flags);
    expect(await world.out('grep -rh precious .')).toMatch(/precious/);
    expect(await stored()).toMatchObject({ '/Else/other.txt': 'other\n' });
  }

  it('comes back in its folder, which another client has removed', async () => {
    stop();
    await world.out('echo precious > Work/a.txt');
    world.sandbox.store.remove('/Work', { trash: true });
    await until('[ ! -e Work/sub/old.txt ]');
    await expectKept('/Work/a.txt');
    expect(await precious()).toEqual(['/Work/a.txt']);
  });

  it('comes back with the folders that it was in', async () => {
    stop();
    await world.out('echo precious >> Work/sub/old.txt; [ $(wc -l < Work/sub/old.txt) = 2 ]');
    world.sandbox.store.remove('/Work', { trash: true });
    await until('[ "$(ls -A Work)" = sub ]');
    await expectKept('/Work/sub/old.txt');
    expect(await precious()).toEqual(['/Work/sub/old.txt']);
  });

  it('goes along with its folder, which another client has moved', async () => {
    stop();
    await world.out('echo precious > Work/a.txt');
    world.sandbox.store.move('/Work', '/Else');
    await until('[ -e Else/Work/sub/old.txt ]');
    await expectKept(/^\.\/(Else\/)?Work\/a\.txt$/);
  });

  it('stays in its folder, which another client has removed and made again', long, async () => {
    stop();
    await world.out('echo precious > Work/a.txt');
    world.sandbox.store.remove('/Work', { trash: true });
    await world.sandbox.store.putFile('/Work/theirs', 'theirs\n');
    await until('[ -e Work/theirs ]');
    await expectKept('/Work/a.txt');
    expect(await stored()).toMatchObject({ '/Work/theirs': 'theirs\n', '/Work/a.txt': 'precious\n' });
  });

  it('is in sight where another client has put a file in the place of its folder', long, async () => {
    stop();
    await world.out('echo precious > Work/a.txt');
    world.sandbox.store.remove('/Work', { trash: true });
    await world.sandbox.store.putFile('/Work', 'a file now\n');
    await until('grep -q "a file now" Work*');
    await expectKept(keepsFolders ? /\/Work\/a\.txt$/ : '/Work/a.txt');
    expect(await stored()).toMatchObject({ '/Work': 'a file now\n' });
  });

  it('is in sight where its file was open for writing when another client removed it', async () => {
    const writer = world.start(
      'exec 5>>Work/sub/old.txt; echo; while [ ! -e "$TOP/go" ]; do sleep 0.05; done; echo precious >&5',
    );
    await writer.first;
    world.sandbox.store.remove('/Work/sub/old.txt', { trash: true });
    await until('[ ! -e Work/sub/old.txt ]');
    stop();
    await world.out('touch "$TOP/go"');
    await writer.ended;
    // What it was to be added to is gone with the removal, unless it was here.
    await world.out('cat Work/sub/old.txt | grep precious || ls -lR');
    expect(await world.out('ls Work/sub')).toBe('old.txt');
    expect(await waiting()).toEqual(['/Work/sub/old.txt']);
  });

  for (const how of ['removed', 'replaced by a folder'])
    it(`is in sight where its file was ${how} while it was rewritten`, async () => {
      const writer = world.start(
        'exec 5<>Else/other.txt; read line <&5; echo; while [ ! -e "$TOP/go" ]; do sleep 0.05; done; echo precious >&5',
      );
      await writer.first;
      world.sandbox.store.remove('/Else/other.txt', { trash: true });
      if (how !== 'removed') await world.sandbox.store.putFile('/Else/other.txt/inner', 'inner\n');
      await until('[ ! -f Else/other.txt ]');
      stop();
      await world.out('touch "$TOP/go"');
      await writer.ended;
      const at = await found();
      expect(at).toMatch(/^\.\/Else\/other/);
      expect(await waiting()).toEqual([at.slice(1)]);
      expect(await world.cli(['uploads', 'export', join(world.directory, 'out')])).toMatchObject({ code: 0 });
      expect(await readFile(join(world.directory, 'out', at), 'utf8')).toBe('other\nprecious\n');
      world.sandbox.faults.clear();
      await world.cli(['uploads', 'retry']);
      await world.umount();
      expect(await precious()).toHaveLength(1);
    });
});
