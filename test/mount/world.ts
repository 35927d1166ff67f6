/**
 * A whole world for a test: a sandbox in this process, the real command line in others, a mount through the kernel.
 *
 * The sandbox answers from this process, so nothing here may touch a mount synchronously: programs do, as children.
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

/** What comes sooner or later is waited for so long, as `expect.poll` does, s. */
const PATIENCE = 120;
/** Before the second look, s. */
const FIRST_PAUSE = 0.05;
/** Each pause is longer than the one before it by this factor, up to `LONGEST_PAUSE`: a look starts programs, and others work meanwhile. */
const GROWTH = 1.25;
/** s */
const LONGEST_PAUSE = 1;

/** A mount that does not end within so long at the end of a test ends with its process, ms. */
const RELEASE_PATIENCE_MS = 500;

const program = resolve('bin/syncmount.js');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** For `describe.each`: what a program sees of a mount must not depend on the way to the kernel. */
export const bindingNames = ['kernel', 'native'] as const;
export type BindingName = (typeof bindingNames)[number];

export interface WorldOptions extends SandboxOptions {
  /** Without the login that most tests need. */
  readonly loggedOut?: boolean;
  /** What mounts go through; otherwise what `mount` chooses by itself. */
  readonly binding?: BindingName;
}

const worlds: World[] = [];

/** Registers the cleaning-up of this file: no mount and no process is left, whatever a test did. */
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

/** A world of another service. The parts of its sandbox that all have (store, log, faults, settings) are typed as 4shared's. */
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

/** Takes a world out of the cleaning-up after each test: who keeps it ends it. */
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
  /** What `mount` was last called with. */
  flags: readonly string[] = [];
  /** The directory that scripts run in: its path in the mount, and in the directory beside it. */
  #place = '';
  readonly #children = new Set<ChildProcess>();
  /** The process of the mount, where it may mount again. */
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
   * Leaves behind what `syncmount login` does. A process takes half a second to start, and these tests start a thousand: those
   * that are about the commands themselves call them, the others do without.
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
   * Mounts `work:` and fails the test where that fails. Carries out what the process does that `syncmount mount` starts, without the
   * command that waits for it, in a process that may have mounted before. Tests of the command, and of processes, call `cli`.
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

  /** Does a process have to be started for what this world has in its environment, which a process reads once? */
  #hasOwnEnvironment(): boolean {
    const names = new Set([...Object.keys(this.env), ...Object.keys(process.env)]);
    return [...names].some(
      (name) => !/^SYNCMOUNT_(CONFIG|STATE|CACHE)_DIR$/.test(name) && this.env[name] !== process.env[name],
    );
  }

  /** What `syncmount umount` asks the mount; resolves once it has ended. */
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

  /** What `syncmount status` asks the mount. */
  async status(): Promise<MountStatus> {
    return (await askControl(this.#entry().socket, 'status')) as MountStatus;
  }

  get isMounted(): boolean {
    return this.registry.find(this.mnt) !== undefined;
  }

  /** Makes a directory in the mount, and one beside it, and stays there: scripts have them as `$MNT` and `$TOP`. */
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
    // Not as the child's cwd: this process would wait for its chdir(2) without answering the requests behind it.
    return this.#run('bash', ['-c', `set -o pipefail; cd "$MNT" || exit 99\n${script}`]);
  }

  /** A script's standard output, trimmed, run beside the mount. */
  async shell(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.#run('bash', ['-c', script]);
    if (code !== 0) throw new Error(`'${script}' ended with ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  /** The script's standard output, trimmed; fails the test where the script fails. */
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

  /** Waits until so many contents wait for their upload, and so many could not be stored. */
  async untilWaiting(pending: number, failed: number): Promise<void> {
    const counts = async (): Promise<number[]> => {
      const status = await this.status();
      return [status.pending.length, status.failed.length];
    };
    await expect.poll(counts).toEqual([pending, failed]);
  }

  /** Starts a script that goes on while the test does. `ended` resolves at its end; `first` at its first output. */
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

  /** What the service has below the directory of the scripts, by the paths from there, but for the files that hold metadata. */
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

  /** What `act` asks of the provider. */
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
    // Not once more by the cleaning-up of the next file.
    keepWorld(this);
    for (const child of this.#children) child.kill('SIGKILL');
    await this.#release();
    const mounted = this.registry.all();
    const places = [this.mnt, ...mounted.map(({ mountpoint }) => mountpoint)];
    const script = `kill -9 ${mounted.map(({ pid }) => pid).join(' ')}; for at; do umount -l "$at"; done; true`;
    // mountpoint(1) does not know one whose process has died; what is gone already is no error.
    await this.#run('sh', ['-c', script, 'sh', ...places]);
    while (mounted.some(({ pid }) => lifeOf(pid) !== 'gone')) await sleep(5);
    await this.sandbox.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Ends a mount so that its process can mount again, if it does so at once. */
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
      // A program that ends without reading its input is no concern here.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
    });
  }
}
