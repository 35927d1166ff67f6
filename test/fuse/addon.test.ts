import { spawn } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadHoles } from '../../src/fuse/holes.js';
import { missingLibrary } from '../../src/fuse/native/library.js';
import { buildServer, removeServer, startServer } from './child-server.js';

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
  it('gives blocks back and keeps the size, but not under the hands of others', async ({ skip }) => {
    const { punchHole } = loadHoles();
    if (punchHole === undefined) return skip('the addon is not built');
    const folder = await mkdtemp(join(tmpdir(), 'syncmount-hole-'));
    const file = await open(join(folder, 'f'), 'w+');
    try {
      await file.write(Buffer.alloc(1 << 20, 'x'));
      await file.sync();
      const before = await file.stat();
      const other = await open(join(folder, 'f'), 'r');
      expect(punchHole(file.fd, 4096, 900_000)).toBe(false);
      expect((await file.stat()).blocks).toBe(before.blocks);
      await other.close();
      expect(punchHole(file.fd, 4096, 900_000)).toBe(true);
      const after = await file.stat();
      expect(after.size).toBe(1 << 20);
      expect(after.blocks).toBeLessThan(before.blocks - 1000);
      const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 4095);
      expect(buffer).toEqual(Buffer.from('x\0\0\0'));
      expect(() => punchHole(999, 0, 1)).toThrow(expect.objectContaining({ code: 'EBADF' }));
      expect(() => punchHole(file.fd, 0, 0)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    } finally {
      await file.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe('a worker thread', () => {
  /** The main thread does not load the addon: it would keep the library. */
  const program = (how: string): string => `
    const { Worker } = require('node:worker_threads');
    const source = ${JSON.stringify(`
      const addon = require(${JSON.stringify(resolve('native/build/Release/fuse_device.node'))});
      const { writeSync } = require('node:fs');
      const [ours, theirs] = addon.socketPair();
      if ('${how}' !== 'idle') writeSync(theirs, 'x');
      globalThis.device = addon.createDevice(ours, () => '${how}' === 'called' && process.exit(0));
      addon.notify(device, new Uint8Array(8));
      if ('${how}' === 'closed') addon.close(device);
      if ('${how}' !== 'called') setImmediate(() => process.exit(0));
    `)};
    const run = (left) => left > 0 && new Worker(source, { eval: true }).on('exit', () => run(left - 1));
    run(5);
  `;

  const isBuilt = loadHoles().punchHole !== undefined;
  it.skipIf(!isBuilt).each(['idle', 'readable', 'called', 'closed'])(
    '(skipped where the addon is not built) may end with a device that is %s',
    async (how) => {
      const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((done) => {
        spawn(process.execPath, ['-e', program(how)], { stdio: 'inherit' }).on('close', (code, signal) =>
          done({ code, signal }),
        );
      });
      expect({ code, signal }).toEqual({ code: 0, signal: null });
    },
  );
});
