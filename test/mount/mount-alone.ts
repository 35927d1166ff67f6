import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';

const program = resolve('bin/syncmount.js');

/** Mounts in a new process, and resolves when the mountpoint answers. `starting` holds the process until then. */
export async function mountAlone(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  log: string,
  starting: Set<ChildProcess>,
): Promise<void> {
  const errors = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [program, 'mount', ...args], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', errors, 'ipc'],
    env: { UV_THREADPOOL_SIZE: '16', ...env, SYNCMOUNT_BACKGROUND: '1' },
  });
  closeSync(errors);
  starting.add(child);
  try {
    await new Promise<void>((ready, failed) => {
      child.on('message', (message: { readonly ready?: true; readonly failed?: string }) => {
        if (message.ready) ready();
        else if (message.failed !== undefined) failed(new Error(`mount: ${message.failed}`));
      });
      child.on('error', failed);
      child.on('exit', (code, signal) => failed(new Error(`mount: it ended with ${signal ?? code}`)));
    });
  } finally {
    starting.delete(child);
  }
  child.unref();
  if (child.connected) child.disconnect();
}
