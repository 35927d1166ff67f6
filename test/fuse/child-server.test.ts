import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mountAt } from '../../src/fuse/mount-table.js';
import { isRoot, unmountByProgram } from '../../src/fuse/programs.js';
import { long } from '../support/extent.js';
import { buildServer, removeServer, type Server, startServer } from './child-server.js';
import { candidates, run } from './harness.js';

let built = '';

beforeAll(async () => {
  built = await buildServer();
});
afterAll(() => removeServer(built));

describe.each(candidates)('a server process over the $binding.name binding', ({ binding, unavailable }) => {
  let mountpoint = '';
  let server: Server | undefined;

  beforeEach(async ({ skip }) => {
    if (unavailable !== undefined) skip(unavailable);
    mountpoint = await mkdtemp(join(tmpdir(), 'syncmount-test-'));
  });
  afterEach(async () => {
    server?.child.kill('SIGKILL');
    await server?.exited;
    server = undefined;
    if ((await mountAt(mountpoint)) !== undefined) await unmountByProgram(mountpoint, { lazy: true });
    await rmdir(mountpoint);
  });

  async function start(as?: number): Promise<Server> {
    server = startServer(built, binding.name, mountpoint, as);
    await server.says('ready');
    return server;
  }

  it('leaves a dead mount when it is killed, which can be cleared and mounted again', async () => {
    const first = await start();
    expect((await run('sh', ['-c', `echo x >${mountpoint}/f; cat ${mountpoint}/f`])).stdout).toBe('x');
    first.child.kill('SIGKILL');
    await first.exited;
    expect((await run('ls', [mountpoint])).stderr).toContain('Transport endpoint is not connected');
    await unmountByProgram(mountpoint, { lazy: false });
    await start();
    expect((await run('ls', [mountpoint])).code).toBe(0);
  });

  it('ends by itself after an unmount from outside', async () => {
    const { exited, says } = await start();
    await expect.poll(async () => (await run('umount', [mountpoint])).code).toBe(0);
    await says('ended');
    expect(await exited).toBe(0);
  });

  it('ends, and leaves nothing, when it is told to unmount', async () => {
    const { child, exited } = await start();
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(await mountAt(mountpoint)).toBeUndefined();
  });

  it('mounts for an ordinary user, through fusermount', async ({ skip }) => {
    skip(!isRoot(), 'only root can become another user');
    const user = 65534;
    await run('chown', [`${user}:${user}`, mountpoint]);
    const { child, exited, output } = await start(user);
    const asUser = (script: string) =>
      run('setpriv', [`--reuid=${user}`, `--regid=${user}`, '--clear-groups', 'sh', '-ec', script]);
    expect(await mountAt(mountpoint)).toMatchObject({ type: 'fuse.syncmount', source: 'child:' });
    const script = `cd ${mountpoint}; head -c 3000000 /dev/urandom >f; cp f g; cmp f g; stat -c %u:%g g; mkdir d; ls`;
    expect(await asUser(script)).toMatchObject({ code: 0, stdout: `${user}:${user}\nd\nf\ng` });
    expect((await run('ls', [mountpoint])).stderr).toContain('Permission denied');
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(await mountAt(mountpoint)).toBeUndefined();
    expect(output()).toBe('ready\nended\n');
  });

  it('says in one line why an ordinary user cannot mount', async ({ skip }) => {
    skip(!isRoot(), 'only root can become another user');
    const refused = startServer(built, binding.name, mountpoint, 65534);
    server = refused;
    expect(await refused.exited).toBe(1);
    // mkdtemp made a directory that only root may write to.
    expect(refused.output()).toMatch(/^(permission|mount-failed) .*\n$|\n(permission|mount-failed) .*\n$/);
    expect(await mountAt(mountpoint)).toBeUndefined();
  });

  it('opens 10,000 files and serves 1,000 at a time without growing', long, async () => {
    const { child, says, output } = await start();
    const measure = async (): Promise<{ handles: number; memory: number; descriptors: number }> => {
      const before = output().length;
      child.kill('SIGUSR2');
      await expect.poll(() => output().slice(before)).toContain('memory');
      const { stdout } = await run('sh', ['-c', `ls /proc/${child.pid}/fd | wc -l`]);
      return { ...JSON.parse(output().slice(before).trim()), descriptors: Number(stdout) };
    };
    await says('ready');
    const opens = (count: number) => `
import os, sys
os.chdir(sys.argv[1])
for i in range(${count}):
    f = os.open('f%d' % (i % 10), os.O_RDWR | os.O_CREAT); os.write(f, b'x' * 100); os.close(f)
for start in range(0, 3):
    files = [os.open('f%d' % (i % 10), os.O_RDONLY) for i in range(1000)]
    for f in files: assert os.pread(f, 10, 0) == b'x' * 10
    for f in files: os.close(f)`;
    expect((await run('python3', ['-c', opens(3000), mountpoint])).stderr).toBe('');
    await expect.poll(async () => (await measure()).handles).toBe(0);
    const first = await measure();
    expect((await run('python3', ['-c', opens(10_000), mountpoint])).stderr).toBe('');
    await expect.poll(async () => (await measure()).handles).toBe(0);
    const second = await measure();
    expect(second.descriptors).toBeLessThanOrEqual(first.descriptors + 2);
    expect(second.memory).toBeLessThan(first.memory + 40e6);
  });
});
