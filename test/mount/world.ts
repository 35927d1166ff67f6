/**
 * A whole world for a test: a sandbox in this process, the real command line in child processes, a mount through the kernel.
 *
 * The sandbox answers from this process. A synchronous call into a mount would block it, so only child processes touch a mount.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect } from 'vitest';
import { lifeOf } from '../../src/base/processes.js';
import { AccountStore } from '../../src/config/accounts.js';
import { baseDirectoriesOf } from '../../src/config/base-directories.js';
import { askControl } from '../../src/mount/control/control.js';
import { Registry, type RegistryEntry } from '../../src/mount/control/registry.js';
import type { MountStatus, UploadStatus } from '../../src/mount/control/status.js';
import type { Renewal } from '../../src/providers/acronis/tokens.js';
import { createProvider, parseCredentials } from '../../src/providers/registry.js';
import {
  type AnySandboxOptions,
  type Entry,
  type LogEntry,
  type Sandbox,
  type SandboxOptions,
  startSandbox,
} from '../../src/sandbox/index.js';
import { mountAlone } from './mount-alone.js';
import { MountHost } from './mount-host.js';

/** Longest wait for an expected event, the same as that of `expect.poll`, s. */
const PATIENCE = 120;
/** The pause before the second look, s. */
const FIRST_PAUSE = 0.05;
/** Each pause is longer by this factor, up to `LONGEST_PAUSE`, because a look starts programs that take time from the work it waits for. */
const GROWTH = 1.25;
/** s */
const LONGEST_PAUSE = 1;

/** At the end of a test, a mount that does not end within this time is killed with its process, ms. */
const RELEASE_PATIENCE_MS = 500;

const program = resolve('bin/syncmount.js');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** For `describe.each`: a program must see the same mount through both bindings. */
export const bindingNames = ['kernel', 'native'] as const;
export type BindingName = (typeof bindingNames)[number];

export interface WorldOptions extends SandboxOptions {
  /** Leaves out the login that most tests need. */
  readonly loggedOut?: boolean;
  /** The binding of the mounts. Without it, `mount` chooses. */
  readonly binding?: BindingName;
}

const worlds: World[] = [];

/** Registers the cleanup of this file: it leaves no mount and no process, whatever a test did. */
export function cleanUpWorlds(): void {
  afterEach(async () => {
    const failures: unknown[] = [];
    for (const world of worlds.splice(0)) await world.end().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  });
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { loggedOut = false, binding, ...sandboxOptions } = options;
  return worldOf(await startSandbox(sandboxOptions), loggedOut, binding);
}

/** A world of any service. The sandbox parts that all services have (store, log, faults, settings) have the types of 4shared. */
export async function createServiceWorld(
  options: AnySandboxOptions,
  loggedOut = false,
  binding?: BindingName,
): Promise<World> {
  return worldOf((await startSandbox(options as SandboxOptions)) as Sandbox, loggedOut, binding);
}

async function worldOf(sandbox: Sandbox, loggedOut = false, binding?: BindingName): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'syncmount-test-'));
  const world = new World(directory, sandbox, binding);
  worlds.push(world);
  await mkdir(world.mnt);
  if (!loggedOut) await world.signIn();
  return world;
}

/** Takes a world out of the cleanup after each test. The caller must end it. */
export function keepWorld(world: World): World {
  const at = worlds.indexOf(world);
  if (at >= 0) worlds.splice(at, 1);
  return world;
}

/** Another machine with the same account: fresh config, state and cache. */
export function joinWorld(world: World): Promise<World> {
  return worldOf(world.sandbox);
}

export class World {
  readonly directory: string;
  readonly sandbox: Sandbox;
  /** The mountpoint. */
  readonly mnt: string;
  readonly env: NodeJS.ProcessEnv;
  /** The mounts of this world. */
  readonly registry: Registry;
  readonly #binding: BindingName | undefined;
  /** The flags of the last `mount`. */
  flags: readonly string[] = [];
  /** The directory that scripts run in, relative to the mount and to the directory beside it. */
  #place = '';
  readonly #children = new Set<ChildProcess>();
  /** The process of the mount, if it can mount again later. */
  #host: MountHost | undefined;

  constructor(directory: string, sandbox: Sandbox, binding?: BindingName) {
    this.directory = directory;
    this.sandbox = sandbox;
    this.#binding = binding;
    this.mnt = join(directory, 'mnt');
    this.env = {
      ...process.env,
      SYNCMOUNT_CONFIG_DIR: join(directory, 'config'),
      SYNCMOUNT_STATE_DIR: join(directory, 'state'),
      SYNCMOUNT_CACHE_DIR: join(directory, 'cache'),
    };
    this.registry = new Registry(baseDirectoriesOf(this.env));
  }

  /** Runs `syncmount` with these arguments to its end. */
  cli(args: readonly string[], input = ''): Promise<Outcome> {
    return this.#run(process.execPath, [program, ...args], input);
  }

  /**
   * Has the same effect as `syncmount login`, without a process. A process takes half a second to start, and these tests would start a
   * thousand. Only tests of the command itself run it.
   */
  async signIn(name = 'work'): Promise<void> {
    const { provider, endpoints } = this.sandbox;
    let credentials = parseCredentials(provider, this.sandbox.credentials);
    const renewal: Renewal = async (renew) => {
      credentials = await renew();
      return credentials;
    };
    const client = createProvider(provider, { endpoints: { ...endpoints }, credentials, renewal });
    const { userId, label } = await client.account().finally(() => client.close());
    const account = { provider, endpoints: { ...endpoints }, credentials: { ...credentials }, userId, label };
    new AccountStore(baseDirectoriesOf(this.env)).save(name, account);
  }

  async login(name = 'work', credentials: unknown = this.sandbox.credentials): Promise<Outcome> {
    const { provider, endpoints } = this.sandbox;
    return this.cli(
      [
        ...['login', name, '--provider', provider, '--credentials', '-'],
        ...Object.entries(endpoints).flatMap(([key, url]) => ['--endpoint', `${key}=${url}`]),
      ],
      typeof credentials === 'string' ? credentials : JSON.stringify(credentials),
    );
  }

  /**
   * Mounts `work:`, and fails the test if that fails. It does what the background process of `syncmount mount` does, without the command
   * that waits for it, and in a process that may have mounted before. Tests of the command, and of processes, call `cli`.
   */
  async mount(...flags: string[]): Promise<void> {
    this.flags = flags;
    const binding = this.#binding === undefined ? [] : ['--binding', this.#binding];
    const log = join(this.env.SYNCMOUNT_STATE_DIR ?? '', 'log', 'work.log');
    await mkdir(dirname(log), { recursive: true, mode: 0o700 });
    const args = ['work:', this.mnt, '--foreground', '-o', `log-file=${log}`, ...binding, ...flags];
    if (!MountHost.isOffered || this.#hasOwnEnvironment()) return await mountAlone(args, this.env, log, this.#children);
    const host = MountHost.take();
    await host.mount(args, this.env);
    this.#host = host;
  }

  /** True if this world's environment needs a new process, because a process reads its environment once. */
  #hasOwnEnvironment(): boolean {
    const names = new Set([...Object.keys(this.env), ...Object.keys(process.env)]);
    return [...names].some(
      (name) => !/^SYNCMOUNT_(CONFIG|STATE|CACHE)_DIR$/.test(name) && this.env[name] !== process.env[name],
    );
  }

  /** Asks the mount to unmount, as `syncmount umount` does. Resolves when it has ended. */
  async umount(): Promise<void> {
    const left = await this.#unmount('unmount');
    if (left.length > 0) throw new Error(`umount left ${JSON.stringify(left)}\n${await this.log()}`);
  }

  async #unmount(command: 'unmount' | 'unmount-force'): Promise<readonly UploadStatus[]> {
    const { pid, socket } = this.#entry();
    const ask = async (): Promise<readonly UploadStatus[]> =>
      (await askControl(socket, command)) as readonly UploadStatus[];
    const host = this.#host;
    const left = host === undefined ? await ask() : await host.end(ask);
    if (host === undefined) while (lifeOf(pid) !== 'gone') await sleep(5);
    else await host.over();
    this.#host = undefined;
    return left;
  }

  /** Asks the mount for its status, as `syncmount status` does. */
  async status(): Promise<MountStatus> {
    return (await askControl(this.#entry().socket, 'status')) as MountStatus;
  }

  get isMounted(): boolean {
    return this.registry.find(this.mnt) !== undefined;
  }

  /** Makes a directory in the mount, and one beside it. Later scripts run there, and have them as `$MNT` and `$TOP`. */
  async enter(place: string): Promise<void> {
    this.#place = '';
    await this.out(`mkdir ${place} "$TOP/${place}"`);
    this.#place = place;
  }

  #entry(): RegistryEntry {
    const entry = this.registry.find(this.mnt);
    if (entry === undefined) throw new Error('not mounted');
    return entry;
  }

  /** Runs a shell script in the mounted directory. `$MNT`, `$TOP` (outside the mount) and `$SYNCMOUNT` are set. */
  sh(script: string): Promise<Outcome> {
    // Not with spawn's cwd: this process would block in spawn() until the child's chdir(2) is done, and chdir(2) needs the sandbox here.
    return this.#run('bash', ['-c', `set -o pipefail; cd "$MNT" || exit 99\n${script}`]);
  }

  /** Runs a script beside the mount. Returns its standard output, trimmed. */
  async shell(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.#run('bash', ['-c', script]);
    if (code !== 0) throw new Error(`'${script}' ended with ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  /** Runs a script in the mounted directory. Returns its standard output, trimmed. Fails the test if the script fails. */
  async out(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.sh(script);
    if (code !== 0) throw new Error(`'${script}' ended with ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  /** Waits until a shell condition holds in the mounted directory, however slow the machine is. */
  async until(condition: string): Promise<void> {
    const pauses: string[] = [];
    for (
      let pause = FIRST_PAUSE, sum = 0;
      sum < PATIENCE;
      sum += pause, pause = Math.min(LONGEST_PAUSE, pause * GROWTH)
    )
      pauses.push(pause.toFixed(2));
    await this.out(
      `for pause in ${pauses.join(' ')}; do { ${condition}; } > /dev/null 2>&1 && exit; sleep $pause; done; ls -lR; exit 1`,
    );
  }

  /** Waits until `pending` contents wait for their upload, and `failed` contents could not be stored. */
  async untilWaiting(pending: number, failed: number): Promise<void> {
    const counts = async (): Promise<number[]> => {
      const status = await this.status();
      return [status.pending.length, status.failed.length];
    };
    await expect.poll(counts).toEqual([pending, failed]);
  }

  /** Starts a script that runs beside the test. `ended` resolves at its end, `first` at its first output. */
  start(script: string): {
    readonly child: ChildProcess;
    readonly first: Promise<void>;
    readonly ended: Promise<Outcome>;
  } {
    let child!: ChildProcess;
    let first!: () => void;
    const started = new Promise<void>((yes) => {
      first = yes;
    });
    const ended = this.#run('bash', ['-c', `cd "$MNT" || exit 99\n${script}`], '', (made) => {
      child = made;
      made.stdout?.once('data', () => first());
    });
    return { child, first: started, ended };
  }

  /** The service's entries below the directory of the scripts, with paths relative to it. Without the files that hold metadata. */
  stored(): Entry[] {
    const top = this.#place === '' ? '/' : `/${this.#place}/`;
    const inside = this.sandbox.store
      .tree()
      .filter(({ path }) => path.startsWith(top) && !/^\/\.syncmount(\/|$)/.test(path));
    return inside.map((entry) => ({ ...entry, path: entry.path.slice(top.length - 1) }));
  }

  /** The paths of the files among them. */
  storedFiles(): string[] {
    return this.stored().flatMap(({ kind, path }) => (kind === 'file' ? [path] : []));
  }

  /** The md5 of each complete file among them, by its path. */
  storedMd5s(): Map<string, string> {
    const files = this.stored().filter(({ kind, status }) => kind === 'file' && status === 'normal');
    return new Map(files.map(({ path, md5 }) => [path, md5]));
  }

  /** The requests that `act` causes. */
  async requestsOf(act: () => Promise<unknown>): Promise<LogEntry[]> {
    const before = this.sandbox.log.entries().at(-1)?.n ?? 0;
    await act();
    return this.sandbox.log.entries({ after: before });
  }

  /** The same as `METHOD route` lines, such as `POST /files`. */
  async routesOf(act: () => Promise<unknown>): Promise<string[]> {
    return (await this.requestsOf(act)).map(({ route }) => route);
  }

  /** Forgets all downloaded blocks. Nothing may be mounted. */
  async clearCache(): Promise<void> {
    await rm(join(this.directory, 'cache'), { recursive: true, force: true });
  }

  async write(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.directory, name);
    await writeFile(path, content);
    return path;
  }

  /** The log of the mount, for messages of failed tests. */
  async log(): Promise<string> {
    return readFile(join(this.directory, 'state', 'log', 'work.log'), 'utf8').catch(() => '');
  }

  async end(): Promise<void> {
    // The cleanup of the next file must not end this world again.
    keepWorld(this);
    for (const child of this.#children) child.kill('SIGKILL');
    await this.#release();
    const mounted = this.registry.all();
    const places = [this.mnt, ...mounted.map(({ mountpoint }) => mountpoint)];
    const script = `kill -9 ${mounted.map(({ pid }) => pid).join(' ')}; for at; do umount -l "$at"; done; true`;
    // umount(8) runs for all of them: mountpoint(1) does not recognise a mount whose process has died. Its errors do not matter.
    await this.#run('sh', ['-c', script, 'sh', ...places]);
    while (mounted.some(({ pid }) => lifeOf(pid) !== 'gone')) await sleep(5);
    await this.sandbox.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Ends a mount so that its process can mount again, if the mount ends quickly. */
  async #release(): Promise<void> {
    const host = this.#host;
    if (host === undefined || !this.isMounted) return;
    const ending = this.#unmount('unmount-force').then(() => true);
    const over = ending.catch(() => false);
    if (!(await Promise.race([over, sleep(RELEASE_PATIENCE_MS, false, { ref: false })]))) host.lose();
  }

  #run(command: string, args: string[], input = '', started?: (child: ChildProcess) => void): Promise<Outcome> {
    return new Promise((done, failed) => {
      const child = spawn(command, args, {
        cwd: this.directory,
        env: {
          ...this.env,
          MNT: join(this.mnt, this.#place),
          TOP: join(this.directory, this.#place),
          SYNCMOUNT: `${process.execPath} ${program}`,
        },
      });
      this.#children.add(child);
      const stdout: Buffer[] = [];
      const stderr: Buffer[] = [];
      child.stdout.on('data', (data: Buffer) => stdout.push(data));
      child.stderr.on('data', (data: Buffer) => stderr.push(data));
      child.on('error', failed);
      child.on('close', (code) => {
        this.#children.delete(child);
        done({ code: code ?? 128, stdout: `${Buffer.concat(stdout)}`, stderr: `${Buffer.concat(stderr)}` });
      });
      started?.(child);
      // A program may end without reading its input.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
    });
  }
}
