import { it as always, beforeEach, expect } from 'vitest';
import { isComplete, leaveOut, long } from '../../support/extent.js';
import { describeEach, openWorld, overKernel, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** Writes a file and tells the errno of close(2), as a backup script would see it. */
const writer = `python3 -c "
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(fd, sys.argv[2].encode())
try: os.close(fd)
except OSError as e: print(errno.errorcode[e.errno])
else: print('stored')
"`;

describeEach(overKernel, 'what $provider refuses', (subject, { it, unless }) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
    await world.mount('--deadline', '3s', '--dir-ttl', '1s');
  });

  const { provider } = subject;
  const { refusals, bringing, keepsFolders } = traits[provider];
  const [full] = refusals;
  const onOne = unless(
    (one) => one.provider !== '4shared' || process.getuid?.() !== 0,
    'the same for every service, and needs root',
  );

  const refuse = (status: number, code?: string): void => {
    world.sandbox.faults.add({
      ...bringing,
      action: { kind: 'status', status, ...(code === undefined ? {} : { code }) },
    });
  };

  // Each service has refusals of its own, and 4Sync has those of 4shared.
  const each = isComplete || provider !== '4sync' ? always : () => leaveOut(1);
  each(
    `each of ${refusals.map(([status, code, errno]) => `${status}${code === undefined ? '' : ` ${code}`} (${errno})`).join(', ')} is answered by close; the content stays readable, is listed with the reason, and goes once that is over`,
    async () => {
      for (const [index, [status, code, errno]] of refusals.entries()) {
        refuse(status, code);
        expect([status, code, await world.out(`${writer} refused${index}.txt precious${index}`)]).toEqual([
          status,
          code,
          errno,
        ]);
        world.sandbox.faults.clear();
        expect(await world.out(`cat refused${index}.txt; stat -c " %s" refused${index}.txt`)).toBe(
          `precious${index} 9`,
        );
        const { failed, pending } = await world.status();
        expect(pending).toEqual([]);
        // On a slow machine the first ones are tried again meanwhile, and stored.
        expect(failed.length).toBeLessThanOrEqual(index + 1);
        expect(failed.find(({ path }) => path === `/refused${index}.txt`)).toEqual({
          path: `/refused${index}.txt`,
          size: 9,
          sent: 0,
          state: 'failed',
          code: errno,
          error: expect.stringMatching(/\w/),
          since: expect.any(Number),
        });
      }

      // They survive the end of the mount, and go to the provider once that lets them.
      refuse(full?.[0] ?? 507, full?.[1]);
      const { code: exit, stderr } = await world.cli(['umount', world.mnt]);
      expect([exit, stderr]).toEqual([3, expect.stringMatching(/refused\d\.txt/)]);
      world.sandbox.faults.clear();
      await world.mount();
      const names = refusals.map((_, index) => `refused${index}.txt`);
      const contents = refusals.map((_, index) => `precious${index}`);
      expect(await world.out(`cat ${names.join(' ')}`)).toBe(contents.join(''));
      await world.umount();
      for (const [index, name] of names.entries())
        expect(`${await world.sandbox.store.readFile(`/${name}`)}`).toBe(contents[index]);
    },
  );

  it('failed uploads are tried again on demand', async () => {
    refuse(full?.[0] ?? 507, full?.[1]);
    expect(await world.out(`${writer} full.txt content`)).toBe('ENOSPC');
    world.sandbox.faults.clear();
    const { stdout } = await world.cli(['uploads', 'retry', world.mnt]);
    expect(stdout).toMatch(/Trying 1 again/);
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/full.txt')}`).toBe('content');
  });

  it('a server that is gone gives errors within the deadline, while what is known and cached goes on', async () => {
    await world.out('echo content > file.txt; mkdir d');
    await world.sandbox.close();
    expect(await world.out('timeout 20 ls; timeout 20 cat file.txt; timeout 20 df . > /dev/null')).toBe(
      'd\nfile.txt\ncontent',
    );
    expect(await world.out(`timeout 60 ${writer} new.txt x`)).toMatch(/^(ENETUNREACH|EIO)$/);
    // Of a service that keeps no folders, they are the mount's own.
    if (keepsFolders) expect((await world.sh('timeout 60 mkdir e')).stderr).toMatch(/unreachable|Input\/output/);
  });

  it('a file changed by another client is not overwritten: both stay', async () => {
    await world.out('echo base > shared.txt');
    const script = world.start(`python3 -c "
import os, time
fd = os.open('shared.txt', os.O_WRONLY | os.O_APPEND)
os.write(fd, b'ours'); print('written', flush=True)
while not os.path.exists(os.environ['TOP'] + '/go'): time.sleep(0.05)
os.close(fd)
"`);
    await script.first;
    await world.sandbox.store.putFile('/shared.txt', 'theirs');
    // Longer than a revision counts as confirmed.
    await world.out('sleep 1.1; touch "$TOP/go"');
    expect(await script.ended).toMatchObject({ code: 0 });
    const names = world.sandbox.store.list('/').map(({ name }) => name);
    expect(names).toHaveLength(2);
    const conflict = names.find((name) => /^shared \(conflict .*\)\.txt$/.test(name));
    expect(`${await world.sandbox.store.readFile('/shared.txt')}`).toBe('theirs');
    expect(`${await world.sandbox.store.readFile(`/${conflict}`)}`).toBe('base\nours');
    expect(await world.out(`sleep 1.1; ls | wc -l; cat shared.txt`)).toBe('2\ntheirs');
  });

  it('rmdir of a folder that another client filled is refused, and nothing is lost', async () => {
    await world.out('mkdir folder');
    await world.sandbox.store.putFile('/folder/theirs.txt', 'theirs');
    // Of a folder that only files imply, the mount hears with the next poll.
    if (keepsFolders) expect((await world.sh('rmdir folder')).stderr).toMatch(/not empty/);
    else await world.sh('rmdir folder; until [ -e folder/theirs.txt ]; do sleep 0.2; done');
    expect(`${await world.sandbox.store.readFile('/folder/theirs.txt')}`).toBe('theirs');
    expect(await world.out('cat folder/theirs.txt')).toBe('theirs');
  });

  onOne('a full local disk fails the write with ENOSPC, and everything else goes on', long, async () => {
    await world.sandbox.store.generate('/large.bin', 20 * 1024 * 1024);
    await world.umount();
    try {
      await world.out(`
          for d in state cache; do rm -rf "$TOP/$d"; mkdir "$TOP/$d"; mount -t tmpfs -o size=8m tmpfs "$TOP/$d"; done`);
      await world.mount();
      await world.out('echo before > before.txt');
      expect((await world.sh('head -c 20000000 /dev/zero > too-large')).stderr).toMatch(/No space left/);
      await world.out('rm too-large; echo after > after.txt; mkdir d; mv after.txt d/');
      expect(await world.out('cat before.txt d/after.txt; md5sum < large.bin | cut -c1-32')).toBe(
        `before\nafter\n${world.sandbox.store.stat('/large.bin')?.md5}`,
      );
      await world.umount();
    } finally {
      await world.sh('cd /; umount -l "$MNT"; umount -l "$TOP/state" "$TOP/cache"; true');
    }
  });

  onOne('cached blocks give way to what is nowhere else, on a disk that both share', long, async () => {
    await world.sandbox.store.generate('/large.bin', 40 * 1024 * 1024);
    await world.umount();
    try {
      await world.out(`
          mkdir "$TOP/disk"; mount -t tmpfs -o size=64m tmpfs "$TOP/disk"
          for d in state cache; do rm -rf "$TOP/$d"; mkdir "$TOP/$d" "$TOP/disk/$d"; mount --bind "$TOP/disk/$d" "$TOP/$d"; done`);
      await world.mount();
      const sum = world.sandbox.store.stat('/large.bin')?.md5;
      expect(await world.out('md5sum < large.bin | cut -c1-32')).toBe(sum);
      expect((await world.status()).cache.bytes).toBeGreaterThan(30e6);
      await world.out(
        'head -c 45000000 /dev/urandom > "$TOP/source"; cp "$TOP/source" new.bin; cmp "$TOP/source" new.bin',
      );
      expect(await world.out('md5sum < large.bin | cut -c1-32')).toBe(sum);
      await world.umount();
    } finally {
      await world.sh('cd /; umount -l "$MNT"; umount -l "$TOP/state" "$TOP/cache" "$TOP/disk"; true');
    }
  });

  onOne('cached blocks give way also where somebody else has filled the disk', async () => {
    await world.sandbox.store.generate('/large.bin', 40 * 1024 * 1024);
    await world.umount();
    try {
      await world.out(`
          mkdir "$TOP/disk"; mount -t tmpfs -o size=64m tmpfs "$TOP/disk"
          for d in state cache; do rm -rf "$TOP/$d"; mkdir "$TOP/$d" "$TOP/disk/$d"; mount --bind "$TOP/disk/$d" "$TOP/$d"; done`);
      await world.mount();
      await world.out('echo one > one; echo two > two; md5sum large.bin > /dev/null');
      await world.sh('cat /dev/zero > "$TOP/disk/filled"');
      expect(await world.out('rm one; mkdir d; mv two d/; echo three > d/three; cat d/*')).toBe('three\ntwo');
      await world.umount();
    } finally {
      await world.sh('cd /; umount -l "$MNT"; umount -l "$TOP/state" "$TOP/cache" "$TOP/disk"; true');
    }
  });

  onOne(
    'names are changed and files read while somebody else leaves no byte of the disk, and then all goes on',
    async () => {
      await world.sandbox.store.generate('/large.bin', 10 * 1024 * 1024);
      await world.umount();
      const fill = (command: string) =>
        world.sh(`until ! cat /dev/zero >> "$TOP/disk/filled"; do :; done 2>/dev/null; ${command}`);
      try {
        await world.out(`
          mkdir "$TOP/disk"; mount -t tmpfs -o size=64m tmpfs "$TOP/disk"
          for d in state cache; do rm -rf "$TOP/$d"; mkdir "$TOP/$d" "$TOP/disk/$d"; mount --bind "$TOP/disk/$d" "$TOP/$d"; done`);
        await world.mount();
        await world.out('echo one > one; echo two > two; echo three > three');
        for (const command of ['rm one', 'mkdir d', 'mv two d/', 'chmod 600 d/two', 'ln -s two d/link'])
          expect(await fill(command), command).toMatchObject({ code: 0, stderr: '' });
        expect((await fill('echo four > four')).stderr).toMatch(/No space left/);
        expect((await fill('md5sum < large.bin | cut -c1-32')).stdout).toBe(
          `${world.sandbox.store.stat('/large.bin')?.md5}\n`,
        );
        expect((await fill('df --output=avail -B1 "$TOP/disk" | tail -1')).stdout.trim()).toBe('0');
        await world.out('rm "$TOP/disk/filled"');
        expect(await world.out('echo more >> d/two; echo five > five; cat d/link five; stat -c %a d/two')).toBe(
          'two\nmore\nfive\n600',
        );
        await world.umount();
      } finally {
        await world.sh('cd /; umount -l "$MNT"; umount -l "$TOP/state" "$TOP/cache" "$TOP/disk"; true');
      }
    },
  );
});
