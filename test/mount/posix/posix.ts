/** Random system calls through a mount against the same ones in an ordinary directory: see compare.py. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import fc from 'fast-check';
import type { AnySandboxOptions, ProviderName } from '../../../src/sandbox/index.js';
import { createServiceWorld, joinWorld, type World } from '../world.js';
import { Others, type Question } from './others.js';
import { type Cast, programs, type Step } from './steps.js';
import { type Limits, treeOf } from './trees.js';

export interface PosixOptions {
  readonly provider: ProviderName;
  readonly seed: number;
  /** Fewer where the time is over. */
  readonly programs: number;
  readonly seconds?: number;
  readonly writeBack: boolean;
  /** Another client moves and removes what is stored, as far as the service lets it. */
  readonly withOthers: boolean;
  /** Another machine shows in the end what the service cannot hold; `false`: with `--metadata local`. */
  readonly carriesMetadata?: boolean;
  /** These steps alone, again: what a failure has printed. */
  readonly again?: readonly Step[];
}

const limitsOf: Readonly<Record<ProviderName, Limits>> = {
  '4shared': { lenient: [], forgetsEmptyDirectories: false },
  '4sync': { lenient: [], forgetsEmptyDirectories: false },
  '5sync': { lenient: [], forgetsEmptyDirectories: true },
  acronis: { lenient: [], forgetsEmptyDirectories: false },
};

/**
 * What another client can do. On 5sync it cannot move, and what it did shows with the next poll, 5 s later at the earliest: once a
 * program.
 */
function castOf(provider: ProviderName, withOthers: boolean): Cast {
  if (!withOthers) return { others: 'none', mostActs: 0 };
  return provider === '5sync' ? { others: 'remove', mostActs: 1 } : { others: 'move', mostActs: MOST_ACTS };
}

/** Of another client in one program: each of them has the whole tree listed anew. */
const MOST_ACTS = 16;
/** Another client's acts are waited for; a listing is the truth for so long. */
const SHORT_TTL = '50ms';

/** What the service has of it after the last close may be tidied up for so long, ms. */
const TIDY_MS = 3000;
/** How long is looked for a shorter program that goes wrong, ms. */
const SHRINKING_MS = 30_000;
/** How often is looked, ms. */
const LOOK_MS = 20;

const program = resolve('test/mount/posix/compare.py');

function sandboxOptions(provider: ProviderName): AnySandboxOptions {
  // Without end for the program's calls, and so many that polls are as frequent as they can be.
  if (provider === '5sync') return { provider, requestsPerHour: 1_000_000 };
  // Low enough that the larger files go in chunks and take their names afterwards.
  return provider === 'acronis' ? { provider } : { provider, simpleUploadLimit: 60_000 };
}

/** The world must be ended by the caller. */
export async function createPosixWorld(provider: ProviderName): Promise<World> {
  return createServiceWorld(sandboxOptions(provider));
}

export interface PosixResult {
  programs: number;
  steps: number;
  /** Uploads that were met on their way. */
  met: number;
  /** What another client did. */
  acts: number;
}

/** Throws with a script that does again what went wrong. */
export async function posix(world: World, options: PosixOptions): Promise<PosixResult> {
  const { provider, seed, writeBack, withOthers, again, seconds = Number.POSITIVE_INFINITY } = options;
  await mkdir(join(world.directory, 'local'));
  const ttl = withOthers ? ['--dir-ttl', SHORT_TTL] : [];
  const metadata = ['--metadata', options.carriesMetadata === false ? 'local' : 'account'];
  await world.mount('--binding', 'kernel', ...(writeBack ? ['--write-back'] : []), ...ttl, ...metadata);
  const pair = new Pair(world, provider, writeBack);
  const result: PosixResult = { programs: 0, steps: 0, met: 0, acts: 0 };
  try {
    if (again !== undefined) {
      const problem = await pair.run(again);
      if (problem !== null) throw new Error(problem);
    }
    const kind = programs(castOf(provider, withOthers));
    const until = Date.now() + (again === undefined ? seconds * 1000 : 0);
    for (let n = 0; n < options.programs && Date.now() < until; n++) {
      result.steps += await checkOne(pair, kind, seed + n);
      result.programs++;
    }
    result.met = pair.others.met;
    result.acts = pair.others.acts;
    await pair.compareAfterRemount(metadata);
    if (options.carriesMetadata === true) await pair.compareOnAnotherMachine(metadata);
  } finally {
    pair.end();
  }
  return result;
}

/** One program. Answers how many steps it had; throws with the shortest script that goes wrong. */
async function checkOne(pair: Pair, kind: fc.Arbitrary<readonly Step[]>, seed: number): Promise<number> {
  let length = 0;
  let until = Number.POSITIVE_INFINITY;
  const property = fc.asyncProperty(kind, async (steps) => {
    // Time is over: this one is not tried, and the shortest so far stands.
    if (Date.now() > until) return;
    length = steps.length;
    const problem = await pair.run(steps);
    if (problem === null) return;
    until = Math.min(until, Date.now() + SHRINKING_MS);
    throw new Error(problem);
  });
  // A time limit of fast-check would leave a program running.
  const details = await fc.check(property, { seed, numRuns: 1 });
  if (details.failed && details.counterexample !== null) {
    const [steps] = details.counterexample;
    throw new Error(`seed ${seed}: ${details.errorInstance}\n${scriptOf(steps)}`);
  }
  return length;
}

/** Does it again: on any mount at `$MNT`, or, where the service has a part in it, as a test. */
function scriptOf(steps: readonly Step[]): string {
  if (steps.some(([name]) => name === 'elsewhere' || name === 'during_upload'))
    return `POSIX_AGAIN='${JSON.stringify(steps)}' npx vitest run test/mount/posix -t 'NAME OF THIS TEST'`;
  const lines = steps.map((step) => JSON.stringify(step));
  return [`python3 test/mount/posix/compare.py "$MNT/again" "$(mktemp -d)/again" <<'END'`, ...lines, 'END'].join('\n');
}

/** The mount and the ordinary directory. */
class Pair {
  readonly #world: World;
  readonly #limits: Limits;
  readonly others: Others;
  /** Uploads wait for each other, and come at the end. */
  readonly #writeBack: boolean;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;
  #number = 0;

  constructor(world: World, provider: ProviderName, writeBack: boolean) {
    this.#world = world;
    this.#limits = limitsOf[provider];
    this.others = new Others(world, provider, this.#limits, (name) => this.#local(name));
    this.#writeBack = writeBack;
    this.#child = spawn('python3', [program], { stdio: ['pipe', 'pipe', 'inherit'], cwd: world.directory });
    if (this.#child.stdout === null) throw new Error('compare.py has no output');
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** What differed, in the calls or at the service; null where nothing did. */
  async run(steps: readonly Step[]): Promise<string | null> {
    const name = `run-${this.#number++}`;
    const { mnt } = this.#world;
    const asked = { mount: join(mnt, name), local: this.#local(name), steps, lenient: this.#limits.lenient };
    const difference = await this.#differenceOf(name, asked);
    return difference === null && !this.#writeBack ? this.#differenceAtService(name) : difference;
  }

  /** Answers what compare.py asks meanwhile. */
  async #differenceOf(name: string, asked: object): Promise<string | null> {
    const say = (message: unknown) => this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
    say(asked);
    for (;;) {
      const { value, done } = await this.#answers.next();
      if (done === true) throw new Error('compare.py has ended');
      const said = JSON.parse(value) as { readonly ask: Question } | { readonly difference: string | null };
      if ('difference' in said) return said.difference;
      say((await this.others.answer(name, said.ask)) ?? null);
    }
  }

  /** Nothing of any run may have been only in the mount's memory. */
  async compareAfterRemount(metadata: readonly string[]): Promise<void> {
    const world = this.#world;
    this.end();
    await world.umount();
    for (let n = 0; n < this.#number; n++) {
      const difference = await this.#differenceAtService(`run-${n}`);
      if (difference !== null) throw new Error(`after the unmount, run ${n}, ${difference}`);
    }
    await world.clearCache();
    await world.mount('--binding', 'kernel', ...metadata);
    // diff(1) takes two sockets for different.
    const { code, stdout, stderr } = await world.sh(
      `cd "$TOP" && ! diff -r --no-dereference local mnt 2>&1 | grep -v 'is a socket while file .* is a socket$'`,
    );
    if (code !== 0) throw new Error(`after a remount with an empty cache: ${stdout}${stderr}`);
    await world.umount();
  }

  /** Another machine, of fresh state, shows all kinds of files, modes, times, attributes and names of one inode. */
  async compareOnAnotherMachine(metadata: readonly string[]): Promise<void> {
    const other = await joinWorld(this.#world);
    await other.mount('--binding', 'kernel', ...metadata);
    const names = Array.from({ length: this.#number }, (_, n) => `run-${n}`);
    const asked = names.map((name) => JSON.stringify({ trees: [join(other.mnt, name), this.#local(name)] }));
    const said = (await other.out(`python3 ${program} <<'END'\n${asked.join('\n')}\nEND`)).split('\n');
    for (const [n, name] of names.entries()) {
      const { difference } = JSON.parse(said[n] ?? '') as { readonly difference: string | null };
      if (difference !== null) throw new Error(`on another machine, ${name}, ${difference}`);
    }
    await other.umount();
  }

  end(): void {
    this.#lines.close();
    this.#child.kill('SIGKILL');
  }

  async #differenceAtService(name: string): Promise<string | null> {
    for (const until = Date.now() + TIDY_MS; ; ) {
      const held = this.#held(name);
      const wanted = await treeOf(this.#local(name), this.#limits, held);
      const paths = [...new Set([...wanted.keys(), ...held.keys()])];
      const wrong = paths.filter((path) => wanted.get(path) !== held.get(path));
      if (wrong.length === 0) return null;
      if (Date.now() > until) {
        const lines = wrong.map(
          (path) => `${path}: ${held.get(path) ?? 'absent'}, and not ${wanted.get(path) ?? 'absent'}`,
        );
        const { pending, failed } = await this.#world.status();
        return `at the service ${lines.join('; ')}; not stored: ${JSON.stringify([...pending, ...failed])}`;
      }
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  }

  /** What the service has of a run. */
  #held(name: string): Map<string, string> {
    const top = `/${name}/`;
    const entries = this.#world.sandbox.store.tree().filter(({ path }) => path.startsWith(top));
    const folders = this.#limits.forgetsEmptyDirectories ? [] : entries.filter(({ kind }) => kind === 'folder');
    const files = entries.filter(({ kind }) => kind === 'file');
    return new Map([
      ...folders.map(({ path }) => [path.slice(top.length), 'directory'] as const),
      ...files.map(({ path, md5, status }) => [path.slice(top.length), status === 'normal' ? md5 : status] as const),
    ]);
  }

  #local(name: string): string {
    return join(this.#world.directory, 'local', name);
  }
}
