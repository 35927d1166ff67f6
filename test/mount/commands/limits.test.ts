/** `--bwlimit`, `--transfers`, `--exclude`, and `syncmount set`, which changes them on a running mount. */
import { join } from 'node:path';
import { beforeEach, expect } from 'vitest';
import { describeEach, openWorld, protocols, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

describeEach(protocols, 'the limits of a mount of $provider', (subject, { it }) => {
  const { bringing } = traits[subject.provider];
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
  });
  const stored = (): string[] => [...world.storedMd5s().keys()].toSorted();
  const contentOf = async (path: string): Promise<string> => `${await world.sandbox.store.readFile(path)}`;
  const set = async (...values: string[]): Promise<string> => {
    const { code, stdout, stderr } = await world.cli(['set', world.mnt, ...values]);
    expect([code, stderr]).toEqual([0, '']);
    return stdout;
  };

  it('hold back contents both ways, large ones and small ones, and nothing else, until they are lifted', async () => {
    await world.sandbox.store.putFile('/there', Buffer.alloc(300_000, 'x'));
    await world.sandbox.store.putFile('/large', Buffer.alloc(9_000_000, 'y'));
    await world.mount('--bwlimit', '1B');
    let done = 0;
    const work = [
      'cat there | md5sum',
      'md5sum < large',
      'head -c 300000 /dev/zero > a',
      'head -c 3000000 /dev/zero > b',
    ].map(async (script) => {
      const { stdout } = await world.start(script).ended;
      done += 1;
      return stdout;
    });
    await world.until('[ "$(stat -c %s a b | xargs)" = "300000 3000000" ]');
    await world.out('mkdir d; mv d e; ls e');
    expect(done).toBe(0);
    expect(stored()).toEqual(['/large', '/there']);
    expect((await world.status()).limits).toEqual({ down: 1, up: 1 });
    expect(await set('bwlimit=off')).toContain(`${world.mnt}\tbwlimit=off\n`);
    const [small, large] = await Promise.all(work);
    expect(`${small}${large}`).toBe(
      await world
        .shell('head -c 300000 /dev/zero | tr "\\0" x | md5sum; head -c 9000000 /dev/zero | tr "\\0" y | md5sum')
        .then((out) => `${out}\n`),
    );
    expect(stored()).toEqual(['/a', '/b', '/large', '/there']);
    expect(await world.status()).not.toHaveProperty('limits');
  });

  it('say how many files go at a time, from closes and from the queue', async () => {
    await world.mount('--transfers', '1');
    world.sandbox.faults.add({ ...bringing, action: { kind: 'stall', ms: 60_000 }, times: 1 });
    const first = world.start('echo one > a');
    await expect.poll(() => world.sandbox.log.entries().filter(({ fault }) => fault !== undefined).length).toBe(1);
    const second = world.start('echo two > b');
    await world.until('[ -s b ]');
    await world.out('mkdir d');
    expect(stored()).toEqual([]);
    expect(await world.status()).toMatchObject({ limits: { transfers: 1 }, pending: [{}, {}] });
    await set('transfers=2');
    await second.ended;
    expect(stored()).toEqual(['/b']);
    first.child.kill('SIGKILL');
  });

  it('keep excluded names here, whose content umount does not wait for, and every mount shows', async () => {
    const flags = ['-o', 'exclude=.~lock.*#,exclude=tmp', '-o', 'exclude=[~]$*'];
    await world.mount(...flags);
    await world.out(
      `echo lock > '.~lock.a#'; mkdir -p tmp/deep; echo x > tmp/deep/y; : > '~$b'; cp '.~lock.a#' a; echo tmp > tmp.txt`,
    );
    expect(stored()).toEqual(['/a', '/tmp.txt']);
    const { pending, failed, excluded = [] } = await world.status();
    expect([pending, failed, excluded.map(({ path }) => path).toSorted()]).toEqual([
      [],
      [],
      ['/.~lock.a#', '/tmp/deep/y', '/~$b'],
    ]);
    expect((await world.cli(['status', world.mnt])).stdout).toMatch(
      /excluded {2}\/tmp\/deep\/y {2}2 B {2}stays on this machine/,
    );
    const left = await world.cli(['umount', world.mnt]);
    expect([left.code, left.stderr]).toEqual([0, expect.not.stringContaining('uploading')]);
    const copies = join(world.directory, 'copies');
    expect((await world.cli(['uploads', 'export', copies, 'work:'])).code).toBe(0);
    expect(await world.shell(`cat '${copies}/tmp/deep/y'`)).toBe('x');
    await world.mount(...flags);
    expect(await world.out(`cat '.~lock.a#' tmp/deep/y; stat -c %s '~$b'`)).toBe('lock\nx\n0');
    await world.out(`echo more >> tmp/deep/y; rm '.~lock.a#'`);
    expect(stored()).toEqual(['/a', '/tmp.txt']);
    expect((await world.status()).excluded?.map(({ path, size }) => [path, size]).toSorted()).toEqual([
      ['/tmp/deep/y', 7],
      ['/~$b', 0],
    ]);
  });

  it('follow the name: what gets another one is uploaded then, and what gets an excluded one is not any more', async () => {
    await world.mount('--exclude', '*.part', '--exclude', 'tmp');
    await world.out('echo one > film.part; mkdir tmp; echo two > tmp/two; echo old > doc; echo new > doc.part');
    expect(stored()).toEqual(['/doc']);
    await world.out('mv film.part film; mv tmp dir; mv doc.part doc');
    await world.untilWaiting(0, 0);
    expect(stored()).toEqual(['/dir/two', '/doc', '/film']);
    expect(await contentOf('/doc')).toBe('new\n');
    expect(await world.status()).not.toHaveProperty('excluded');
    // The object follows its name; its content is changed here only.
    await world.out('mv film film.part; echo changed > film.part');
    expect(await world.out('cat film.part')).toBe('changed');
    expect(stored()).toEqual(['/dir/two', '/doc', '/film.part']);
    expect(await contentOf('/film.part')).toBe('one\n');
    expect(await set('exclude=doc', 'exclude=*.tmp')).toContain('exclude=*.tmp\n');
    await world.untilWaiting(0, 0);
    expect(await contentOf('/film.part')).toBe('changed\n');
    await world.out('echo newer > doc');
    expect(await contentOf('/doc')).toBe('new\n');
    await set('exclude=');
    await world.untilWaiting(0, 0);
    expect(await contentOf('/doc')).toBe('newer\n');
  });

  it('are refused with one line where they make no sense, and stay as they were', async () => {
    await world.mount('--transfers', '3');
    for (const [value, why] of [
      ['transfers=0', /'0' is not a number from 1 to 256/],
      ['bwlimit=5', /no unit/],
      ['exclude=a/b', /is a path/],
      ['cache-size=1G', /cannot be changed while it is mounted; what can: bwlimit, transfers, exclude, log-level/],
      ['nonsense=1', /unknown option 'nonsense'/],
    ] as const) {
      const { code, stderr } = await world.cli(['set', world.mnt, 'log-level=debug', value]);
      expect([code, stderr.trimEnd().split('\n').length]).toEqual([2, 1]);
      expect(stderr).toMatch(why);
    }
    expect(await set()).toBe(
      ['bwlimit=off', 'transfers=3', 'exclude=', 'log-level=info'].map((line) => `${world.mnt}\t${line}\n`).join(''),
    );
  });
});
