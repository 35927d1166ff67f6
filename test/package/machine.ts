/**
 * A Debian that boots: systemd as process 1 of a container of systemd-nspawn(1), with a network of its own that has `lo` only. Whatever runs
 * in it is in one control group, and what the container mounts in namespaces of its own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/**
 * Options for every container: --keep-unit and --register=no, because no systemd runs outside of it. Modules are the kernel's, and none of
 * its business: a unit that would load some fails where the system has no kmod.
 */
const common = [
  ...['--quiet', '--keep-unit', '--register=no', '--capability=all', '--drop-capability=CAP_SYS_MODULE'],
  ...['--link-journal=no', '--resolv-conf=off', '--timezone=off'],
];
const env = { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' };

/** Arguments of sh(1) that run systemd-nspawn, whose process it becomes. What that keeps in /run about containers goes with it. */
function inGroup(group: ControlGroup, args: readonly string[]): string[] {
  const script = `echo $$ > "$0/cgroup.procs"; exec unshare -m sh -c 'mount -t tmpfs tmpfs /run && exec systemd-nspawn "$@"' sh "$@"`;
  return ['-c', script, group.path, ...common, ...args];
}

/** Why no container boots here; null where one does. */
export function whyNoMachine(): string | null {
  if (spawnSync('systemd-nspawn', ['--version']).error !== undefined) return 'systemd-container is not installed';
  for (const device of ['/dev/fuse', '/dev/autofs']) if (!existsSync(device)) return `the machine has no ${device}`;
  let group: ControlGroup;
  try {
    group = new ControlGroup('probe');
  } catch (error) {
    return `control groups cannot be made: ${(error as Error).message}`;
  }
  try {
    // The programs of this machine, in a file system that is empty otherwise.
    const { status, stderr } = spawnSync('sh', inGroup(group, ['--volatile=yes', '-D', '/', '/bin/true']), {
      env,
      encoding: 'utf8',
    });
    return status === 0 ? null : `systemd-nspawn: ${stderr.trim().split('\n').at(-1) || `it ended with ${status}`}`;
  } finally {
    group.remove();
  }
}

/** A script that waits until the command succeeds, for a minute. */
export const until = (command: string): string =>
  `for i in $(seq 600); do ${command} && break; sleep 0.1; done; ${command}`;

export class Machine {
  readonly #root: string;
  readonly #log: string;
  #group: ControlGroup | null = null;
  #container: ChildProcess | null = null;
  #init = '';

  /** `root` has the system; `log` is a file for what the container says. */
  constructor(root: string, log: string) {
    this.#root = root;
    this.#log = log;
  }

  /** Answers when the system has come up, with what systemd calls its state: `running`, or `degraded`, with the units that failed. */
  boot(): string {
    this.end();
    this.#group = new ControlGroup('boot');
    const output = openSync(this.#log, 'a');
    const devices = ['/dev/fuse', '/dev/autofs'].map((device) => `--bind=${device}`);
    const own = ['-D', this.#root, '--machine=debian', '--private-network', '--console=pipe', '--boot'];
    this.#container = spawn('sh', inGroup(this.#group, [...devices, ...own]), {
      env,
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    const { pid } = this.#container;
    try {
      this.#init = this.#shell(`
        for i in $(seq 600); do
          init=$(pgrep -P ${pid} -x systemd) && nsenter -t $init -a test -S /run/systemd/private && echo $init && exit
          sleep 0.1
        done
        exit 1`);
    } catch (cause) {
      throw new Error(`it does not boot: ${readFileSync(this.#log, 'utf8')}`, { cause });
    }
    const systemctl = `nsenter -t ${this.#init} -a systemctl`;
    return this.#shell(`${systemctl} is-system-running --wait || ${systemctl} list-units --failed --plain --no-legend`);
  }

  /** What the script prints as root in the system. Throws where it fails, with all that it said. */
  run(script: string): string {
    const words = ['-t', this.#init, '-a', 'env', '-i', 'HOME=/root', 'LANG=C.UTF-8', `PATH=${path}`];
    // A scope: what the script leaves running belongs to the system.
    return runProgram('nsenter', [...words, 'systemd-run', '-q', '--scope', 'bash', '-euc', script]);
  }

  /** As an ordinary user, who has logged in or lingers. */
  runAs(user: string, script: string): string {
    const quoted = script.replaceAll("'", "'\\''");
    return this.run(
      `exec runuser -u ${user} -- env HOME=/home/${user} USER=${user} XDG_RUNTIME_DIR=/run/user/$(id -u ${user}) bash -euc 'cd; umask 022; ${quoted}'`,
    );
  }

  /** What somebody wants to see where it did not do as it should: the ends of its journal and of the mounts' logs. */
  report(): string {
    const journal = [
      '-D',
      join(this.#root, 'var/log/journal'),
      '-q',
      '-b',
      '--no-pager',
      '-o',
      'short-precise',
      '-n',
      '250',
    ];
    const logs = ['root', ...readdirSync(join(this.#root, 'home')).map((user) => `home/${user}`)]
      .map((home) => join(this.#root, home, '.local/state/syncmount/log'))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)));
    return [
      `journal:\n${spawnSync('journalctl', journal, { encoding: 'utf8' }).stdout}`,
      ...logs.map((path) => `${path}:\n${readFileSync(path, 'utf8').split('\n').slice(-60).join('\n')}`),
    ].join('\n');
  }

  /** Shuts the system down. */
  powerOff(): void {
    const { pid } = this.#container as ChildProcess;
    // Nobody has waited for it yet: it stays as a zombie.
    this.#shell(`
      nsenter -t ${this.#init} -a systemctl poweroff
      while [ "$(cut -d' ' -f3 /proc/${pid}/stat)" != Z ]; do sleep 0.1; done`);
    this.end();
  }

  /** Ends whatever is left of it. */
  end(): void {
    this.#group?.remove();
    this.#group = null;
    this.#container = null;
  }

  #shell(script: string): string {
    return runProgram('sh', ['-euc', script]);
  }
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function runProgram(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status !== 0) throw new Error(`it ended with ${status}: ${args.at(-1)}\n${stdout}\n${stderr}`);
  return stdout.trim();
}

/** A group of cgroup2 below that of this process. */
class ControlGroup {
  readonly path: string;

  /** Throws where none can be made. */
  constructor(name: string) {
    const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
    const mounted = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
    if (mounted === undefined) throw new Error('cgroup2 is not mounted');
    removeAbandoned(join(mounted, own));
    this.path = join(mounted, own, `${prefix}${name}-${process.pid}`);
    mkdirSync(this.path);
    if (!existsSync(join(this.path, 'cgroup.kill'))) {
      rmdirSync(this.path);
      throw new Error('this kernel cannot kill a group (Linux 5.14 can)');
    }
  }

  remove(): void {
    removeGroup(this.path);
  }
}

const prefix = 'syncmount-test-';

/** Removes the groups of earlier tests that were killed. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent).filter((entry) => entry.startsWith(prefix)))
    if (!existsSync(`/proc/${name.split('-').at(-1)}`)) removeGroup(join(parent, name));
}

/** Kills what is in the group, waits for the end of that, and removes the group, with the one of its path that systemd-nspawn has made in an older hierarchy. */
function removeGroup(path: string): void {
  if (!existsSync(path)) return;
  writeFileSync(join(path, 'cgroup.kill'), '1');
  const end = performance.now() + 20_000;
  while (/populated 1/.test(readFileSync(join(path, 'cgroup.events'), 'utf8')) && performance.now() < end)
    spawnSync('sleep', ['0.05']);
  removeTree(path);
  const mounts = readFileSync('/proc/mounts', 'utf8');
  const own = path.slice((/^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1] ?? '').length);
  for (const [, mounted] of mounts.matchAll(/^\S+ (\S+) cgroup \S*name=systemd/gm))
    if (existsSync(`${mounted}${own}`)) removeTree(`${mounted}${own}`);
}

/** Groups are removed by rmdir(2) alone. */
function removeTree(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(group, entry.name));
  rmdirSync(group);
}
