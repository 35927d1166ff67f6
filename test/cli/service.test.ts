import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { templateUnit, unitText, unitWord } from '../../src/cli/commands/service-unit.js';
import { AccountStore } from '../../src/config/accounts.js';
import { baseDirectoriesOf } from '../../src/config/base-directories.js';
import { selfSigned } from '../support/self-signed.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'syncmount-unit-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('a unit of systemd', () => {
  it.each([
    ['/home/ann/cloud', '"/home/ann/cloud"'],
    ['/a b', '"/a b"'],
    ['100%', '"100%%"'],
    ['$HOME', '"$$HOME"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['a\nb', '"a\\nb"'],
  ])('has the word %j as %s', (text, word) => {
    expect(unitWord(text)).toBe(word);
  });

  it('keeps a dollar in the environment', () => {
    expect(unitWord('A=$x%', false)).toBe('"A=$x%%"');
  });

  it.skipIf(!hasAnalyze).each([
    ['of the package', 'syncmount@work.service', templateUnit, '--user'],
    [
      'of service install for root, with odd names',
      'syncmount@odd.service',
      {
        ...templateUnit,
        name: 'odd',
        mountpoint: unitWord('/mnt/a "b" $c 100%'),
        command: [process.execPath, '/opt/x y/main.js'].map((word) => unitWord(word)),
        options: ['-o', unitWord('cache-size=1G,log-file=/a\\,b')],
        environment: [unitWord('SYNCMOUNT_CONFIG_DIR=/etc/$x', false)],
        isSystem: true,
      },
      '--system',
    ],
  ] as const)(
    `%s is one that systemd understands${hasAnalyze ? '' : ' (skipped: there is no systemd-analyze)'}`,
    (_, file, unit, manager) => {
      const path = join(directory, file);
      // What is not installed here is no fault of the unit.
      writeFileSync(path, unitText(unit).replaceAll('/usr/bin/syncmount', '/bin/true'));
      const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', manager, path], {
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: directory },
      });
      expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes(file))).toEqual([]);
    },
  );
});

const isRoot = process.getuid?.() === 0;

describe('syncmount service', () => {
  const program = resolve('bin/syncmount.js');
  const units = (): string => join(directory, isRoot ? 'system' : '.config/systemd/user');

  /** With a systemctl that writes down what it is asked. Root's units lie in /etc, which here is a folder of the test. */
  function run(words: string, answer = 'exit 0', more: NodeJS.ProcessEnv = {}) {
    mkdirSync(join(directory, 'system'), { recursive: true });
    const fake = `#!/bin/sh\necho "$@" >> '${directory}/calls'\n${answer}\n`;
    writeFileSync(join(directory, 'systemctl'), fake, { mode: 0o755 });
    const own = { HOME: directory, XDG_CONFIG_HOME: '', PATH: `${directory}:${process.env.PATH}` };
    const env = { ...process.env, ...own, ...more };
    const command = `'${process.execPath}' '${program}' service ${words}`;
    // An empty /run: systemd does not run.
    const inPrivate = `mount -t tmpfs none /run && mount --bind '${directory}/system' /etc/systemd/system && exec ${command}`;
    const [file, ...args] = isRoot ? ['unshare', '-m', 'sh', '-c', inPrivate] : ['sh', '-c', command];
    const { status, stdout, stderr } = spawnSync(file as string, args, { encoding: 'utf8', env, cwd: directory });
    return { status, stdout, stderr };
  }
  const calls = (): string => readFileSync(join(directory, 'calls'), 'utf8').replaceAll('--user ', '');

  function addAccount(): void {
    const places = baseDirectoriesOf({ HOME: directory });
    const credentials = { apiKey: 'sk_5s_x' };
    const account = { provider: '5sync', endpoints: {}, credentials, userId: 'x', label: 'x' } as const;
    new AccountStore(places).save('work', account);
  }

  it('writes, enables and starts a unit, shows it, and takes it away again', () => {
    addAccount();
    const installed = run('install work cloud -o cache-size=1G');
    expect(installed).toMatchObject({ status: 0, stderr: '' });
    expect(installed.stdout).toContain('syncmount service uninstall work');
    const unit = join(units(), 'syncmount@work.service');
    const text = readFileSync(unit, 'utf8');
    expect(text).toContain(
      `ExecStart="${process.execPath}" "${program}" mount work: "${directory}/cloud" --foreground --stop-timeout 90s -o "cache-size=1G"\n`,
    );
    expect(text).toContain(`WantedBy=${isRoot ? 'multi-user' : 'default'}.target`);
    expect(statSync(unit).mode & 0o777).toBe(0o644);
    expect(calls()).toBe('daemon-reload\nenable syncmount@work.service\nrestart syncmount@work.service\n');

    const shown =
      'printf "Result=success\\nUnitFileState=enabled\\nActiveState=active\\nStatusText=1 file to upload\\n"';
    expect(run('status', shown).stdout).toBe('syncmount@work.service: active, enabled: 1 file to upload\n');

    rmSync(join(directory, 'calls'));
    expect(run('uninstall work')).toMatchObject({ status: 0, stderr: '' });
    expect(calls()).toBe('disable --now syncmount@work.service\ndaemon-reload\n');
    expect(readdirSync(units())).toEqual([]);
    expect(run('status').stdout).toBe('No service is installed.\n');
  });

  it('a unit reaches the service as the one who installed it, and tells nobody a password', async () => {
    addAccount();
    await selfSigned(directory, 'DNS:storage.test');
    const environment = {
      NO_PROXY: 'intern.example',
      HTTPS_PROXY: 'http://proxy:3128',
      NODE_EXTRA_CA_CERTS: 'cert.pem',
    };
    expect(run('install work cloud', 'exit 0', environment)).toMatchObject({ status: 0, stderr: '' });
    const unit = join(units(), 'syncmount@work.service');
    const named = readFileSync(unit, 'utf8').split('\n');
    expect(named).toEqual(
      expect.arrayContaining([
        'Environment="HTTPS_PROXY=http://proxy:3128"',
        'Environment="NO_PROXY=intern.example"',
        `Environment="NODE_EXTRA_CA_CERTS=${directory}/cert.pem"`,
      ]),
    );
    const withPassword = { ...environment, HTTPS_PROXY: 'http://me:pass@proxy:3128' };
    const { status, stdout } = run('install work cloud', 'exit 0', withPassword);
    expect(status).toBe(0);
    expect(stdout).toMatch(/HTTPS_PROXY is not in it.*set-environment/);
    expect(stdout).not.toContain('pass@');
    expect(readFileSync(unit, 'utf8')).not.toMatch(/HTTPS_PROXY|pass@/);
  });

  it.each([
    ['install nobody cloud', 1, /unknown account 'nobody'/],
    ['install work', 2, /needs a mountpoint/],
    ['install work cloud -o size=5', 2, /unknown option 'size'/],
    ['install', 2, /needs the name of an account/],
    ['remove work', 2, /none of install, uninstall, status/],
    ['uninstall work', 1, /no service of 'work' was installed/],
  ])('%s: ends with %i and one line', (words, code, line) => {
    addAccount();
    const { status, stdout, stderr } = run(words);
    expect([status, stdout, stderr]).toEqual([code, '', expect.stringMatching(line)]);
    expect(stderr).toMatch(/^syncmount: [^\n]+\n$/);
  });

  it('keeps the unit where systemd does not answer, and says what starts it', () => {
    addAccount();
    const { status, stderr } = run('install work cloud', 'echo "Failed to connect to bus" >&2; exit 1');
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^syncmount: systemd: Failed to connect to bus; .*enable --now syncmount@work\.service\n$/),
    ]);
    expect(readdirSync(units())).toEqual(['syncmount@work.service']);
  });

  const mayRun = !isRoot && existsSync('/run/systemd/system');
  it.skipIf(mayRun)(
    `is taken away where systemd does not run${mayRun ? ' (skipped: it does, and only root can hide it)' : ''}`,
    () => {
      addAccount();
      run('install work cloud');
      // As systemctl in a chroot.
      const answer =
        'case "$*" in *--now* | *daemon-reload*) echo "System has not been booted with systemd" >&2; exit 1 ;; esac';
      expect(run('uninstall work', answer)).toMatchObject({ status: 0, stderr: '' });
      expect(calls()).toMatch(/\ndisable syncmount@work\.service\n$/);
      expect(readdirSync(units())).toEqual([]);
    },
  );
});
