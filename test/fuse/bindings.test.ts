import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Log, silentLog } from '../../src/base/log.js';
import type { Binding } from '../../src/fuse/binding.js';
import { chooseBinding } from '../../src/fuse/bindings.js';
import { missingLibrary } from '../../src/fuse/native/library.js';
import { loadPunchHole } from '../../src/fuse/punch-hole.js';
import { buildServer, removeServer, startServer } from './child-server.js';

const binding = (name: Binding['name'], ok: boolean): Binding => ({
  name,
  probe: async () => ({ ok, message: ok ? 'works' : `no ${name}` }),
  mount: () => Promise.reject(new Error('not in this test')),
});

describe('chooseBinding', () => {
  it('takes the first that works, and says why it is not the first', async () => {
    const lines: string[] = [];
    const log: Log = { ...silentLog, warn: (_, message) => void lines.push(message) };
    const both = [binding('kernel', true), binding('native', true)];
    expect((await chooseBinding(undefined, log, both)).name).toBe('kernel');
    expect((await chooseBinding('native', log, both)).name).toBe('native');
    expect(lines).toEqual([]);
    const second = [binding('kernel', false), binding('native', true)];
    expect((await chooseBinding(undefined, log, second)).name).toBe('native');
    expect(lines).toEqual(['using the native binding: no kernel']);
  });

  it('refuses where the one asked for, or every one, does not work', async () => {
    const none = [binding('kernel', false), binding('native', false)];
    await expect(chooseBinding(undefined, silentLog, none)).rejects.toMatchObject({
      code: 'fuse-missing',
      message: 'no kernel; no native',
    });
    const second = [binding('kernel', false), binding('native', true)];
    await expect(chooseBinding('kernel', silentLog, second)).rejects.toThrow('no kernel');
  });
});

describe('what is not installed', () => {
  it('is named with the package to install', () => {
    const dlopen = new Error('libfuse.so.2: cannot open shared object file: No such file or directory\n at …');
    expect(missingLibrary(dlopen)).toMatchObject({
      code: 'fuse-missing',
      message: expect.stringContaining('libfuse2'),
    });
    const absent = Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
    expect(missingLibrary(absent).message).toContain('npm install fuse-native@2.2.6');
    expect(missingLibrary(new Error('odd\nstack')).message).toBe('fuse-native cannot be loaded: odd');
  });

  it('is one line from a program without the addon and without fuse-native', async () => {
    const built = await buildServer({ bare: true });
    try {
      const kernel = startServer(built, 'kernel', '/nowhere');
      expect(await kernel.exited).toBe(1);
      expect(kernel.output()).toMatch(
        /^fuse-missing the kernel binding is not built: apt install build-essential.*\n$/,
      );
      const native = startServer(built, 'native', '/nowhere');
      expect(await native.exited).toBe(1);
      expect(native.output()).toBe(
        'fuse-missing the npm package fuse-native is not installed: npm install fuse-native@2.2.6\n',
      );
    } finally {
      await removeServer(built);
    }
  });
});

describe('punchHole', () => {
  it('gives blocks back and keeps the size', async ({ skip }) => {
    const punchHole = loadPunchHole();
    if (punchHole === undefined) return skip('the addon is not built');
    const folder = await mkdtemp(join(tmpdir(), 'syncmount-hole-'));
    const file = await open(join(folder, 'f'), 'w+');
    try {
      await file.write(Buffer.alloc(1 << 20, 'x'));
      await file.sync();
      const before = await file.stat();
      await punchHole(file.fd, 4096, 900_000);
      const after = await file.stat();
      expect(after.size).toBe(1 << 20);
      expect(after.blocks).toBeLessThan(before.blocks - 1000);
      const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 4095);
      expect(buffer).toEqual(Buffer.from('x\0\0\0'));
      await expect(punchHole(999, 0, 1)).rejects.toMatchObject({ code: 'EBADF' });
      await expect(punchHole(file.fd, 0, 0)).rejects.toMatchObject({ code: 'EINVAL' });
    } finally {
      await file.close();
      await rm(folder, { recursive: true });
    }
  });
});
