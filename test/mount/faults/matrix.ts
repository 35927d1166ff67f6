/**
 * Runs the cells of the fault matrix through a real mount. All places of a group meet the same fault at the same time,
 * each in its own directory. Then the fault ends, failed operations are repeated, and everything is compared.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import pLimit from 'p-limit';
import { askControl } from '../../../src/mount/control/control.js';
import { Registry } from '../../../src/mount/control/registry.js';
import type { MountStatus } from '../../../src/mount/control/status.js';
import type { AnySandboxOptions, Entry, FaultRule } from '../../../src/sandbox/index.js';
import { createServiceWorld, type World } from '../world.js';
import {
  batchesOf,
  type Cell,
  contents,
  isTemporary,
  nameOf,
  type Ran,
  type Verdict,
  wantedOf,
  withoutFolders,
  withoutTemporaries,
} from './cells.js';
import { Elsewhere } from './elsewhere.js';
import { type Operation, operation } from './operations.js';
import { type Performance, Performer, type Step } from './performer.js';
import type { Place, Service } from './place.js';
import { type ServiceName, services } from './services.js';

/** The deadline of a request with all its tries. A slow machine has time for a second try. A matrix mostly waits for deadlines. */
const DEADLINE_MS = 5000;
/** The deadline of a cell that runs again, because the machine may have been too slow for its requests. */
const LONG_DEADLINE_MS = 4 * DEADLINE_MS;
/**
 * The longest time of a call. After the deadline of the failed request come a last try that began in time (half a deadline), and a
 * look at its result (another half). The rest is for a slow or busy machine, because this limit finds only calls that hang.
 * `deadline.test.ts` tests that no call takes two deadlines.
 */
export const LONGEST_MS = 2 * DEADLINE_MS + 14_000;
/** The longest time in which failed content is stored once the faults are over. The test waits only as long as needed. */
const RECOVERY_MS = 60_000;
const POLL_MS = 50;
const ASK_AGAIN_MS = 1000;
/** The number of mounts that share the batches of one group. */
const MOUNTS = 2;
/** The mounts that start at the same time. Few, because starting programs takes all of the machine, and requests have deadlines. */
const STARTS = 2;

/** A directory for the mount's log and all requests of a cell with a wrong result. */
const evidence = process.env.FAULT_EVIDENCE;

/**
 * Runs all cells of a service. If the request that should fail was never sent, the cell says nothing. If a call failed that should
 * succeed, a busy machine may have let the deadline pass. Such cells run once more, by themselves, with a longer deadline.
 */
export async function runMatrix(service: ServiceName, filter?: (cell: Cell) => boolean): Promise<Ran[]> {
  const ran = await runCells(service, filter);
  const late = new Set(ran.filter(mayBeLate).map(({ cell }) => nameOf(cell)));
  if (late.size === 0) return ran;
  console.log(`${service}: run again with more time: ${[...late].join('; ')}`);
  const again = await runCells(service, (cell) => late.has(nameOf(cell)), LONG_DEADLINE_MS);
  return [...ran.filter(({ cell }) => !late.has(nameOf(cell))), ...again];
}

function mayBeLate({ verdict, wanted }: Ran): boolean {
  return !verdict.isFaultMet || (wanted.answer === 'ok' && verdict.answer === 'EIO');
}

/** Runs the groups at the same time, each in its own mounts. Nearly all of the time is waiting for deadlines. */
async function runCells(
  service: ServiceName,
  filter?: (cell: Cell) => boolean,
  deadlineMs = DEADLINE_MS,
): Promise<Ran[]> {
  const { groups } = services[service];
  const shares = groups.flatMap((group) => {
    const batches = batchesOf(services[service], group, filter);
    return Array.from({ length: MOUNTS }, (_, mount) => batches.filter((_, index) => index % MOUNTS === mount));
  });
  const limit = pLimit(STARTS);
  const opened = await Promise.allSettled(
    shares
      .filter((batches) => batches.length > 0)
      .map((batches) => limit(() => Bench.open(service, batches, deadlineMs))),
  );
  const isOpen = opened.every(({ status }) => status === 'fulfilled');
  const benches = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  // After a failure the other mounts still end, so that none is left.
  const ran = await Promise.allSettled(
    benches.map(async (bench) => {
      try {
        return isOpen ? await bench.runAll() : [];
      } finally {
        await limit(() => bench.close());
      }
    }),
  );
  return [...opened, ...ran].flatMap((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value instanceof Bench ? [] : one.value;
  });
}

/** A cell that is running. */
interface Trial {
  readonly cell: Cell;
  readonly operation: Operation;
  /** Below the account's root, and below the mountpoint. */
  readonly path: string;
  readonly steps: readonly Step[];
  ruleId: number;
}

/** `listed`: the errno in `status` of a content that was not stored. */
type Performed = Performance & { readonly listed: string | null };

/** The entries at the server and in the mount, by path. */
interface Seen {
  readonly server: Record<string, string>;
  readonly mount: Record<string, string>;
}

/** A world with its mount, for one group. */
class Bench {
  readonly #world: World;
  readonly #performer = new Performer();
  readonly #elsewhere: Elsewhere;
  readonly #socket: string;
  readonly #service: Service;
  readonly #batches: readonly Cell[][];

  private constructor(service: Service, batches: readonly Cell[][], world: World, elsewhere: Elsewhere) {
    this.#service = service;
    this.#batches = batches;
    this.#world = world;
    this.#elsewhere = elsewhere;
    this.#socket = new Registry({ state: join(world.directory, 'state') }).socketPath(world.mnt);
  }

  static async open(name: ServiceName, batches: readonly Cell[][], deadlineMs: number): Promise<Bench> {
    const service: Service = services[name];
    const world = await createServiceWorld({ provider: name, ...service.sandbox } as AnySandboxOptions);
    const local = join(world.directory, 'contents');
    await mkdir(local);
    for (const content of contents.names) await writeFile(join(local, content), contents.data(content));
    const bench = new Bench(service, batches, world, await Elsewhere.open());
    try {
      await bench.#begin(deadlineMs);
    } catch (error) {
      await bench.close();
      throw error;
    }
    return bench;
  }

  async #begin(deadlineMs: number): Promise<void> {
    const { sandbox } = this.#world;
    await sandbox.store.putFile('/first/x', 'x');
    // All directories are made now: the mount would see later ones only when the root's listing is stale.
    for (const [index, cells] of this.#batches.entries()) {
      await sandbox.store.putFile(`${batchPath(index)}/first/x`, 'x');
      if (this.#service.impliesFolders) for (const cell of cells) await this.#putThere(index, cell);
    }
    await this.#world.mount('--deadline', `${deadlineMs}ms`, '--cache-size', '300M', '--log-level', 'debug');
    await this.#warmUp();
  }

  async close(): Promise<void> {
    this.#performer.end();
    await this.#elsewhere.close();
    await this.#world.end();
  }

  /** Lets the mount learn facts about the server (its limit, its spelling of paths) before any fault. */
  async #warmUp(): Promise<void> {
    const at = join(this.#world.mnt, 'first');
    const write = (name: string, flags: 'wx' | 'w', content: string): Step => {
      const source = join(this.#world.directory, 'contents', content);
      return { act: 'write', path: join(at, name), flags, source };
    };
    const { errno } = await this.#performer.run(
      { act: 'list', path: at },
      write('large', 'wx', 'large'),
      write('long', 'wx', 'long'),
      write('small', 'wx', 'small'),
      write('small', 'w', 'other'),
      { act: 'unlink', path: join(at, 'small') },
    );
    if (errno !== null) throw new Error(`the first steps: ${errno}`);
  }

  async runAll(): Promise<Ran[]> {
    const ran: Ran[] = [];
    for (const [index, cells] of this.#batches.entries()) ran.push(...(await this.#run(index, cells)));
    return ran;
  }

  async #run(index: number, cells: readonly Cell[]): Promise<Ran[]> {
    const trials = await Promise.all(cells.map((cell) => this.#prepare(index, cell)));
    this.#arm(trials);
    const performances = await Promise.all(trials.map((trial) => this.#perform(trial)));
    const fired = trials.map(({ ruleId }) => this.#world.sandbox.faults.fired(ruleId) > 0);
    this.#world.sandbox.faults.clear();

    const between = await this.#look(trials);
    const again = await this.#recover(trials, performances);
    const after = await this.#look(trials);
    if (this.#world.sandbox.store.stat(batchPath(index)) !== undefined)
      this.#world.sandbox.store.remove(batchPath(index));
    const ran = trials.map((trial, n): Ran => {
      const performance = performances[n] as Performed;
      const verdict: Verdict = {
        answer: performance.errno ?? 'ok',
        isInTime: performance.ms <= LONGEST_MS,
        isFaultMet: trial.cell.place.isUnasked === true || fired[n] === true,
        returned: performance.errno === null ? performance.seen.at(-1) : null,
        server: withoutTemporaries(between[n]?.server ?? {}),
        mount: between[n]?.mount ?? {},
        listed: performance.listed,
        secondAnswer: again[n] ?? null,
        serverAfter: (trial.cell.expectation.isLie ? withoutTemporaries : same)(after[n]?.server ?? {}),
        mountAfter: after[n]?.mount ?? {},
      };
      const wanted = wantedOf(trial.cell, verdict.answer, this.#service.impliesFolders);
      const { isSettledLater, isUnnoticed } = trial.cell.expectation;
      const { server, mount } = isSettledLater || trial.cell.place.isSettledLater ? verdict : wanted;
      const { returned } = isUnnoticed ? verdict : wanted;
      // Entries that the service only claimed to have removed show again at the mount's next look.
      const { isLie, left = {} } = trial.cell.expectation;
      const shown = { ...wanted.mountAfter, ...(isLie ? wanted.serverAfter : contents.shown(left)) };
      const { mountAfter } = isDeepStrictEqual(shown, verdict.mountAfter) ? verdict : wanted;
      return {
        cell: trial.cell,
        wanted: { ...wanted, server, mount, returned, mountAfter },
        verdict,
        ms: performance.ms,
      };
    });
    if (evidence !== undefined) await this.#keepEvidence(evidence, ran);
    return ran;
  }

  async #keepEvidence(directory: string, ran: readonly Ran[]): Promise<void> {
    for (const one of ran.filter(({ verdict, wanted }) => !isDeepStrictEqual(verdict, wanted))) {
      const path = join(directory, `${nameOf(one.cell).replace(/[^a-z0-9]+/gi, '-')}-${process.pid}`);
      await mkdir(directory, { recursive: true });
      await writeFile(`${path}.json`, JSON.stringify({ ...one, requests: this.#world.sandbox.log.entries() }, null, 1));
      await writeFile(`${path}.log`, await this.#world.log());
    }
  }

  /** Makes the entries of the other client. */
  async #putThere(index: number, { place }: Cell): Promise<void> {
    const { store } = this.#world.sandbox;
    const path = pathOf(index, place);
    if (!this.#service.impliesFolders) store.makeFolder(path);
    for (const [name, what] of Object.entries(operation(place.operation).before)) {
      if (what !== 'folder') await store.putFile(`${path}/${name}`, contents.data(what));
      else if (!this.#service.impliesFolders) store.makeFolder(`${path}/${name}`);
    }
  }

  /** Lets the mount learn the listings that the operation takes as known. */
  async #prepare(index: number, cell: Cell): Promise<Trial> {
    const made = operation(cell.place.operation);
    const path = pathOf(index, cell.place);
    const at = join(this.#world.mnt, path);
    if (this.#service.impliesFolders) await this.#makeFolders(at, made);
    else await this.#putThere(index, cell);
    const known = made.known === undefined ? at : join(at, made.known, 'nothing');
    await this.#performer.run({ act: 'stat', path: known });
    const steps = made.steps(at, join(this.#world.directory, 'contents'));
    return { cell, operation: made, path, steps, ruleId: 0 };
  }

  /** Makes folders that no file implies, through the mount. */
  async #makeFolders(at: string, { before }: Operation): Promise<void> {
    const folders = Object.entries(before).filter(([, what]) => what === 'folder');
    for (const path of [at, ...folders.map(([name]) => join(at, name))]) {
      const { errno } = await this.#performer.run({ act: 'mkdir', path });
      if (errno !== null && errno !== 'EEXIST') throw new Error(`mkdir ${path}: ${errno}`);
    }
  }

  async #perform({ steps, path }: Trial): Promise<Performed> {
    const performance = await this.#performer.run(...steps);
    if (performance.errno === null) return { ...performance, listed: null };
    // Asked at once, because the mount soon tries again by itself.
    const { failed } = await this.#status();
    return { ...performance, listed: failed.find((upload) => upload.path.startsWith(`${path}/`))?.code ?? null };
  }

  #arm(trials: readonly Trial[]): void {
    const { faults: plan, store } = this.#world.sandbox;
    const known = store.tree().map(({ id }) => id);
    for (const trial of trials) {
      const { place, fault, strength } = trial.cell;
      const rule: FaultRule = {
        route: `^${place.route.replace(/[{}?]/g, '\\$&')}$`,
        ...(place.host === undefined ? {} : { host: place.host }),
        ...(place.of === undefined ? {} : { url: idPattern([this.#idOf(trial, place.of)]) }),
        ...(place.ofNew === true ? { url: `^(?!.*${idPattern(known)})` } : {}),
        ...(strength === 'once' ? { times: 1 } : {}),
        action: fault.action(place, this.#elsewhere.origin),
      };
      trial.ruleId = plan.add(rule);
    }
  }

  #idOf({ path }: Trial, name: string): string {
    const found = this.#world.sandbox.store.stat(name === '.' ? path : `${path}/${name}`);
    if (found === undefined) throw new Error(`${path} has no ${name}`);
    return found.id;
  }

  /** After the fault: stores kept content, waits until leftovers are tidied up, and repeats refused operations. */
  async #recover(trials: readonly Trial[], performances: readonly Performed[]): Promise<(string | null)[]> {
    const giveUpAt = performance.now() + RECOVERY_MS;
    let askedAt = Number.NEGATIVE_INFINITY;
    let left: MountStatus;
    for (;;) {
      // Repeated, because after a 429 without a time the mount sends no request for a while.
      if (performance.now() - askedAt > ASK_AGAIN_MS) {
        askedAt = performance.now();
        await askControl(this.#socket, 'retry-uploads');
      }
      left = await this.#status();
      const isRefused = left.failed.some(({ path }) => trials.some((trial) => path.startsWith(`${trial.path}/`)));
      const isDone = left.pending.length === 0 && !isRefused && trials.every((trial) => this.#isTidy(trial));
      if (isDone || performance.now() >= giveUpAt) break;
      await setTimeout(POLL_MS);
    }
    return Promise.all(
      trials.map(async (trial, n) => {
        if (performances[n]?.errno === null) return null;
        const stillThere = left.failed.find(({ path }) => path.startsWith(`${trial.path}/`));
        if (performances[n]?.listed !== null)
          return stillThere === undefined ? 'ok' : `${stillThere.code} ${stillThere.error}`;
        return (await this.#performer.run(...trial.steps)).errno ?? 'ok';
      }),
    );
  }

  #isTidy({ cell: { expectation, place }, path }: Trial): boolean {
    const { store } = this.#world.sandbox;
    if (expectation.isLie || store.stat(path) === undefined) return true;
    if (place.isSettledLater && store.stat(`${path}/${place.of}`) !== undefined) return false;
    return !store.list(path).some(({ name }) => isTemporary(name));
  }

  #look(trials: readonly Trial[]): Promise<Seen[]> {
    const entries = this.#world.sandbox.store.tree();
    return Promise.all(trials.map((trial) => this.#lookAt(trial, entries)));
  }

  async #lookAt({ path }: Trial, entries: readonly Entry[]): Promise<Seen> {
    const inside = entries.filter((entry) => entry.path.startsWith(`${path}/`));
    const server = inside.map((entry): [string, string] => [
      entry.path.slice(path.length + 1),
      entry.kind === 'folder' ? 'folder' : entry.status === 'incomplete' ? 'incomplete' : contents.known(entry.md5),
    ]);
    const step = { act: 'tree', path: join(this.#world.mnt, path) } as const;
    const giveUpAt = performance.now() + RECOVERY_MS;
    let { errno, seen } = await this.#performer.run(step);
    // After a 429 without a time, the mount sends no request for a while.
    while (errno !== null && performance.now() < giveUpAt) {
      await setTimeout(POLL_MS);
      ({ errno, seen } = await this.#performer.run(step));
    }
    const mount = errno === null ? (seen[0] as Record<string, string>) : { errno };
    const found = Object.fromEntries(server);
    return { server: this.#service.impliesFolders ? withoutFolders(found) : found, mount };
  }

  async #status(): Promise<MountStatus> {
    return (await askControl(this.#socket, 'status')) as MountStatus;
  }
}

function same<T>(value: T): T {
  return value;
}

function batchPath(index: number): string {
  return `/b${String(index).padStart(3, '0')}`;
}

/** Below the account's root, and below the mountpoint. */
function pathOf(index: number, { operation, request }: Place): string {
  return `${batchPath(index)}/${operation}-${request}`.replaceAll(' ', '_');
}

/** An id as a whole in a URL: a segment of its path, or a value of its query. */
function idPattern(ids: readonly string[]): string {
  const escaped = ids.map((id) => encodeURIComponent(id).replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return `[/=](?:${escaped.join('|')})(?:[/?&]|$)`;
}
