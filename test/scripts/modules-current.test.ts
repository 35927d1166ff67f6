/** When `scripts/test` and `scripts/demo` install the Node packages, and when not. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = resolve('scripts/modules-current.mjs');
const needed = { version: '1.0.0', integrity: 'sha512-a' };

describe('the installed Node packages', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    mkdirSync(join(directory, 'node_modules/better-sqlite3'), { recursive: true });
    compiled('module.exports = class { close() {} };');
    lock({ 'node_modules/a': needed, 'node_modules/elsewhere': { ...needed, optional: true } });
    installed({ 'node_modules/a': needed });
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (path: string, content: unknown): void => writeFileSync(join(directory, path), JSON.stringify(content));
  const lock = (packages: object): void =>
    write('package-lock.json', { packages: { '': { name: 'us' }, ...packages } });
  const installed = (packages: object): void => write('node_modules/.package-lock.json', { packages });
  const compiled = (code: string): void => writeFileSync(join(directory, 'node_modules/better-sqlite3/index.js'), code);
  const fault = (): string => {
    const { status, stderr } = spawnSync(process.execPath, [script], { cwd: directory, encoding: 'utf8' });
    expect(status === 0).toBe(stderr === '');
    return stderr;
  };

  it('are kept where they are those of the lock file, however young that is', () => {
    const future = Date.now() / 1000 + 1000;
    utimesSync(join(directory, 'package-lock.json'), future, future);
    expect(fault()).toBe('');
  });

  it('are installed anew where a version differs, one is missing or one is too many', () => {
    installed({ 'node_modules/a': { ...needed, version: '0.9.0' } });
    expect(fault()).toBe('node_modules: node_modules/a is not version 1.0.0\n');
    installed({ 'node_modules/a': { ...needed, integrity: 'sha512-b' } });
    expect(fault()).toBe('node_modules: node_modules/a is not version 1.0.0\n');
    installed({});
    expect(fault()).toBe('node_modules: node_modules/a is not version 1.0.0\n');
    installed({ 'node_modules/a': needed, 'node_modules/more': needed });
    expect(fault()).toBe('node_modules: node_modules/more is not in package-lock.json\n');
  });

  it('are installed where there are none, or an installation was broken off', () => {
    rmSync(join(directory, 'node_modules/.package-lock.json'));
    expect(fault()).toBe('node_modules: nothing is installed\n');
  });

  it('are installed anew where what was compiled is for another Node', () => {
    compiled("throw new Error('was compiled against a different Node.js version\\nmore');");
    expect(fault()).toBe('node_modules: was compiled against a different Node.js version\n');
  });
});
