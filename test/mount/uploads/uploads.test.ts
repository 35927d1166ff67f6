import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect } from 'vitest';
import { describeEach, openWorld, protocols, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

describeEach(protocols, 'contents that are not stored at $provider', (subject, { it, unless }) => {
  const { bringing, refusals } = traits[subject.provider];
  cleanUpWorlds();
  let world: World;

  const uploads = (args: readonly string[], input = '') => world.cli(['uploads', ...args], input);
  const refuse = (): void => {
    const [status, code] = refusals[0] ?? [507];
    world.sandbox.faults.add({
      ...bringing,
      action: { kind: 'status', status, ...(code === undefined ? {} : { code }) },
    });
  };

  describe('because the provider refused them', () => {
    beforeEach(async () => {
      world = await openWorld(subject);
      await world.sandbox.store.putFile('/d/changed.txt', 'old');
      await world.mount('--deadline', '3s');
      refuse();
      await world.sh(
        'echo "precious new" > d/changed.txt; echo created > "d/cre ated.txt"; head -c 3000000 /dev/zero > big',
      );
    });

    it('are listed, with the reason', async () => {
      const { stdout, code } = await uploads([]);
      expect([code, stdout.split('\n').map((line) => line.split('\t').slice(0, 3).join(' '))]).toEqual([
        0,
        ['failed 13 /d/changed.txt', 'failed 8 /d/cre ated.txt', 'failed 3000000 /big', ''],
      ]);
      const listed = JSON.parse((await uploads(['list', world.mnt, '--json'])).stdout);
      expect(listed[0]).toMatchObject({ path: '/d/changed.txt', code: 'ENOSPC', error: expect.stringMatching(/\w/) });
    });

    it('are exported with their times, and never over anything', async () => {
      await world.out(
        'touch -d "2001-02-03 04:05:06.789Z" d/changed.txt; mkdir -p "$TOP/out/d"; echo mine > "$TOP/out/d/cre ated.txt"',
      );
      const target = join(world.directory, 'out');
      const { code, stdout, stderr } = await uploads(['export', target]);
      expect([code, stdout]).toEqual([1, expect.stringMatching(/^Exported 2 of 3 /)]);
      expect(stderr).toMatch(/^syncmount: not exported: \/d\/cre ated\.txt \(exists there already\)\n$/);
      expect(await readFile(join(target, 'd/changed.txt'), 'utf8')).toBe('precious new\n');
      expect((await stat(join(target, 'd/changed.txt'))).mtime.toISOString()).toBe('2001-02-03T04:05:06.789Z');
      expect((await readFile(join(target, 'big'))).equals(Buffer.alloc(3_000_000))).toBe(true);
      expect(await readFile(join(target, 'd/cre ated.txt'), 'utf8')).toBe('mine\n');
      expect(await uploads(['export', join(world.mnt, 'x')])).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/within the mount/),
      });
    });

    it('are discarded only after two questions', async () => {
      for (const answers of ['', 'no\n', 'yes\n', 'yes\nno\n']) {
        const { code, stderr } = await uploads(['discard'], answers);
        expect([code, stderr]).toEqual([1, 'syncmount: nothing was discarded\n']);
      }
      expect((await world.status()).failed).toHaveLength(3);
      expect(await uploads(['discard', '/nowhere'])).toMatchObject({ code: 2 });
      expect(await uploads(['discard', world.mnt, '/d/changed.txt'], 'yes\nyes\n')).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/Discarded 1 of 1/),
      });
      // The provider's own is shown again, in a file that was looked at before.
      expect(await world.out('cat d/changed.txt; stat -c %s d/changed.txt')).toBe('old3');
      expect(await uploads(['discard'], 'yes\nyes\n')).toMatchObject({ code: 0 });
      expect(await world.out('ls d; [ ! -e big ]')).toBe('changed.txt');
      world.sandbox.faults.clear();
      expect((await world.status()).failed).toEqual([]);
      await world.umount();
      expect([...world.sandbox.store.md5s().keys()]).toEqual(['/d/changed.txt']);
    });

    it('are kept while a program has them open', async () => {
      await world.out('mkfifo "$TOP/fifo"');
      const held = world.start('exec 3< d/changed.txt; echo open; read -r _ < "$TOP/fifo"');
      await held.first;
      const { code, stderr } = await uploads(['discard'], 'yes\nyes\n');
      expect([code, stderr]).toEqual([1, 'syncmount: /d/changed.txt is kept: a program has it open\n']);
      expect(await world.out('echo > "$TOP/fifo"; cat d/changed.txt')).toBe('precious new');
    });
  });

  it('because the provider cannot be reached: umount gives up after one try, and the next mount stores them', async () => {
    world = await openWorld(subject);
    await world.mount('--write-back', '--deadline', '2s');
    await world.out('ls');
    world.sandbox.faults.add({ action: { kind: 'reset', when: 'before' } });
    await world.out('for i in $(seq 60); do echo $i > $i; done; head -c 20000000 /dev/urandom > large');
    const started = Date.now();
    const { code, stderr } = await world.cli(['umount', world.mnt]);
    expect([code, stderr]).toEqual([3, expect.stringMatching(/not everything is stored/)]);
    expect(stderr).toMatch(
      /^syncmount: waiting for the service, which does not answer \(.*'syncmount umount --force'/m,
    );
    // One try of each upload under way, not one of each of the 61: that would be two minutes, however quick the machine.
    expect(Date.now() - started).toBeLessThan(60_000);
    world.sandbox.faults.clear();
    await world.mount('--write-back');
    expect(await world.out('cat 60')).toBe('60');
    await world.umount();
    expect(world.sandbox.store.md5s().size).toBe(61);
  });

  // "of this machine" and a newline are 16 bytes: no size tells the last ones apart.
  const others = [
    ['makes a file of the name', null, 'of another client'],
    ['makes a file of the name, as long as ours', null, 'of that machine\n'],
    ['changes the file that it replaces', 'old', 'of another client'],
    ['changes the file that it replaces, to one as long as ours', 'old', 'of that machine\n'],
  ] as const;
  for (const [what, before, other] of others)
    it(`because the service fails, while another client ${what}: both are stored`, async () => {
      world = await openWorld(subject);
      await world.sandbox.store.putFile('/d/there', 'x');
      if (before !== null) await world.sandbox.store.putFile('/d/file', before);
      await world.mount('--write-back');
      await world.out('ls d');
      world.sandbox.faults.add({ ...bringing, action: { kind: 'status', status: 503 } });
      await world.out('echo of this machine > d/file');
      await expect.poll(() => world.sandbox.log.entries({ status: 503 }).length).toBeGreaterThan(0);
      await world.sandbox.store.putFile('/d/file', other);
      world.sandbox.faults.clear();
      await world.umount();
      const contents = await Promise.all(
        world
          .storedFiles()
          .filter((path) => path.startsWith('/d/file'))
          .map(async (path) => `${await world.sandbox.store.readFile(path)}`),
      );
      expect(contents.toSorted()).toEqual([other, 'of this machine\n'].toSorted());
    });

  unless(({ provider }) => provider === 'acronis', 'one request stores a content, however large')(
    'while another client changes the large file that they replace: both are stored',
    async () => {
      const readings = subject.provider === '5sync' ? { tooLarge: '413' } : {};
      world = await openWorld(subject, { simpleUploadLimit: 2_000_000, readings });
      await world.sandbox.store.putFile('/d/file', 'old');
      await world.mount();
      await world.out('ls d');
      const route = subject.provider === '5sync' ? '^PUT /files/multipart/' : '^POST /upload/\\{id\\}$';
      const rule = world.sandbox.faults.add({ route, times: 1, action: { kind: 'stall', ms: 2000, performed: true } });
      const storing = world.start('head -c 3000000 /dev/zero > d/file');
      await expect.poll(() => world.sandbox.faults.fired(rule)).toBe(1);
      await world.sandbox.store.putFile('/d/file', 'of another client');
      expect((await storing.ended).code).toBe(0);
      await world.untilWaiting(0, 0);
      const paths = world.storedFiles().filter((path) => path.startsWith('/d/file'));
      const sizes = paths.map((path) => world.sandbox.store.stat(path)?.size ?? 0);
      expect(sizes.toSorted((a, b) => a - b)).toEqual([17, 3_000_000]);
    },
  );

  it('because the network was away for a while: they are stored when it is back, without being asked', async () => {
    world = await openWorld(subject);
    await world.mount('--write-back', '--deadline', '1s');
    await world.out('ls');
    world.sandbox.faults.add({ action: { kind: 'reset', when: 'before' } });
    await world.out('echo text > file');
    await world.untilWaiting(0, 1);
    world.sandbox.faults.clear();
    await world.untilWaiting(0, 0);
    expect(`${await world.sandbox.store.readFile('/file')}`).toBe('text\n');
  });
});
