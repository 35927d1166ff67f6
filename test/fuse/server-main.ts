/** Serves a `MemoryFilesystem` until its mount is gone: `node server-main.js BINDING MOUNTPOINT`. See child-server.ts. */
import type { Log } from '../../src/base/log.js';
import { kernelBinding } from '../../src/fuse/kernel/kernel-binding.js';
import { nativeBinding } from '../../src/fuse/native/native-binding.js';
import { MemoryFilesystem } from './memory-filesystem.js';

const [name, mountpoint = ''] = process.argv.slice(2);
const complain = (data: object, message: string): void => console.error(message, data);
const log: Log = { debug() {}, info() {}, warn: complain, error: complain };
const fs = new MemoryFilesystem({ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
const binding = name === 'native' ? nativeBinding : kernelBinding;
try {
  const options = { mountpoint, source: 'child:', readOnly: false, flags: [], allowOther: false, log };
  const mounted = await binding.mount(fs, options);
  process.on('SIGTERM', () => {
    mounted.unmount().catch((error) => console.error(error));
  });
  process.on('SIGUSR2', () => {
    globalThis.gc?.();
    console.log(JSON.stringify({ handles: fs.openHandles, memory: process.memoryUsage().rss }));
  });
  console.log('ready');
  await mounted.ended;
  console.log('ended');
} catch (error) {
  console.error((error as { code?: string }).code, (error as Error).message);
  process.exitCode = 1;
}
