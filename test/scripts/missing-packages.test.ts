/** What scripts find missing on a machine: scripts/lib.sh, with programs of this test. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let programs: string;
beforeEach(() => {
  programs = mkdtempSync(join(tmpdir(), 'syncmount-programs-'));
});
afterEach(() => rmSync(programs, { recursive: true, force: true }));

function program(name: string, text: string): void {
  writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(programs, name), 0o755);
}

function run(script: string, path: string): string {
  const { stdout } = spawnSync('bash', ['-euo', 'pipefail', '-c', `. scripts/lib.sh; ${script}`], {
    env: { ...process.env, PATH: path },
    encoding: 'utf8',
  });
  return stdout;
}

describe('what a machine lacks', () => {
  it('is not libfuse 2 where a long list of libraries begins with it', () => {
    program(
      'ldconfig',
      `echo 'libfuse.so.2 (libc6,x86-64) => /lib/libfuse.so.2'; head -c 1000000 /dev/zero | tr '\\0' '\\n'`,
    );
    expect(run('missing_packages', `${programs}:${process.env.PATH}`)).not.toContain('libfuse2');
    program('ldconfig', 'echo libz.so.1');
    expect(run('missing_packages', `${programs}:${process.env.PATH}`)).toContain('libfuse2');
  });

  it('is nothing that an ordinary user has, but for the way to it', () => {
    for (const name of ['ldconfig', 'setcap'])
      expect(run(`command -v ${name}`, '/usr/local/bin:/usr/bin:/bin')).toMatch(new RegExp(`sbin/${name}$`, 'm'));
  });
});
