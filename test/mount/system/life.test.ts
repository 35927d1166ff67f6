import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** Gets the descriptors of /dev/fuse that a process has, with pidfd_open(2) and pidfd_getfd(2), and keeps them open. */
const holdsDevice = `
import ctypes, os, sys, time
call = ctypes.CDLL(None).syscall
pid = int(sys.argv[1])
process = call(434, pid, 0)
devices = [int(n) for n in os.listdir("/proc/%d/fd" % pid) if os.readlink("/proc/%d/fd/%s" % (pid, n)) == "/dev/fuse"]
if not devices or any(call(438, process, n, 0) < 0 for n in devices): sys.exit("not held")
print("held", flush=True)
time.sleep(600)
`;

describeEach(overKernel, 'the life of a mount of $provider', (subject, { it, unless }) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
  });
  const { provider } = subject;
  const onOne = unless((one) => one.provider !== '4shared', 'no service has a part in it');

  it('umount of a mount with a file open for writing says that it is busy, and changes nothing', async () => {
    await world.mount();
    const script = world.start(
      'exec 3> open.txt; echo one >&3; echo open; while [ ! -e "$TOP/go" ]; do sleep 0.05; done; echo two >&3',
    );
    await script.first;
    const { code, stderr } = await world.cli(['umount', world.mnt]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/busy: \/open\.txt open for writing/)]);
    await world.out('touch "$TOP/go"');
    expect((await script.ended).code).toBe(0);
    expect(await world.out('cat open.txt')).toBe('one\ntwo');
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/open.txt')}`).toBe('one\ntwo\n');
  });

  onOne('umount while a program stands in the directory says that it is busy, and changes nothing', async () => {
    await world.mount();
    const script = world.start('echo in; while [ ! -e "$TOP/go" ]; do sleep 0.05; done; echo still > here.txt');
    await script.first;
    expect(await world.cli(['umount', world.mnt])).toMatchObject({ code: 1, stderr: expect.stringMatching(/busy/) });
    await world.out('touch "$TOP/go"');
    expect((await script.ended).code).toBe(0);
    await world.umount();
  });

  it('an umount typed by hand ends the process, after it has stored what was pending', async () => {
    await world.mount('--write-back');
    world.sandbox.settings.latencyMs = 500;
    await world.out('echo content > file.txt');
    const { pid } = await world.status();
    await world.out(`cd /; umount "$MNT"; while [ -e /proc/${pid}/exe ]; do sleep 0.05; done`);
    expect(`${await world.sandbox.store.readFile('/file.txt')}`).toBe('content\n');
    expect(JSON.parse((await world.cli(['status', '--json'])).stdout)).toEqual([]);
  });

  it('after a kill the next mount clears what is left, and loses nothing', async () => {
    await world.mount('--write-back');
    await world.out('ls');
    world.sandbox.settings.latencyMs = 60_000;
    await world.out('echo precious > file.txt');
    await kill();
    expect((await world.sh('stat -f .')).stderr).toMatch(/not connected|abort|error/);
    world.sandbox.settings.latencyMs = 0;
    await world.mount();
    expect(await world.out('cat file.txt')).toBe('precious');
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/file.txt')}`).toBe('precious\n');
  });

  onOne('umount clears the mount of a killed process', async () => {
    await world.mount();
    await kill();
    expect(await world.cli(['umount', world.mnt])).toMatchObject({ code: 0, stdout: expect.stringMatching(/cleared/) });
    expect(await world.out('cat /proc/mounts | grep -c "$TOP" || true')).toBe('0');
    expect(await world.cli(['umount', world.mnt])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is not mounted/),
    });
  });

  unless((one) => one.provider !== '4shared' || process.getuid?.() !== 0, 'one service will do, and only root may')(
    'umount clears the mount of a killed process that has left its connection open, on which programs hang',
    async () => {
      await world.mount();
      const { pid } = await world.status();
      // A thread of it does the same where the kernel has it wait for a lock of such a program.
      const holder = world.start(`cd /; exec python3 -c '${holdsDevice}' ${pid}`);
      await holder.first;
      process.kill(pid, 'SIGKILL');
      const hanging = world.sh('cat missing');
      expect(await world.cli(['umount', world.mnt])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/cleared/),
      });
      expect((await hanging).code).not.toBe(0);
      holder.child.kill();
      await holder.ended;
      await world.mount();
      await world.umount();
    },
  );

  onOne(
    'a signal that comes as soon as the kernel has the mount ends it, and leaves no dead mountpoint',
    long,
    async () => {
      // The moment between is short: a few tries meet it.
      for (let n = 0; n < 8; n++) {
        const child = spawn(process.execPath, ['bin/syncmount.js', 'mount', '--foreground', 'work:', world.mnt], {
          env: world.env,
          stdio: 'ignore',
        });
        const ended = new Promise((done: (how: unknown) => void) =>
          child.once('exit', (code, signal) => done(code ?? signal)),
        );
        const isMounted = (): boolean => readFileSync('/proc/self/mounts', 'utf8').includes(world.mnt);
        let isOver = false;
        void ended.then(() => {
          isOver = true;
        });
        while (!isMounted() && !isOver) await new Promise(setImmediate);
        child.kill('SIGTERM');
        expect(await ended).toBe(0);
        expect(isMounted()).toBe(false);
      }
    },
  );

  it('a folder of the account can be mounted by itself', async () => {
    await world.sandbox.store.putFile('/photos/2024/a.jpg', 'a');
    const { code } = await world.cli(['mount', 'work:/photos/2024', world.mnt]);
    expect(code).toBe(0);
    expect(await world.out('ls; echo b > b.jpg')).toBe('a.jpg');
    expect(`${await world.sandbox.store.readFile('/photos/2024/b.jpg')}`).toBe('b\n');
    await world.umount();
    expect((await world.cli(['mount', 'work:/nowhere', world.mnt])).code).toBe(1);
  });

  onOne('mounts as fstab does: source, mountpoint and -o without a command', async () => {
    const copied = 'default_permissions,nonempty,auto_unmount,fsname=a,subtype=b,kernel_cache,max_read=131072';
    const flags = `rw,noauto,_netdev,x-systemd.automount,${copied},ro,uid=1234,umask=077,cache_size=1G`;
    expect((await world.cli(['work:', world.mnt, '-o', flags])).code).toBe(0);
    expect(await world.out('stat -c "%u %a" .')).toBe('1234 700');
    expect((await world.status()).cache.limit).toBe(1024 ** 3);
    expect((await world.sh('touch x')).stderr).toMatch(/Read-only/);
  });

  onOne('a mountpoint can be named through a link', async () => {
    await world.out('ln -s "$MNT" "$TOP/link"');
    const link = join(world.directory, 'link');
    expect(await world.cli(['mount', 'work:', link])).toMatchObject({ code: 0, stderr: '' });
    expect(await world.out('echo x > file; cat "$TOP/link/file"')).toBe('x');
    expect(JSON.parse((await world.cli(['status', link, '--json'])).stdout)).toMatchObject({ mountpoint: world.mnt });
    expect(await world.cli(['umount', `${link}/`])).toMatchObject({ code: 0, stderr: '' });
    expect(await world.out('grep -c "$TOP" /proc/mounts || true')).toBe('0');
  });

  onOne('a second mount of the account is refused clearly', async () => {
    await world.mount();
    const second = join(world.directory, 'second');
    await mkdir(second);
    const { code, stderr } = await world.cli(['mount', 'work:', second]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/'work' is mounted already/)]);
  });

  it('status tells what programs rely on', async () => {
    const loggedIn = world.sandbox.log.entries().at(-1)?.n ?? 0;
    await world.mount();
    await world.out('echo x > file; cat file');
    const status = await world.status();
    expect(status).toMatchObject({
      mountpoint: world.mnt,
      account: 'work',
      provider,
      pid: expect.any(Number),
      pending: [],
      failed: [],
      cache: { bytes: expect.any(Number), limit: 10 * 1024 ** 3, hits: expect.any(Number), misses: expect.any(Number) },
      requests: { total: expect.any(Number), byRoute: expect.any(Object) },
      // 5sync tells none, and Acronis not before a node has told whose it is: nothing is made up.
      ...(provider === '5sync' || provider === 'acronis'
        ? {}
        : { quota: { total: expect.any(Number), free: expect.any(Number) } }),
    });
    const { total, byRoute } = status.requests;
    expect(Object.values(byRoute).reduce((sum, count) => sum + count, 0)).toBe(total);
    expect(total).toBe(world.sandbox.log.entries().filter(({ n }) => n > loggedIn).length);
    const all = JSON.parse((await world.cli(['status', '--json'])).stdout);
    expect(all).toHaveLength(1);
    expect((await world.cli(['status'])).stdout).toContain(world.mnt);
  });

  it('keeps its files to its owner, and its secrets to the account file', async () => {
    await world.mount('--log-level', 'debug');
    await world.out('echo x > file; cat file; ls -l');
    const { pid } = await world.status();
    for (const directory of ['config', 'config/accounts', 'state', 'cache']) {
      expect((await stat(join(world.directory, directory))).mode & 0o777, directory).toBe(0o700);
    }
    expect((await stat(join(world.directory, 'config/accounts/work.json'))).mode & 0o777).toBe(0o600);
    expect(await world.out('find "$TOP/state" "$TOP/cache" "$TOP/config" -type f -perm /077')).toBe('');
    const {
      username: _,
      clientId: __,
      consumerKey: ___,
      ...secrets
    } = {
      ...(world.sandbox.credentials as unknown as Record<string, string>),
      ...JSON.parse(await readFile(join(world.directory, 'config/accounts/work.json'), 'utf8')).credentials,
    };
    const seen = `${await world.log()}${await readFile(`/proc/${pid}/cmdline`)}${await readFile(`/proc/${pid}/environ`)}`;
    expect(Object.values(secrets).length).toBeGreaterThan(0);
    for (const secret of Object.values(secrets)) expect(seen).not.toContain(secret);
  });

  async function kill(): Promise<void> {
    const { pid } = await world.status();
    process.kill(pid, 'SIGKILL');
    await world.out(`true`).catch(() => undefined);
  }
});
