/** A mount and an ordinary directory beside it. compare.py makes the same calls in both. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import fc from 'fast-check';
import type { ProviderName } from '../../../src/sandbox/index.js';
import { joinWorld, type World } from '../world.js';
import { Others, type Question } from './others.js';
import type { Step } from './steps.js';
import { type Limits, treeOf } from './trees.js';

const limitsOf: Readonly<Record<ProviderName, Limits>> = {
  '4shared': { lenient: [], forgetsEmptyDirectories: false },
  '4sync': { lenient: [], forgetsEmptyDirectories: false },
  '5sync': { lenient: [], forgetsEmptyDirectories: true },
  acronis: { lenient: [], forgetsEmptyDirectories: false },
};

/** After the last close, the mount may take this long to tidy up at the service, ms. */
const TIDY_MS = 3000;
/** How long the search for a shorter failing program may take, ms. */
const SHRINKING_MS = 30_000;
/** The time between two looks, ms. */
const LOOK_MS = 20;

const program = resolve('test/mount/posix/compare.py');

/** Runs one program. Returns the number of its steps. Throws an error with the shortest failing script. */
export async function checkOne(pair: Pair, kind: fc.Arbitrary<readonly Step[]>, seed: number): Promise<number> {
  let length = 0;
  let until = Number.POSITIVE_INFINITY;
  const property = fc.asyncProperty(kind, async (steps) => {
    // The time is over: this program counts as good, so that fast-check reports the shortest failure so far.
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

/** A command that repeats the program: on any mount at `$MNT`, or as a test if the program needs the service. */
function scriptOf(steps: readonly Step[]): string {
  if (steps.some(([name]) => name === 'elsewhere' || name === 'during_upload'))
    return `POSIX_AGAIN='${JSON.stringify(steps)}' npx vitest run test/mount/posix -t 'NAME OF THIS TEST'`;
  const lines = steps.map((step) => JSON.stringify(step));
  return [`python3 test/mount/posix/compare.py "$MNT/again" "$(mktemp -d)/again" <<'END'`, ...lines, 'END'].join('\n');
}

/** The mount and the ordinary directory. */
export class Pair {
  readonly #world: World;
  readonly #limits: Limits;
  readonly others: Others;
  /** When the service's content is compared. */
  readonly #service: 'after each program' | 'at the end' | 'never';
  readonly #top: string;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;
  #number = 0;

  /**
   * `service`: when the service must hold the same names and contents as the ordinary directory; with write-back only at the end.
   * `top`: the folder of the ordinary directories.
   */
  constructor(
    world: World,
    provider: ProviderName,
    service: 'after each program' | 'at the end' | 'never',
    top = join(world.directory, 'local'),
  ) {
    this.#world = world;
    this.#limits = limitsOf[provider];
    this.others = new Others(world, provider, this.#limits, (name) => this.#local(name));
    this.#service = service;
    this.#top = top;
    this.#child = spawn('python3', [program], { stdio: ['pipe', 'pipe', 'inherit'], cwd: world.directory });
    if (this.#child.stdout === null) throw new Error('compare.py has no output');
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** Runs a program. Returns the difference, in the calls or at the service, or null. */
  async run(steps: readonly Step[]): Promise<string | null> {
    return this.runIn(`run-${this.#number++}`, steps);
  }

  /** The same in a named directory, which an earlier program may have left. */
  async runIn(name: string, steps: readonly Step[]): Promise<string | null> {
    const { mnt } = this.#world;
    const asked = { mount: join(mnt, name), local: this.#local(name), steps, lenient: this.#limits.lenient };
    const difference = await this.#differenceOf(name, asked);
    return difference === null && this.#service === 'after each program' ? this.#differenceAtService(name) : difference;
  }

  /** The difference of the trees of all programs on this mount. Waits up to `patience` ms until changes from elsewhere show. */
  async differenceOfTrees(patience: number): Promise<string | null> {
    const names = await readdir(this.#top);
    for (const until = Date.now() + patience; ; await new Promise((done) => setTimeout(done, LOOK_MS * 10))) {
      const differences: (string | null)[] = [];
      for (const name of names)
        differences.push(await this.#differenceOf(name, { trees: [join(this.#world.mnt, name), this.#local(name)] }));
      const [first = null] = differences.filter((difference) => difference !== null);
      if (first === null || Date.now() > until) return first;
    }
  }

  /** The difference at the service, of all programs. */
  async differenceThere(): Promise<string | null> {
    if (this.#service === 'never') return null;
    for (const name of await readdir(this.#top)) {
      const difference = await this.#differenceAtService(name);
      if (difference !== null) return `${name}, ${difference}`;
    }
    return null;
  }

  /** Sends a task to compare.py and returns the difference. Answers the requests of compare.py meanwhile. */
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

  /** Compares again after a remount with an empty cache: no run's result may have been in the mount's memory alone. */
  async compareAfterRemount(metadata: readonly string[]): Promise<void> {
    const world = this.#world;
    this.end();
    await world.umount();
    const difference = await this.differenceThere();
    if (difference !== null) throw new Error(`after the unmount, ${difference}`);
    await world.clearCache();
    await world.mount('--binding', 'kernel', ...metadata);
    // diff(1) reports any two sockets as different.
    const { code, stdout, stderr } = await world.sh(
      `cd "$TOP" && ! diff -r --no-dereference local mnt 2>&1 | grep -v 'is a socket while file .* is a socket$'`,
    );
    if (code !== 0) throw new Error(`after a remount with an empty cache: ${stdout}${stderr}`);
    await world.umount();
  }

  /** Compares on another machine with fresh state: kinds of files, modes, times, attributes, and names of one inode. */
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
        const { pending, failed } = this.#world.isMounted ? await this.#world.status() : { pending: [], failed: [] };
        return `at the service ${lines.join('; ')}; not stored: ${JSON.stringify([...pending, ...failed])}`;
      }
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  }

  /** The paths of a run that the service holds, with the MD5 of files. */
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
    return join(this.#top, name);
  }
}
