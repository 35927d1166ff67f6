/**
 * Mounts a `MemoryFilesystem` for a test and runs real programs on it.
 *
 * The server runs in this process. A synchronous call into the mount would block it, so only child processes touch the mount. The mount
 * must not even be the `cwd` of spawn(): the child would wait for chdir(2), and this process for the child's exec(2).
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Log } from '../../src/base/log.js';
import type { Binding, BindingOptions, Mounted } from '../../src/fuse/binding.js';
import { kernelBinding } from '../../src/fuse/kernel/kernel-binding.js';
import { mountAt } from '../../src/fuse/mount-table.js';
import { nativeBinding } from '../../src/fuse/native/native-binding.js';
import { unmountByProgram } from '../../src/fuse/programs.js';
import { MemoryFilesystem } from './memory-filesystem.js';

export interface Candidate {
  readonly binding: Binding;
  /** The reason if its tests are skipped here. */
  readonly unavailable?: string;
}

/** Every binding, for `describe.each`. */
export const candidates: Candidate[] = await Promise.all(
  [kernelBinding, nativeBinding].map(async (binding) => {
    const { ok, message } = await binding.probe();
    return ok ? { binding } : { binding, unavailable: message };
  }),
);

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestMount {
  readonly fs: MemoryFilesystem;
  readonly path: string;
  readonly mounted: Mounted;
  /** The warnings and errors that the binding logged: empty unless a test provokes them. */
  readonly complaints: string[];
  /** Runs a shell script in the mounted directory (or in `cwd`). */
  sh(script: string, options?: { cwd?: string }): Promise<Outcome>;
  /** The same in Python, with os, sys, errno and time imported. */
  python(script: string): Promise<Outcome>;
}

const open: { path: string; mounted?: Mounted }[] = [];

/** Registers the cleanup for this file: it leaves no mount, whatever a test did or did not do. */
export function cleanUpMounts(): void {
  afterEach(async () => {
    for (const { path, mounted } of open.splice(0)) {
      if ((await mountAt(path)) !== undefined) {
        if (mounted === undefined) await unmountByProgram(path, { lazy: true });
        else await mounted.detach();
      }
      await mounted?.ended;
      await rmdir(path);
    }
  });
}

export async function mountMemory(
  binding: Binding,
  options: Partial<BindingOptions> = {},
  fs: MemoryFilesystem = new MemoryFilesystem(),
): Promise<TestMount> {
  const path = await mkdtemp(join(tmpdir(), 'syncmount-test-'));
  const entry: { path: string; mounted?: Mounted } = { path };
  open.push(entry);
  const complaints: string[] = [];
  const complain = (data: object, message: string): void => void complaints.push(`${message} ${JSON.stringify(data)}`);
  const log: Log = { debug() {}, info() {}, warn: complain, error: complain };
  const mounted = await binding.mount(fs, {
    mountpoint: path,
    source: 'test:',
    readOnly: false,
    flags: [],
    allowOther: false,
    log,
    ...options,
  });
  entry.mounted = mounted;
  return {
    fs,
    path,
    mounted,
    complaints,
    sh: (script, { cwd = path } = {}) => run('/bin/sh', ['-ec', `cd "$0"; ${script}`, cwd]),
    python: (script) => run('python3', ['-c', `import os, sys, errno, time\nos.chdir(sys.argv[1])\n${script}`, path]),
  };
}

export function run(file: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 128, stdout: stdout.trim(), stderr: stderr.trim() }));
  });
}
