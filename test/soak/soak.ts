/**
 * The kill test. In each round random work runs on a real mount, which is killed with SIGKILL, mounted again and compared with a
 * model. At the end of each world everything is drained, and the service must hold exactly the model.
 *
 * Half of the kills come from outside at random moments, the others from `base/kill-switch.ts`, between two writes to
 * the state database.
 */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { askControl } from '../../src/mount/control/control.js';
import { Registry } from '../../src/mount/control/registry.js';
import type { MountStatus } from '../../src/mount/control/status.js';
import { randomNumbers } from '../../src/sandbox/faults.js';
import type { ProviderName } from '../../src/sandbox/index.js';
import { createServiceWorld, joinWorld, type World } from '../mount/world.js';
import { Actor, WrongContent } from './actor.js';
import { FileWorker } from './file-worker.js';
import { compare, describeSeen, describeTree, filesOf, isCertain, md5Of, otherNames, type Tree } from './model.js';
import { abilitiesOf, carried, sandboxOptions } from './services.js';
import { end, inTime, isGone, Mismatch, PATIENCE, pause } from './waiting.js';

export interface SoakOptions {
  readonly provider: ProviderName;
  readonly rounds: number;
  readonly seed: number;
  /** Told one line for each round. */
  readonly report: (line: string) => void;
}

export interface SoakResult {
  rounds: number;
  operations: number;
  outsideKills: number;
  /** By the switch, in the midst of work. */
  journalKills: number;
  /** By the switch, before the mount was ready or while it was looked at. */
  recoveryKills: number;
  /** Mounts whose process did not end by SIGKILL alone. */
  stuck: number;
}

export class SoakFailure extends Error {}

/** Actors that work at the same time, each in its own directory, so that their models are independent. */
const ACTORS = ['a', 'b', 'c'];
/** Rounds between two drains and comparisons with the service. */
const ROUNDS_PER_WORLD = 15;
/** Work under a switch that never fires is killed from outside after so many operations. */
const MOST_OPERATIONS = 80;

const run = promisify(execFile);

/** A directory for all requests and the state directory where something went wrong. */
const evidence = process.env.SOAK_EVIDENCE;

export async function soak({ provider, rounds, seed, report }: SoakOptions): Promise<SoakResult> {
  const result: SoakResult = {
    rounds: 0,
    operations: 0,
    outsideKills: 0,
    journalKills: 0,
    recoveryKills: 0,
    stuck: 0,
  };
  for (let number = 0; result.rounds < rounds; number++) {
    const random = randomNumbers(seed + number * 7919);
    const world = await createServiceWorld(sandboxOptions(provider, random));
    const one = new SoakWorld(world, provider, random, result);
    try {
      await one.begin();
      const last = Math.min(rounds, result.rounds + ROUNDS_PER_WORLD);
      while (result.rounds < last) {
        const line = await one.round();
        result.rounds++;
        report(`round ${result.rounds} of ${rounds}: ${line}`);
      }
      await one.finish();
    } catch (error) {
      throw new SoakFailure(`round ${result.rounds + 1}: ${await one.explain(error)}`, { cause: error });
    } finally {
      await one.end();
    }
  }
  return result;
}

type Kill =
  | { readonly by: 'switch'; readonly at: string }
  | { readonly by: 'outside'; readonly operations: number; readonly delay: number };

class SoakWorld {
  readonly #world: World;
  readonly #provider: ProviderName;
  readonly #random: () => number;
  readonly #result: SoakResult;
  readonly #worker = new FileWorker();
  readonly #actors: readonly Actor[];
  readonly #registry: Registry;

  constructor(world: World, provider: ProviderName, random: () => number, result: SoakResult) {
    this.#world = world;
    this.#provider = provider;
    this.#random = random;
    this.#result = result;
    this.#registry = new Registry({ state: join(world.directory, 'state') });
    const abilities = abilitiesOf[provider];
    this.#actors = ACTORS.map(
      (name, n) =>
        new Actor(name, world.mnt, this.#worker, randomNumbers(Math.floor(random() * 2 ** 32) + n), abilities),
    );
  }

  async begin(): Promise<void> {
    await this.#mount([]);
    // A folder that only its files imply would go with the last of them.
    for (const { top } of this.#actors) {
      await this.#worker.mkdir(top);
      const fd = await this.#worker.open(join(top, 'keep'), 'wx');
      await this.#worker.write(fd, Buffer.from('kept'), 0);
      await this.#worker.close(fd);
    }
    await this.#world.umount();
  }

  /** Mount, compare, work, kill. Answers what happened, for people. */
  async round(): Promise<string> {
    const kill = this.#plan();
    const flags = this.#random() < 0.5 ? ['--write-back'] : [];
    const mode = flags.length > 0 ? 'write-back' : 'close waits';
    if (kill.by === 'switch') this.#world.env.SYNCMOUNT_TEST_KILL_AT = kill.at;
    const pid = await this.#mount(flags).finally(() => delete this.#world.env.SYNCMOUNT_TEST_KILL_AT);
    if (pid === null) {
      this.#result.recoveryKills++;
      return `${mode}, killed at write ${kill.by === 'switch' ? kill.at : '?'} before it was ready`;
    }
    if (!(await this.#unlessKilled(pid, () => this.#check()))) {
      await this.#bury(pid);
      this.#result.recoveryKills++;
      return `${mode}, killed at write ${kill.by === 'switch' ? kill.at : '?'} while it was compared`;
    }
    const before = this.#operations();
    const cause = await this.#work(pid, kill);
    const operations = this.#operations() - before;
    this.#result.operations += operations;
    return `${mode}, ${operations} operations, killed ${cause}`;
  }

  /** Everything uploaded and unmounted: the service holds the model and nothing else. */
  async finish(): Promise<void> {
    await this.#mount([]);
    await this.#check();
    for (const actor of this.#actors) await actor.closeAll();
    const { code, stderr } = await inTime(this.#world.cli(['umount', this.#world.mnt]), 'umount');
    if (code !== 0) throw new Error(`umount ended with ${code}: ${stderr}`);
    this.#compareWithService();
    this.#inspectSpool();
    await this.#compareOnAnotherMachine();
  }

  async end(): Promise<void> {
    this.#worker.end();
    // A failure leaves it mounted; there is nothing to be saved of it.
    const pid = this.#registry.find(this.#world.mnt)?.pid;
    if (pid !== undefined) end(pid);
    await run('umount', ['-f', '-l', this.#world.mnt]).catch(() => undefined);
    await this.#world.end();
  }

  async explain(error: unknown): Promise<string> {
    const log = (await this.#world.log()).trim().split('\n').slice(-25);
    const requests = this.#world.sandbox.log.entries().slice(-30);
    if (evidence !== undefined) {
      await mkdir(evidence, { recursive: true });
      await writeFile(join(evidence, 'requests.json'), JSON.stringify(this.#world.sandbox.log.entries(), null, 1));
      await cp(join(this.#world.directory, 'state', 'accounts'), join(evidence, 'accounts'), { recursive: true });
    }
    return [
      error instanceof Error ? (error.stack ?? error.message) : String(error),
      ...this.#actors.map(({ name, steps }) => `--- ${name}\n${steps.join('\n')}`),
      ...['--- log of the mount', ...log],
      ...['--- last requests', ...requests.map(({ n, route, status }) => `${n} ${route} ${status}`)],
    ].join('\n');
  }

  #plan(): Kill {
    if (this.#random() < 0.5) {
      const write = 1 + Math.floor(this.#random() ** 2 * 300);
      return { by: 'switch', at: `${write}${this.#random() < 0.5 ? '+' : ''}` };
    }
    return { by: 'outside', operations: Math.floor(this.#random() * 40), delay: Math.floor(this.#random() * 30) };
  }

  /** Returns the process of the mount, or null if its kill switch fired before it was ready. */
  async #mount(flags: readonly string[]): Promise<number | null> {
    const { mnt } = this.#world;
    const isSwitched = this.#world.env.SYNCMOUNT_TEST_KILL_AT !== undefined;
    const { code, stderr } = await inTime(this.#world.cli(['mount', 'work:', mnt, ...carried, ...flags]), 'mount');
    if (code === 0) {
      const pid = this.#registry.find(mnt)?.pid;
      if (pid === undefined) throw new Error('the mount is in no registry');
      return pid;
    }
    if (isSwitched && stderr.includes('SIGKILL')) return null;
    throw new Error(`mount ended with ${code}: ${stderr}`);
  }

  /** False: the mount died on the way. */
  async #unlessKilled(pid: number, act: () => Promise<void>): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (error) {
      if (error instanceof WrongContent || error instanceof Mismatch || !(await isGone(pid))) throw error;
      return false;
    }
  }

  /** Each directory is one of those that it may be; what failed is only what nobody was promised, and is tried again. */
  async #check(): Promise<void> {
    const found: Tree[] = [];
    for (const actor of this.#actors) found.push(await this.#checkOne(actor));
    const { failed } = (await this.#ask('status')) as MountStatus;
    for (const { path, error } of failed) this.#requireDoubt(path, error ?? '');
    if (failed.length > 0) await this.#ask('retry-uploads');
    this.#actors.forEach((actor, n) => {
      actor.settle(found[n] ?? new Map());
    });
  }

  async #checkOne(actor: Actor): Promise<Tree> {
    const all = await inTime(this.#worker.tree(actor.top), 'reading everything');
    const seen = all.filter(({ path }) => path !== 'keep');
    const read = (path: string): Promise<Buffer> => this.#worker.read(join(actor.top, path));
    const impliedDirectories = this.#provider === '5sync';
    const problems: string[] = [];
    const trees = actor.possible ?? [actor.tree];
    for (const tree of trees) {
      const compared = await compare(tree, { seen, read, impliedDirectories });
      if ('tree' in compared) return compared.tree;
      problems.push(compared.problem);
    }
    throw new Mismatch(
      [
        `${actor.name} is none of what it may be: ${problems.join('; or ')}`,
        `found:\n${describeSeen(seen)}`,
        ...trees.map((tree) => `possible:\n${describeTree(tree)}`),
      ].join('\n'),
    );
  }

  /** An upload may be listed as failed where the mount died while the file was being written. */
  #requireDoubt(path: string, error: string): void {
    const [, name, rest = ''] = path.split('/').length > 2 ? (/^\/([^/]+)\/(.*)$/.exec(path) ?? []) : [];
    const actor = this.#actors.find((one) => one.name === name);
    const nodes = actor === undefined ? [] : (actor.possible ?? [actor.tree]).map((tree) => tree.get(rest));
    const isInDoubt = nodes.some((node) => node?.kind === 'file' && !isCertain(node));
    if (!isInDoubt) throw new Mismatch(`${path} was accepted, and is listed as failed: ${error}`);
  }

  async #work(pid: number, kill: Kill): Promise<string> {
    const start = this.#operations();
    const limit = start + (kill.by === 'outside' ? kill.operations : MOST_OPERATIONS);
    let isKilled = false;
    const killNow = (): void => {
      if (isKilled) return;
      isKilled = true;
      setTimeout(() => end(pid), kill.by === 'outside' ? kill.delay : 0);
    };
    const working = this.#actors.map(async (actor) => {
      for (;;) {
        if (this.#operations() >= limit) killNow();
        await actor.step();
      }
    });
    const outcomes = Promise.allSettled(working);
    const ended = await Promise.race([outcomes, this.#hung(outcomes)]);
    if (ended === null) await this.#unstick(pid);
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected' && outcome.reason instanceof WrongContent) throw outcome.reason;
    }
    if (!(await isGone(pid))) {
      const [first] = await outcomes;
      throw new Error('a call failed, and the mount is alive', { cause: first?.status === 'rejected' && first.reason });
    }
    await this.#bury(pid);
    if (isKilled || kill.by === 'outside') this.#result.outsideKills++;
    else this.#result.journalKills++;
    return isKilled || kill.by === 'outside' ? 'from outside' : `at write ${kill.at}`;
  }

  /** Null once the work has not ended for far too long. */
  async #hung(outcomes: Promise<unknown>): Promise<null> {
    for (let before = -1, now = this.#operations(); before !== now; ) {
      before = now;
      await Promise.race([outcomes, pause(PATIENCE)]);
      now = this.#operations();
    }
    return null;
  }

  /** A call does not return. Its mount being dead, that is counted; otherwise it is a failure. */
  async #unstick(pid: number): Promise<void> {
    const isDead = await isGone(pid);
    await run('umount', ['-f', this.#world.mnt]).catch(() => undefined);
    if (!isDead) throw new Error('a call does not return, and the mount is alive');
    this.#result.stuck++;
  }

  async #bury(pid: number): Promise<void> {
    for (const actor of this.#actors) await inTime(actor.forget(), 'closing what was open on a dead mount');
    if (!(await isGone(pid))) throw new Error('the mount survived SIGKILL');
  }

  #compareWithService(): void {
    const { store } = this.#world.sandbox;
    const md5s = store.md5s();
    const expected = new Map<string, string>();
    for (const { name, tree } of this.#actors) {
      expected.set(`/${name}/keep`, md5Of(Buffer.from('kept')));
      for (const [path, node] of filesOf(tree)) {
        // The service has a file under one of its names: which one is ours to choose.
        const holder = [path, ...otherNames(tree, path)].sort().find((one) => md5s.has(`/${name}/${one}`)) ?? path;
        expected.set(`/${name}/${holder}`, md5Of(node.versions[0] ?? Buffer.alloc(0)));
      }
    }
    const isOfStore = (path: string): boolean => path === '/.syncmount' || path.startsWith('/.syncmount/');
    const actual = new Map([...md5s].filter(([path]) => !isOfStore(path)));
    const wrong = [...new Set([...expected.keys(), ...actual.keys()])].filter(
      (path) => expected.get(path) !== actual.get(path),
    );
    if (wrong.length > 0) {
      const lines = wrong.map(
        (path) => `${path}: ${actual.get(path) ?? 'absent'}, not ${expected.get(path) ?? 'absent'}`,
      );
      throw new Mismatch(`the service holds something else:\n${lines.join('\n')}`);
    }
    const all = store.tree().filter(({ path }) => !isOfStore(path));
    const left = all.filter(({ name, status }) => name.includes('.syncmount') || status !== 'normal');
    if (left.length > 0) throw new Mismatch(`left at the service: ${left.map(({ path }) => path).join(', ')}`);
    if (new Set(all.map(({ path }) => path)).size !== all.length) throw new Mismatch('the service holds a name twice');
    if (this.#provider === '5sync') return;
    const folders = all.flatMap(({ kind, path }) => (kind === 'folder' ? [path] : []));
    const meant = this.#actors.flatMap(({ name, tree }) => [
      `/${name}`,
      ...[...tree].flatMap(([path, node]) => (node.kind === 'directory' ? [`/${name}/${path}`] : [])),
    ]);
    const odd = [
      ...folders.filter((path) => !meant.includes(path)),
      ...meant.filter((path) => !folders.includes(path)),
    ];
    if (odd.length > 0) throw new Mismatch(`folders here or there alone: ${odd.join(', ')}`);
  }

  /** A machine of fresh state shows the same, links among them. */
  async #compareOnAnotherMachine(): Promise<void> {
    const other = await joinWorld(this.#world);
    const worker = new FileWorker();
    try {
      await inTime(other.mount(...carried), 'mount on another machine');
      for (const { name, top, tree } of this.#actors) {
        const at = join(other.mnt, name);
        const all = await inTime(worker.tree(at), 'reading everything on another machine');
        const compared = await compare(tree, {
          seen: all.filter(({ path }) => path !== 'keep'),
          read: (path) => worker.read(join(at, path)),
          impliedDirectories: false,
        });
        if ('problem' in compared) throw new Mismatch(`on another machine, ${top}: ${compared.problem}`);
      }
      await other.umount();
    } finally {
      worker.end();
      await rm(other.directory, { recursive: true, force: true });
    }
  }

  /** Checks that a drained account has an empty spool, and that no content ever lost its row. */
  #inspectSpool(): void {
    const accounts = join(this.#world.directory, 'state', 'accounts');
    for (const account of readdirSync(accounts)) {
      const left = readdirSync(join(accounts, account, 'spool'), { recursive: true, encoding: 'utf8' });
      if (left.length > 0) throw new Mismatch(`left in the spool: ${left.join(', ')}`);
    }
  }

  #ask(command: 'status' | 'retry-uploads'): Promise<unknown> {
    return inTime(askControl(this.#registry.socketPath(this.#world.mnt), command), command);
  }

  #operations(): number {
    return this.#actors.reduce((sum, { operations }) => sum + operations, 0);
  }
}
