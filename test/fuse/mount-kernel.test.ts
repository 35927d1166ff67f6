/** What only the kernel binding can: over libfuse 2 there is no interrupt, no invalidation, no caller, no renameat2. */
import { mkdtemp, readdir, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { Caller } from '../../src/filesystem/api.js';
import { type Addon, loadAddon } from '../../src/fuse/kernel/addon.js';
import { kernelBinding } from '../../src/fuse/kernel/kernel-binding.js';
import { openMount } from '../../src/fuse/kernel/session/mounting.js';
import { cleanUpMounts, mountMemory, type TestMount } from './harness.js';

const { ok: available, message } = await kernelBinding.probe();
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot || !available)(
  `nosymfollow${isRoot ? '' : ' (skipped: fusermount3 of many systems does not know it)'}`,
  () => {
    cleanUpMounts();

    it("is the kernel's: no link is followed, and what it names can be read", async () => {
      const m = await mountMemory(kernelBinding, { flags: ['nosymfollow'] });
      const { code, stdout, stderr } = await m.sh('echo one >f; ln -s f link; readlink link; cat f; cat link');
      expect({ code, stdout }).toEqual({ code: 1, stdout: 'f\none' });
      expect(stderr).toContain('Too many levels of symbolic links');
    });

    it('leaves nothing mounted where the kernel does not know it', async () => {
      const addon = loadAddon();
      const older: Addon = Object.assign(Object.create(addon), {
        mount: (...[source, target, type, flags, data]: Parameters<Addon['mount']>) =>
          addon.mount(source, target, type, flags & ~256, data),
      });
      const mountpoint = await mkdtemp(join(tmpdir(), 'syncmount-test-'));
      const options = { mountpoint, source: 's', readOnly: false, allowOther: false, log: silentLog };
      await expect(openMount(older, { ...options, flags: ['nosymfollow'] })).rejects.toThrow(
        'nosymfollow: this kernel does not know it',
      );
      // It is busy while something is mounted there.
      await rmdir(mountpoint);
    });
  },
);

describe('only over the kernel binding', () => {
  cleanUpMounts();
  let m: TestMount;

  beforeEach(async ({ skip }) => {
    if (!available) skip(message);
    m = await mountMemory(kernelBinding);
  });

  const ok = { code: 0, stderr: '' };
  /** What the file system is asked while `work` runs. */
  async function counted(work: () => Promise<unknown>): Promise<Record<string, number>> {
    m.fs.calls.clear();
    await work();
    return Object.fromEntries(m.fs.calls);
  }

  it('goes on with every call when its process gets a signal that does not kill it', async () => {
    await m.sh('echo content >f');
    const calls = {
      read: "assert os.read(f, 10) == b'content\\n'",
      flush: 'os.close(f)',
      mkdir: "os.mkdir('d')",
      rename: "os.rename('h', 'i')",
      unlink: "os.unlink('g')",
      setattr: "os.truncate('i', 3)",
    };
    await m.sh('echo >g; echo >h');
    for (const [operation, call] of Object.entries(calls)) {
      let wasAborted = false;
      m.fs.plan(operation as keyof typeof calls, async (caller) => {
        caller?.signal?.addEventListener('abort', () => {
          wasAborted = true;
        });
        await sleep(700);
      });
      // A handler with and without SA_RESTART, and stop and continue from outside: all within one call.
      const script = `
import signal, subprocess
rung = []
signal.signal(signal.SIGALRM, lambda *_: rung.append(1)); signal.siginterrupt(signal.SIGALRM, False)
signal.signal(signal.SIGUSR1, lambda *_: rung.append(2))
f = os.open('f', os.O_RDWR)
other = subprocess.Popen(['sh', '-c', f'sleep 0.2; kill -USR1 {os.getpid()}; kill -STOP {os.getpid()}; kill -CONT {os.getpid()}'])
signal.setitimer(signal.ITIMER_REAL, 0.1)
${call}
other.wait(); print(sorted(rung))`;
      expect(await m.python(script)).toMatchObject({ ...ok, stdout: '[1, 2]' });
      expect([operation, wasAborted]).toEqual([operation, false]);
      m.fs.plan(operation as keyof typeof calls);
    }
    expect(m.complaints).toEqual([]);
    await expect.poll(() => m.fs.openHandles).toBe(0);
  });

  it('lets go of a process that is killed after a signal that it survived, and of its last closes', async () => {
    await m.sh('echo content >f');
    const untilAborted = (caller?: Caller): Promise<never> =>
      new Promise((_, reject) => caller?.signal?.addEventListener('abort', () => reject(caller.signal?.reason)));
    m.fs.plan('read', untilAborted);
    m.fs.plan('flush', untilAborted);
    const script = `
import signal, subprocess
child = subprocess.Popen([sys.executable, '-c', """
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: None)
f = os.open('f', os.O_RDWR); print('ready', flush=True); os.read(f, 10)"""], stdout=subprocess.PIPE)
child.stdout.readline(); time.sleep(0.2); child.send_signal(signal.SIGUSR1); time.sleep(0.5)
assert child.poll() is None
began = time.time(); child.kill(); child.wait(); print(time.time() - began < 3)`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'True' });
    for (const operation of ['read', 'flush'] as const) m.fs.plan(operation);
    await expect.poll(() => m.fs.openHandles).toBe(0);
  });

  it('lets a process be killed that waits for an answer', async () => {
    await m.sh('echo content >f');
    m.fs.plan(
      'read',
      (caller) =>
        new Promise((_, reject) => caller?.signal?.addEventListener('abort', () => reject(caller.signal?.reason))),
    );
    expect((await m.sh('timeout -s KILL 0.2 cat f')).code).not.toBe(0);
    m.fs.plan('read');
    expect(await m.sh('cat f')).toMatchObject({ ...ok, stdout: 'content' });
  });

  it('serves names, attributes and listings from the kernel until they are invalidated', async () => {
    await m.sh('mkdir d; echo 1 >d/f; ls -l d; test ! -e d/none');
    const warm = await counted(() => m.sh('ls -l d; stat d/f >/dev/null; test ! -e d/none; ls -l d'));
    expect({ lookup: warm.lookup, readdir: warm.readdir }).toEqual({});
    // Reading a directory makes its access time doubtful: one question, whatever is in it.
    expect(warm.getattr ?? 0).toBeLessThanOrEqual(1);

    const d = m.fs.inoOf('d');
    await m.fs.mkdir(d, 'none', 0o755);
    m.fs.invalidate({ kind: 'entry', parent: d, name: 'none' });
    await expect.poll(async () => (await m.sh('ls d')).stdout).toBe('f\nnone');
    expect((await m.sh('test -d d/none')).code).toBe(0);

    await m.fs.rmdir(d, 'none');
    m.fs.invalidate({ kind: 'entry', parent: d, name: 'none' });
    await expect.poll(async () => (await m.sh('test -e d/none')).code).toBe(1);
    expect((await m.sh('ls d')).stdout).toBe('f');
  });

  it('keeps pages until the content is said to have changed', async () => {
    await m.sh('echo old >f; cat f');
    const ino = m.fs.inoOf('f');
    expect((await counted(() => m.sh('cat f; cat f'))).read).toBeUndefined();
    m.fs.overwriteRemotely(ino, 'new and longer');
    expect((await m.sh('cat f')).stdout).toBe('old');
    m.fs.invalidate({ kind: 'inode', ino, content: true });
    await expect.poll(async () => (await m.sh('cat f')).stdout).toBe('new and longer');
    expect((await m.sh('stat -c %s f')).stdout).toBe('14');
    // Our own times do not cost the pages.
    expect((await counted(() => m.sh('touch f; chmod 600 f; cat f'))).read).toBeUndefined();
  });

  it('survives invalidations while everything is busy', async () => {
    await m.sh('mkdir d; for i in 1 2 3 4 5 6 7 8; do head -c 300000 /dev/urandom >d/$i; done; md5sum d/* >sums');
    for (const operation of ['read', 'lookup', 'getattr', 'readdir', 'open'] as const)
      m.fs.plan(operation, () => new Promise((resolve) => setTimeout(resolve, 1)));
    const d = m.fs.inoOf('d');
    let running = true;
    const storm = (async () => {
      for (let i = 0; running; i++) {
        m.fs.invalidate({ kind: 'entry', parent: d, name: `${(i % 8) + 1}` });
        m.fs.invalidate({ kind: 'inode', ino: (i % 10) + 1, content: true });
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const work =
      'for i in 1 2 3 4 5; do md5sum -c --quiet sums & ls -l d >/dev/null 2>&1 & touch d/x$i; rm d/x$i; wait; done; echo done';
    expect(await m.sh(work)).toMatchObject({ ...ok, stdout: 'done' });
    running = false;
    await storm;
    expect(m.complaints).toEqual([]);
  });

  it('renames without replacing, and exchanges', async () => {
    const script = `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def renameat2(a, b, flags):
    return 'ok' if libc.renameat2(-100, a, -100, b, flags) == 0 else errno.errorcode[ctypes.get_errno()]
open('a', 'w').write('a'); open('b', 'w').write('b')
print(renameat2(b'a', b'b', 1), renameat2(b'a', b'c', 1), renameat2(b'b', b'c', 2), open('b').read(), open('c').read(), renameat2(b'b', b'c', 4))`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'EEXIST ok ok a b EINVAL' });
  });

  it('makes room with fallocate, finds data and holes, copies ranges', async () => {
    const script = `
f = os.open('f', os.O_RDWR | os.O_CREAT); os.write(f, b'data')
os.posix_fallocate(f, 0, 5000)
print(os.fstat(f).st_size, os.lseek(f, 2, os.SEEK_DATA), os.lseek(f, 2, os.SEEK_HOLE))
try: os.lseek(f, 6000, os.SEEK_DATA)
except OSError as e: print(errno.errorcode[e.errno])
g = os.open('g', os.O_RDWR | os.O_CREAT)
print(os.copy_file_range(f, g, 4, 0, 0), os.pread(g, 10, 0))`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: "5000 2 5000\nENXIO\n4 b'data'" });
    expect((await m.sh('fallocate -c -o 0 -l 4096 f')).stderr).toContain('not supported');
    expect(await m.sh('fallocate -p -o 1 -l 2 f; head -c 4 f | od -An -c')).toMatchObject({
      ...ok,
      stdout: 'd  \\0  \\0   a',
    });
    expect(await m.sh('fallocate -n -l 9000 f; stat -c %s f')).toMatchObject({ ...ok, stdout: '5000' });
  });

  it('says who makes a file or a directory', async () => {
    const shared = await mountMemory(kernelBinding, { allowOther: true });
    await shared.sh('chmod 777 .');
    const script = `umask 077; touch f; mkdir d; stat -c %u:%g:%a f d`;
    expect(await shared.sh(`setpriv --reuid 1234 --regid 567 --clear-groups sh -c '${script}'`)).toMatchObject({
      ...ok,
      stdout: '1234:567:600\n1234:567:700',
    });
    expect(shared.fs.lastCaller).toMatchObject({ uid: 1234, gid: 567, umask: 0o077 });
    expect(shared.fs.lastCaller?.pid).toBeGreaterThan(1);
  });

  it('takes set-id bits away when another user writes, truncates or owns', async () => {
    const shared = await mountMemory(kernelBinding, { allowOther: true });
    const asOther = (script: string) => shared.sh(`setpriv --reuid 1234 --regid 567 --clear-groups sh -c '${script}'`);
    await shared.sh('chmod 777 .; for f in w t c; do echo x >$f; chmod 6777 $f; done');
    expect(await asOther('echo y >>w; truncate -s 1 t; stat -c %a w t')).toMatchObject({ ...ok, stdout: '777\n777' });
    expect(await shared.sh('chown 1:1 c; stat -c %a c')).toMatchObject({ ...ok, stdout: '777' });
    // Root keeps them, as on a disk.
    expect(await shared.sh('chmod 4755 w; echo z >>w; stat -c %a w')).toMatchObject({ ...ok, stdout: '4755' });
  });

  it('truncates with O_TRUNC in the open itself', async () => {
    await m.sh('echo something >f');
    expect(await counted(() => m.sh('echo x >f'))).toMatchObject({ open: 1, write: 1 });
    expect(m.fs.calls.get('setattr')).toBeUndefined();
    expect((await m.sh('cat f')).stdout).toBe('x');
  });

  it('asks nothing at the close of a descriptor that only read', async () => {
    await m.sh('echo something >f');
    expect((await counted(() => m.sh('cat f'))).flush).toBeUndefined();
  });

  it('leaves no file behind under another name when an open one is removed or replaced', async () => {
    const script = `
f = os.open('f', os.O_RDWR | os.O_CREAT); os.unlink('f')
g = os.open('g', os.O_RDWR | os.O_CREAT); open('h', 'w').close(); os.rename('h', 'g')
print(os.listdir('.'), os.fstat(f).st_nlink, os.fstat(g).st_nlink)`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: "['g'] 0 0" });
  });

  it('reads and writes in requests of up to 1 MiB', async () => {
    const written = await counted(() => m.sh('dd if=/dev/zero of=big bs=4M count=8 status=none'));
    expect(written.write).toBe(32);
    await m.mounted.unmount();
    const again = await mountMemory(kernelBinding, {}, m.fs);
    m.fs.calls.clear();
    expect(await again.sh('cmp -n 33554432 big /dev/zero')).toMatchObject(ok);
    expect(m.fs.calls.get('read')).toBeLessThanOrEqual(70);
  });

  it('mounts and unmounts 100 times without keeping a descriptor or a handle', async () => {
    const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const before = await descriptors();
    const threads = async (): Promise<number> => (await readdir('/proc/self/task')).length;
    const threadsBefore = await threads();
    for (let i = 0; i < 100; i++) {
      const cycle = await mountMemory(kernelBinding);
      if (i % 10 === 0) await cycle.sh('echo x >f; cat f');
      await cycle.mounted.unmount();
      expect(cycle.fs.openHandles).toBe(0);
    }
    await expect.poll(descriptors).toBeLessThanOrEqual(before + 1);
    await expect.poll(threads).toBeLessThanOrEqual(threadsBefore + 1);
  });
});
