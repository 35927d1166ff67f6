import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.js';

const { version, ...manifest } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

describe('the start of the program', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-start-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const run = (script: string, file = resolve('bin/syncmount.js')) => {
    const args = ['-c', `exec "$0" "$@" ${script}`, process.execPath, file];
    const { status, stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  /** The start alone: nothing else of the program is there. */
  const startOnly = (more: object): string => {
    cpSync('bin', join(directory, 'bin'), { recursive: true });
    writeFileSync(join(directory, 'package.json'), JSON.stringify({ ...manifest, version, ...more }));
    return join(directory, 'bin/syncmount.js');
  };

  it('tells its version without the program', () => {
    const file = startOnly({ version: '7.8.9' });
    for (const option of ['--version', '-V'])
      expect(run(option, file)).toEqual({ status: 0, stdout: '7.8.9\n', stderr: '' });
  });

  it('tells an older Node.js in one line what is needed, and loads nothing', () => {
    const stderr = `syncmount: Node.js >=99.0.0 is needed, and this is ${process.versions.node}\n`;
    const file = startOnly({ engines: { node: '>=99.0.0' } });
    for (const words of ['--version', 'status']) expect(run(words, file)).toEqual({ status: 1, stdout: '', stderr });
  });

  it('fails where its version cannot be written, as every command does', () => {
    const stderr = expect.stringMatching(/^syncmount: cannot write to standard output: ENOSPC[^\n]*\n$/);
    expect(run('--version >/dev/full')).toEqual({ status: 1, stdout: '', stderr });
  });

  it('leaves to the helper of mount(8) what that is asked', () => {
    const helper = join(directory, 'mount.syncmount');
    symlinkSync(resolve('bin/syncmount.js'), helper);
    expect(run('--version', helper)).toMatchObject({ status: 2, stdout: '' });
  });

  it('declares one command as it declares all', () => {
    for (const command of createProgram().commands) {
      const [alone] = createProgram(command.name()).commands.filter((one) => one.name() === command.name());
      expect(alone?.helpInformation()).toBe(command.helpInformation());
    }
    expect(createProgram('status').commands).toHaveLength(1);
    for (const first of ['help', 'complete', 'nonsense', '--help', undefined])
      expect(createProgram(first).commands).toHaveLength(createProgram().commands.length);
  });
});
