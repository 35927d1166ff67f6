/** What walks over an account with many entries cost the mount: CPU, memory, requests, and the longest time without a turn of its loop. */
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createWorld, type World } from '../mount/world.js';
import { type MadeAccount, type MadeAccountShape, startMadeAccount } from './made-account.js';

export interface Cost {
  readonly act: string;
  /** Seconds of CPU of the mount's process, and of its event loop. */
  readonly cpu: number;
  readonly loop: number;
  /** The most memory that it took meanwhile (VmHWM), MiB. */
  readonly mib: number;
  /** ms of CPU without a turn of the event loop. */
  readonly stall: number;
  readonly requests: number;
  /** Seconds by the clock. */
  readonly seconds: number;
}

/** USER_HZ of every Linux that we know: proc(5). */
const TICKS_PER_SECOND = 100;

/** How long the mount must have used no CPU before an act begins, ms. */
const QUIET_MS = 600;

export class Watched {
  readonly #world: World;
  readonly #requests: () => number;
  readonly #stallFile: string;
  #pid = 0;

  constructor(world: World, requests: () => number) {
    this.#world = world;
    this.#requests = requests;
    this.#stallFile = join(world.directory, 'stall');
    world.env.LOOP_WATCH_FILE = this.#stallFile;
    world.env.NODE_OPTIONS = `--require=${resolve('test/load/watch-loop.cjs')} ${process.env.MOUNT_NODE_OPTIONS ?? ''}`;
  }

  async mount(flags: readonly string[]): Promise<Cost> {
    const requests = this.#requests();
    const begun = performance.now();
    await this.#world.mount(...flags);
    const seconds = (performance.now() - begun) / 1000;
    this.#pid = (await this.#world.status()).pid;
    const [cpu, loop] = await this.#cpu();
    const [stall, mib] = [await this.#stall(), await this.#memory()];
    return { act: 'mount', cpu, loop, mib, stall, requests: this.#requests() - requests, seconds };
  }

  /** `until`: the act goes on until this is true. */
  async measure(act: string, script: string, until = async () => true): Promise<Cost> {
    await this.quiet();
    await this.#stall();
    // "To reset the peak resident set size": proc(5).
    await writeFile(`/proc/${this.#pid}/clear_refs`, '5');
    const [cpu, loop] = await this.#cpu();
    const requests = this.#requests();
    const begun = performance.now();
    await this.#world.out(script);
    while (!(await until()));
    const seconds = (performance.now() - begun) / 1000;
    const [cpuThen, loopThen] = await this.#cpu();
    return {
      act,
      cpu: cpuThen - cpu,
      loop: loopThen - loop,
      mib: await this.#memory(),
      stall: await this.#stall(),
      requests: this.#requests() - requests,
      seconds,
    };
  }

  /** Waits for the end of background work. */
  async quiet(): Promise<void> {
    for (let [before] = await this.#cpu(), calm = 0; calm < 2; ) {
      await sleep(QUIET_MS);
      const [now] = await this.#cpu();
      calm = now - before <= 0.05 ? calm + 1 : 0;
      before = now;
    }
  }

  /** Of all threads, and of the event loop's. */
  async #cpu(): Promise<[number, number]> {
    const of = async (path: string): Promise<number> => {
      const stat = await readFile(path, 'utf8');
      // utime and stime, counted from after the command's name, which may hold spaces.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    };
    return [await of(`/proc/${this.#pid}/stat`), await of(`/proc/${this.#pid}/task/${this.#pid}/stat`)];
  }

  async #memory(): Promise<number> {
    const status = await readFile(`/proc/${this.#pid}/status`, 'utf8');
    return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
  }

  async #stall(): Promise<number> {
    await rm(this.#stallFile, { force: true });
    process.kill(this.#pid, 'SIGUSR2');
    while (!existsSync(this.#stallFile)) await sleep(2);
    return Number(await readFile(this.#stallFile, 'utf8'));
  }
}

/** The same walks by fresh machines over an account that carries the modes of all its files, without and with this metadata. */
export async function metadataCosts(
  shape: MadeAccountShape,
  flags: readonly string[],
  report: (cost: Cost) => void,
): Promise<void> {
  await withMadeAccount({ ...shape, hasMetadata: true }, async (account) => {
    for (const metadata of ['local', 'account'])
      await onMachineOf(account, async (world, watched) => {
        const measure = async (act: string, script: string): Promise<void> =>
          report(await watched.measure(`${metadata}: ${act}`, script));
        report({ ...(await watched.mount([...flags, '--metadata', metadata])), act: `${metadata}: mount` });
        await measure('first ls', 'ls > /dev/null');
        await measure('ls -l of one', 'ls -l folder-000001 > /dev/null');
        const mode = metadata === 'account' ? '640' : '644';
        const all = shape.folders * shape.files;
        await measure('find, cold', `test "$(find . -type f -perm ${mode} | wc -l)" = ${all}`);
        await measure('ls -lR', 'ls -lR > /dev/null');
        await world.umount();
      });
  });
}

/** A fresh machine that is signed in to a made account, for as long as the work takes. Where that fails, the end of its log is told. */
export async function onMachineOf(
  account: MadeAccount,
  work: (world: World, watched: Watched) => Promise<void>,
): Promise<void> {
  const world = await createWorld();
  try {
    (world.sandbox as { endpoints: object }).endpoints = { api: account.url, upload: account.url };
    await world.signIn();
    await work(world, new Watched(world, account.requests));
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${(await world.log()).slice(-4000)}`);
  } finally {
    await world.end();
  }
}

/** A made account, for as long as the work takes. */
export async function withMadeAccount(
  shape: MadeAccountShape,
  work: (account: MadeAccount) => Promise<void>,
): Promise<void> {
  const account = await startMadeAccount(shape);
  try {
    await work(account);
  } finally {
    await account.close();
  }
}

/** Walks over an account of this shape. `report` gets each cost as it is known. */
export async function walkCosts(
  shape: MadeAccountShape,
  flags: readonly string[],
  report: (cost: Cost) => void,
): Promise<void> {
  await withMadeAccount(shape, (account) =>
    onMachineOf(account, async (world, watched) => {
      const count = `test "$(find . -type f | wc -l)" = ${shape.folders * shape.files}`;
      report(await watched.mount(flags));
      report(await watched.measure('find, cold', count));
      report(await watched.measure('find again', count));
      await world.umount();
      report({ ...(await watched.mount(flags)), act: 'mount again' });
      report(await watched.measure('its first ls', 'ls > /dev/null'));
      report(await watched.measure('find after the mount', count));
      report(await watched.measure('ls -lR', 'ls -lR > /dev/null'));
      const last = `folder-000000/file-${String(shape.files - 1).padStart(6, '0')}.txt`;
      report(await watched.measure('stat of one', `stat ${last} folder-000000/none > /dev/null 2>&1; true`));
      await watched.quiet();
      await world.umount();
    }),
  );
}
