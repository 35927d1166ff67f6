/**
 * Runs the cells of the fault matrix through a real mount. All places of a group meet the same fault at the same time,
 * each in a directory of its own; then the fault ends, what failed is done again, and everything is looked at.
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { askControl } from '../../../src/mount/control.js';
import { Registry } from '../../../src/mount/registry.js';
import type { MountStatus } from '../../../src/mount/status.js';
import type { AnySandboxOptions, Entry, FaultRule } from '../../../src/sandbox/index.js';
import { noise } from '../../contract/bench.js';
import { createServiceWorld, type World } from '../world.js';
import { type ContentName, derived, type Operation, operation, SIMPLE_LIMIT, sizes, type Tree } from './operations.js';
import { type Performance, Performer, type Step } from './performer.js';
import { type Group, type Place, type ServiceName, services } from './services.js';
import { type Expectation, expectationOf, type Fault, faults, type Strength, strengths } from './table.js';

/** Of a request with all its tries. */
const DEADLINE_MS = 3000;
/**
 * Beyond the deadline of the request that fails: a last try that was begun in time (half a deadline), and looking what
 * became of it (another one). The machine may have others to serve.
 */
const LONGEST_MS = 2 * DEADLINE_MS + 4000;
/** What failed and is tried again without faults is stored by then. */
const RECOVERY_MS = 10_000;
const POLL_MS = 20;
/** The batches of one group are shared by so many. */
const MOUNTS = 2;

export interface Cell {
  readonly place: Place;
  readonly fault: Fault;
  readonly strength: Strength;
  readonly expectation: Expectation;
}

/** What a cell came to, as far as it matters: equal to `wantedOf(cell)` where all is well. */
export interface Verdict {
  readonly answer: string;
  readonly isInTime: boolean;
  readonly isFaultMet: boolean;
  readonly returned: unknown;
  /** Between the fault and the second try. */
  readonly server: Readonly<Record<string, string>>;
  readonly mount: Readonly<Record<string, string>>;
  /** The errno in `status` of a content that was not stored. */
  readonly listed: string | null;
  /** In the end. */
  readonly secondAnswer: string | null;
  readonly serverAfter: Readonly<Record<string, string>>;
  readonly mountAfter: Readonly<Record<string, string>>;
}

export interface Ran {
  readonly cell: Cell;
  readonly wanted: Verdict;
  readonly verdict: Verdict;
  readonly ms: number;
}

export function nameOf({ place, fault, strength }: Cell): string {
  const request = place.request === '' ? '' : ` (${place.request})`;
  return `${place.operation}${request}: ${fault.name}, ${strength}`;
}

/** Faults one after the other, each in both strengths, with the cells of a group that it can befall. */
export function batchesOf(group: Group, filter: (cell: Cell) => boolean = () => true): Cell[][] {
  return faults
    .flatMap((fault) =>
      strengths.map((strength) =>
        group.flatMap((place): Cell[] => {
          const expectation = expectationOf(place, fault, strength, place.exceptions);
          return expectation === null ? [] : [{ place, fault, strength, expectation }];
        }),
      ),
    )
    .map((cells) => cells.filter(filter))
    .filter((cells) => cells.length > 0);
}

/** All cells of a service; its groups in mounts of their own, at the same time. Nearly all of it is waiting for deadlines. */
export async function runMatrix(service: ServiceName, filter?: (cell: Cell) => boolean): Promise<Ran[]> {
  const shares = services[service].flatMap((group) => {
    const batches = batchesOf(group, filter);
    return Array.from({ length: MOUNTS }, (_, mount) => batches.filter((_, index) => index % MOUNTS === mount));
  });
  const ran = await Promise.all(shares.map((batches) => runBatches(service, batches)));
  return ran.flat();
}

async function runBatches(service: ServiceName, batches: readonly Cell[][]): Promise<Ran[]> {
  if (batches.length === 0) return [];
  const bench = await Bench.open(service, batches.length);
  try {
    const ran: Ran[] = [];
    for (const [index, cells] of batches.entries()) ran.push(...(await bench.run(index, cells)));
    return ran;
  } finally {
    await bench.close();
  }
}

const md5 = (data: Uint8Array): string => createHash('md5').update(data).digest('hex');

class Contents {
  readonly #data = new Map<string, Buffer>();
  readonly #md5 = new Map<string, string>();

  constructor() {
    for (const [index, [name, size]] of Object.entries(sizes).entries()) this.#data.set(name, noise(size, index + 1));
    const [first, second] = derived.both;
    this.#data.set('both', Buffer.concat([this.data(first), this.data(second)]));
    this.#data.set('cut', this.data(derived.cut[0]).subarray(0, derived.cut[1]));
    for (const [name, data] of this.#data) this.#md5.set(name, md5(data));
  }

  data(name: ContentName): Buffer {
    const found = this.#data.get(name);
    if (found === undefined) throw new Error(`no content ${name}`);
    return found;
  }

  /** The md5, or `damaged` where nothing that was ever written has it. */
  known(md5: string): string {
    return [...this.#md5.values()].includes(md5) ? md5 : 'damaged';
  }

  get names(): ContentName[] {
    return [...this.#data.keys()] as ContentName[];
  }

  /** As a listing of it shows: md5s of files. */
  shown(tree: Tree): Record<string, string> {
    return Object.fromEntries(
      Object.entries(tree).map(([path, what]) => [path, what === 'folder' ? 'folder' : (this.#md5.get(what) ?? '')]),
    );
  }
}

const contents = new Contents();

/** A cell on its way. */
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

/** What is there, by path. */
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

  private constructor(world: World, elsewhere: Elsewhere) {
    this.#world = world;
    this.#elsewhere = elsewhere;
    this.#socket = new Registry({ state: join(world.directory, 'state') }).socketPath(world.mnt);
  }

  static async open(service: ServiceName, batches: number): Promise<Bench> {
    const limits = service === '4shared' ? { simpleUploadLimit: SIMPLE_LIMIT } : {};
    const world = await createServiceWorld({ provider: service, ...limits } as AnySandboxOptions);
    const local = join(world.directory, 'contents');
    await mkdir(local);
    for (const name of contents.names) await writeFile(join(local, name), contents.data(name));
    // Directories that another client makes later would be seen only when the root's listing has grown old.
    for (let index = 0; index < batches; index++) await world.sandbox.store.putFile(`${batchPath(index)}/first/x`, 'x');
    await world.sandbox.store.putFile('/first/x', 'x');
    await world.mount('--deadline', `${DEADLINE_MS}ms`, '--cache-size', '300M', '--log-level', 'debug');
    const bench = new Bench(world, await Elsewhere.open());
    await bench.#warmUp();
    return bench;
  }

  async close(): Promise<void> {
    this.#performer.end();
    await this.#elsewhere.close();
    await this.#world.end();
  }

  /** What a mount learns once of a server (its limit, how it spells paths) is learnt before anything goes wrong. */
  async #warmUp(): Promise<void> {
    const { mnt, directory } = this.#world;
    const at = join(mnt, 'first');
    const { errno } = await this.#performer.run(
      { act: 'list', path: at },
      { act: 'write', path: join(at, 'large'), flags: 'wx', source: join(directory, 'contents', 'large') },
    );
    if (errno !== null) throw new Error(`the first upload: ${errno}`);
  }

  async run(index: number, cells: readonly Cell[]): Promise<Ran[]> {
    const trials = await Promise.all(cells.map((cell) => this.#prepare(index, cell)));
    this.#arm(trials);
    const performances = await Promise.all(trials.map((trial) => this.#perform(trial)));
    const fired = trials.map(({ ruleId }) => this.#world.sandbox.faults.fired(ruleId) > 0);
    this.#world.sandbox.faults.clear();

    const between = await this.#look(trials);
    const again = await this.#recover(trials, performances);
    const after = await this.#look(trials);
    this.#world.sandbox.store.remove(batchPath(index));
    return trials.map((trial, n) => {
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
      const wanted = wantedOf(trial.cell, verdict.answer);
      const { isSettledLater, isUnnoticed } = trial.cell.expectation;
      const { server, mount } = isSettledLater ? verdict : wanted;
      const { returned } = isUnnoticed ? verdict : wanted;
      return { cell: trial.cell, wanted: { ...wanted, server, mount, returned }, verdict, ms: performance.ms };
    });
  }

  /** Puts there what another client has put there, and lets the mount know of it what the operation takes for known. */
  async #prepare(index: number, cell: Cell): Promise<Trial> {
    const { store } = this.#world.sandbox;
    const made = operation(cell.place.operation);
    const path = `${batchPath(index)}/${cell.place.operation}-${cell.place.request}`.replaceAll(' ', '_');
    store.makeFolder(path);
    for (const [name, what] of Object.entries(made.before)) {
      if (what === 'folder') store.makeFolder(`${path}/${name}`);
      else await store.putFile(`${path}/${name}`, contents.data(what));
    }
    const at = join(this.#world.mnt, path);
    const known = made.known === undefined ? at : join(at, made.known, 'nothing');
    await this.#performer.run({ act: 'stat', path: known });
    const steps = made.steps(at, join(this.#world.directory, 'contents'));
    return { cell, operation: made, path, steps, ruleId: 0 };
  }

  async #perform({ steps, path }: Trial): Promise<Performed> {
    const performance = await this.#performer.run(...steps);
    if (performance.errno === null) return { ...performance, listed: null };
    // At once: before long the mount tries it again by itself.
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

  /** What was kept is stored now, and what was refused is done now. */
  async #recover(trials: readonly Trial[], performances: readonly Performed[]): Promise<(string | null)[]> {
    await askControl(this.#socket, 'retry-uploads');
    const giveUpAt = performance.now() + RECOVERY_MS;
    let left = await this.#status();
    const isTidy = (): boolean =>
      trials.every(({ cell, path }) => cell.expectation.isLie || !this.#hasTemporaries(path));
    while ((left.pending.length > 0 || !isTidy()) && performance.now() < giveUpAt) {
      await setTimeout(POLL_MS);
      left = await this.#status();
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

  #hasTemporaries(path: string): boolean {
    return this.#world.sandbox.store.list(path).some(({ name }) => name.startsWith('.syncmount-'));
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
    // After a 429 that told no time, the mount pauses for a while before it asks again.
    while (errno !== null && performance.now() < giveUpAt) ({ errno, seen } = await this.#performer.run(step));
    const mount = errno === null ? (seen[0] as Record<string, string>) : { errno };
    return { server: Object.fromEntries(server), mount };
  }

  async #status(): Promise<MountStatus> {
    return (await askControl(this.#socket, 'status')) as MountStatus;
  }
}

/** Another host, such as a captive portal redirects to: it answers everything with a page. */
class Elsewhere {
  readonly #server: Server;
  readonly origin: string;
  /** Requests that carried an Authorization header. */
  credentialsSeen = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => {
      if (request.headers.authorization !== undefined) this.credentialsSeen += 1;
      response.setHeader('content-type', 'text/html').end('<html>Somewhere else.</html>');
    });
  }

  static async open(): Promise<Elsewhere> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return new Elsewhere(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
    if (this.credentialsSeen > 0) throw new Error(`credentials reached another host ${this.credentialsSeen} times`);
  }
}

function same<T>(value: T): T {
  return value;
}

function batchPath(index: number): string {
  return `/b${String(index).padStart(3, '0')}`;
}

/** An id as a whole in a URL: a segment of its path, or a value of its query. */
function idPattern(ids: readonly string[]): string {
  const escaped = ids.map((id) => encodeURIComponent(id).replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return `[/=](?:${escaped.join('|')})(?:[/?&]|$)`;
}

/** Content on its way may have a name of ours at the server while it waits to be tried again. */
function withoutTemporaries(tree: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).filter(([path]) => !path.includes('.syncmount-')));
}

/** How a cell has to come out whose program was answered this; the answer itself must be one of those expected. */
function wantedOf({ place, expectation }: Cell, answer: string): Verdict {
  const { before, after, returns, reads, keeps } = operation(place.operation);
  const { errnos, isLie, isDamaged } = expectation;
  const isDone = errnos.length === 0;
  const isKept = !isDone && keeps === true;
  // The operation is done but for what the server only says to have lost.
  const liedAbout = place.isAfterwards ? after : before;
  const whole = reads === undefined ? undefined : contents.data(reads.content);
  const read = reads?.part === undefined ? whole : whole?.subarray(reads.part[0], reads.part[0] + reads.part[1]);
  return {
    answer: isDone ? 'ok' : errnos.includes(answer) ? answer : errnos.join(' or '),
    isInTime: true,
    isFaultMet: true,
    returned: isDone ? (read === undefined ? (returns ?? null) : md5(read)) : null,
    server: isDamaged ? { file: 'damaged' } : contents.shown(isLie ? liedAbout : isDone ? after : before),
    mount: contents.shown(isDone || isKept ? after : before),
    listed: isKept ? (errnos.includes(answer) ? answer : (errnos[0] ?? null)) : null,
    secondAnswer: isDone ? null : 'ok',
    serverAfter: contents.shown(isLie ? liedAbout : after),
    mountAfter: contents.shown(after),
  };
}
