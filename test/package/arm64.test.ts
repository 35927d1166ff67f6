/**
 * The .deb for arm64, cross-built and run by an emulator: `PACKAGE_ARCH=arm64 scripts/test --all test/package`. The emulator runs
 * one program at a time, so the mount stays in the foreground. The kernel, and its FUSE, are those of this machine.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildPackages, packageNamed } from './build.js';

const emulator = 'qemu-aarch64-static';
/** glibc and libstdc++ for arm64, as the cross compiler brings them. */
const libraries = '/usr/aarch64-linux-gnu';

/** Why arm64 is not tested here; null where it is. */
function whyNot(): string | null {
  if (process.env.PACKAGE_ARCH !== 'arm64') return 'PACKAGE_ARCH=arm64 asks for it: it takes a minute';
  for (const program of [emulator, 'aarch64-linux-gnu-gcc', 'dpkg-deb', 'fusermount3'])
    if (spawnSync(program, ['--version']).error !== undefined) return `${program} is not installed`;
  if (!existsSync(join(libraries, 'lib/libstdc++.so.6'))) return 'libstdc++6-arm64-cross is not installed';
  return existsSync('/dev/fuse') ? null : 'the machine has no /dev/fuse';
}
const reason = whyNot();

describe.skipIf(reason !== null)(`the .deb for arm64${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let directory: string;
  let program: string[];
  let env: NodeJS.ProcessEnv;
  const started: ChildProcess[] = [];
  const at = (name: string): string => join(directory, name);

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    buildPackages(['deb', '--arch', 'arm64'], at('packages'));
    const archive = join(at('packages'), packageNamed(at('packages'), '_arm64.deb'));
    execFileSync('dpkg-deb', ['-x', archive, at('root')]);
    const installed = at('root/usr/lib/syncmount');
    program = ['-L', libraries, join(installed, 'node'), join(installed, 'bin/syncmount.js')];
    env = {
      ...process.env,
      SYNCMOUNT_CONFIG_DIR: at('config'),
      SYNCMOUNT_STATE_DIR: at('state'),
      SYNCMOUNT_CACHE_DIR: at('cache'),
    };
  });
  afterEach(async () => {
    spawnSync('umount', ['-l', at('mnt')]);
    for (const child of started) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill();
        await once(child, 'exit');
      }
    }
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  function syncmount(args: string[], input = ''): string {
    const { status, stdout, stderr } = spawnSync(emulator, [...program, ...args], { env, input, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${args[0]} ended with ${status}: ${stderr}`);
    return stdout;
  }
  function start(command: string, args: string[]): ChildProcess {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(child);
    return child;
  }

  it('has binaries for no other processor', () => {
    const files = readdirSync(at('root'), { recursive: true, encoding: 'utf8' });
    expect(files.filter((path) => path.endsWith('.node')).map((path) => path.replace(/.*\//, ''))).toEqual([
      'linux-arm64.node',
      'linux-arm64.node',
    ]);
  });

  it('loads its addons, mounts, stores and unmounts', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(syncmount(['--version'])).toBe(`${version}\n`);
    expect(syncmount(['doctor']).split('\n')).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^ok {4}Node\.js .* on linux arm64$/),
        'ok    better-sqlite3 is built',
        'ok    kernel binding: the kernel protocol over /dev/fuse',
      ]),
    );

    const sandbox = start(process.execPath, ['bin/syncmount.js', 'sandbox', '--json']);
    const { credentials, endpoints } = JSON.parse(await firstLine(sandbox)) as {
      credentials: object;
      endpoints: Record<string, string>;
    };
    const endpointArgs = Object.entries(endpoints).flatMap(([key, url]) => ['--endpoint', `${key}=${url}`]);
    const login = ['login', 'work', '--provider', '4shared', '--credentials', '-', ...endpointArgs];
    syncmount(login, JSON.stringify(credentials));

    mkdirSync(at('mnt'));
    for (const round of ['stored', 'after a remount']) {
      const mount = start(emulator, [...program, 'mount', '-f', 'work:', at('mnt')]);
      await firstLine(mount);
      if (round === 'stored') cpSync('src/fuse', at('mnt/fuse'), { recursive: true });
      execFileSync('diff', ['-r', 'src/fuse', at('mnt/fuse')]);
      const end = once(mount, 'exit');
      syncmount(['umount', at('mnt')]);
      expect(await end).toEqual([0, null]);
      rmSync(at('cache'), { recursive: true });
    }
  });
});

/** The first line that a program prints, or an error where it ends without one. */
async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('it has no output');
  for await (const line of createInterface(child.stdout)) return line;
  throw new Error('it ended without a word');
}
