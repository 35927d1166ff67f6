import { readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { codeOf } from '../../src/base/errors.js';
import type { KernelFlag } from '../../src/config/options.js';
import { mountAt } from '../../src/fuse/mount-table.js';
import { candidates, cleanUpMounts, mountMemory, run } from './harness.js';

const codeOfRejection = (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(() => 'resolved', codeOf);

describe.each(candidates)('the life of a mount over the $binding.name binding', ({ binding, unavailable }) => {
  cleanUpMounts();

  beforeEach(({ skip }) => {
    if (unavailable !== undefined) skip(unavailable);
  });

  it('answers when mount() resolves, and is gone when unmount() does', async () => {
    const m = await mountMemory(binding);
    expect(await mountAt(m.path)).toMatchObject({ type: 'fuse.syncmount', source: 'test:' });
    expect((await m.sh('ls -A')).code).toBe(0);
    await m.mounted.unmount();
    await m.mounted.ended;
    expect(await mountAt(m.path)).toBeUndefined();
    // A second time does no harm.
    await m.mounted.unmount();
    await m.mounted.detach();
  });

  it('shows an odd source as it is', async () => {
    const m = await mountMemory(binding, { source: 'a,b c\\d:/ä' });
    expect((await mountAt(m.path))?.source).toBe('a,b c\\d:/ä');
  });

  it('refuses to unmount while a file is open or a process stands inside, and changes nothing', async () => {
    const m = await mountMemory(binding);
    const reader = m.sh('echo x >f; exec 3<f; until test -e go; do sleep 0.02; done; cat <&3');
    await expect.poll(async () => (await m.sh('ls')).stdout).toBe('f');
    expect(await codeOfRejection(m.mounted.unmount())).toBe('busy');
    expect((await m.sh('touch go; ls')).stdout).toBe('f\ngo');
    expect(await reader).toMatchObject({ code: 0, stdout: 'x' });
    await expect.poll(() => codeOfRejection(m.mounted.unmount())).toBe('resolved');
  });

  it('detaches a busy mount, and releases what was open', async () => {
    const m = await mountMemory(binding);
    const stop = `${m.path}.stop`;
    const holder = m.sh(`echo x >f; exec 3<f 4>g; until test -e ${stop}; do sleep 0.02; done`);
    await expect.poll(async () => (await m.sh('ls')).stdout).toBe('f\ng');
    await m.mounted.detach();
    expect(await mountAt(m.path)).toBeUndefined();
    await m.mounted.ended;
    expect(m.fs.openHandles).toBe(0);
    await writeFile(stop, '');
    await holder;
    await rm(stop);
  });

  it('detaches without waiting for a close that takes long', async () => {
    const m = await mountMemory(binding);
    let interrupted = false;
    let finish: () => void = () => {};
    const started = new Promise<void>((begun) => {
      m.fs.plan('flush', (caller) => {
        begun();
        return new Promise((resolve, reject) => {
          finish = resolve;
          caller?.signal?.addEventListener('abort', () => {
            interrupted = true;
            reject(caller.signal?.reason);
          });
        });
      });
    });
    const writer = m.sh('echo x >f');
    await started;
    await m.mounted.detach();
    expect(interrupted).toBe(binding.name === 'kernel');
    expect(m.fs.openHandles).toBe(0);
    m.fs.plan('flush');
    finish();
    expect((await writer).code).not.toBe(0);
  });

  it('notices an unmount by someone else', async () => {
    const m = await mountMemory(binding);
    await expect.poll(async () => (await run('umount', [m.path])).code).toBe(0);
    await m.mounted.ended;
    expect(await codeOfRejection(m.mounted.unmount())).toBe('resolved');
  });

  it('refuses every change with EROFS when read-only', async () => {
    const m = await mountMemory(binding, { readOnly: true });
    await m.fs.create(m.fs.root, 'f', 0o644, {
      read: true,
      write: true,
      append: false,
      truncate: false,
      exclusive: false,
    });
    for (const command of ['touch new', 'rm f', 'mkdir d', 'chmod 600 f', 'echo x >f', 'mv f g'])
      expect((await m.sh(command)).stderr, command).toContain('Read-only file system');
    expect((await m.sh('cat f; ls')).stdout).toBe('f');
  });

  it.each<[KernelFlag[], object]>([
    [['noexec'], { code: 126, stdout: '', stderr: expect.stringMatching(/Permission denied/) }],
    [[], { code: 0, stdout: 'ran', stderr: '' }],
  ])('executes a program of the mount unless it is told not to (%j)', async (flags, outcome) => {
    const m = await mountMemory(binding, { flags });
    expect(await m.sh("printf '#!/bin/sh\\necho ran\\n' > program; chmod 755 program; ./program")).toMatchObject(
      outcome,
    );
    expect((await m.sh('sh program')).stdout).toBe('ran');
  });

  it.runIf(binding.name === 'native')('refuses a flag that it cannot pass on (kernel: passes it on)', async () => {
    await expect(mountMemory(binding, { flags: ['nosymfollow'] })).rejects.toThrow(
      /^nosymfollow: the native binding does not know it/,
    );
  });

  it('mounts several at once, apart from each other', async () => {
    const [a, b] = await Promise.all([mountMemory(binding), mountMemory(binding)]);
    await Promise.all([a.sh('echo a >f'), b.sh('echo b >f')]);
    expect([(await a.sh('cat f')).stdout, (await b.sh('cat f')).stdout]).toEqual(['a', 'b']);
  });

  it('mounts under a path with spaces and other odd characters', async () => {
    const outer = await mountMemory(binding);
    const inside = `/tmp/sync mount\\040é${process.pid}`;
    await run('mkdir', ['-p', inside]);
    try {
      const mounted = await binding.mount(outer.fs, {
        ...{ mountpoint: inside, source: 's', readOnly: false, flags: [], allowOther: false },
        log: { debug() {}, info() {}, warn() {}, error() {} },
      });
      expect(await readFile('/proc/self/mountinfo', 'utf8')).toContain('mount\\134040');
      await mounted.unmount();
    } finally {
      await run('rmdir', [inside]);
    }
  });

  it('rejects a mountpoint that is not there', async () => {
    const { fs } = await mountMemory(binding);
    const options = { mountpoint: '/nowhere/at/all', source: 's', readOnly: false, flags: [], allowOther: false };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    expect(await codeOfRejection(binding.mount(fs, { ...options, log }))).toBe('mount-failed');
  });
});
