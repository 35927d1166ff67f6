// @module-tag long
/**
 * The first crawl of a 5sync account, for which every operation waits. Each fault hits the first page, which `mount` itself
 * reads, or a later page, which the first listing reads. Each mount starts without any state.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isComplete, leaveOut } from '../../support/extent.js';
import { createServiceWorld, type World } from '../world.js';
import { Elsewhere } from './elsewhere.js';
import { LONGEST_MS } from './matrix.js';
import { type Performance, Performer } from './performer.js';
import { services } from './services.js';
import { type Exception, expectationOf, type Fault, faultsOf, type Strength, strengths, type Target } from './table.js';
import { turnOf } from './turns.js';

const DEADLINE_MS = 3000;
/** With metadata in the account, the mount itself would start the crawl, and meet the fault before a program does. */
const mountOptions = ['--deadline', `${DEADLINE_MS}ms`, '--metadata', 'local'];
/** After a 429 without a time, the mount sends no request for a while. */
const RECOVERY_MS = 60_000;
const POLL_MS = 50;
const ALL_MS = 1_800_000;
/** The worlds at the same time. Nearly all of the time is waiting. */
const WORLDS = 5;

/** Two pages. */
const files = Array.from({ length: 130 }, (_, i) => `d${i % 5}/f${i}`);
const folders = ['d0', 'd1', 'd2', 'd3', 'd4'];
const target: Target = { kind: 'query', bytes: 15_000 };
const exceptions: readonly Exception[] = [
  {
    fault: '400',
    strength: 'once',
    errnos: [],
    because: 'how pages are asked for is not documented: the next form is tried',
  },
  {
    fault: '404',
    errnos: ['ESTALE'],
    because: 'a directory that was opened and is gone must not look like an empty one',
  },
  { fault: '409', errnos: ['EIO'], because: 'a list takes no name that could be taken' },
];

interface Cell {
  readonly page: 1 | 2;
  readonly fault: Fault;
  readonly strength: Strength;
}

interface Verdict {
  readonly isFaultMet: boolean;
  /** `ok`, or the exit status and the number of lines that say why. */
  readonly mount: string;
  /** The answer of the first listing. */
  readonly answer: string;
  readonly seen: unknown;
  readonly isInTime: boolean;
  /** Files below the mountpoint once the fault is over. */
  readonly after: number;
}

const nameOf = ({ page, fault, strength }: Cell): string => `page ${page}: ${fault.name}, ${strength}`;
const errnosOf = ({ fault, strength }: Cell): readonly string[] =>
  expectationOf(target, fault, strength, exceptions)?.errnos ?? [];

const only = process.env.FAULT_CELLS;
const all: Cell[] = faultsOf(services['5sync'].wordings)
  .filter((fault) => expectationOf(target, fault, 'once') !== null)
  .flatMap((fault) => strengths.flatMap((strength) => ([1, 2] as const).map((page) => ({ page, fault, strength }))));
/** In the quick run each fault hits one page, once or always: the four combinations take turns. */
const isInTurn = ({ page, fault, strength }: Cell): boolean => {
  const combination = 2 * strengths.indexOf(strength) + page - 1;
  return turnOf(fault.name, 'once') % 4 === combination;
};
const cells = all.filter((cell) =>
  only === undefined ? isComplete || isInTurn(cell) : new RegExp(only).test(nameOf(cell)),
);
leaveOut(all.length - cells.length);

function wantedOf(cell: Cell, { answer }: Verdict): Verdict {
  const errnos = errnosOf(cell);
  const isDone = errnos.length === 0;
  const isMounted = isDone || cell.page === 2;
  return {
    isFaultMet: true,
    mount: isMounted ? 'ok' : '1, 1 line',
    answer: isDone || !isMounted ? 'ok' : errnos.includes(answer) ? answer : errnos.join(' or '),
    // All or nothing: a part of an account must not look like the whole.
    seen: isDone ? folders : null,
    isInTime: true,
    after: files.length,
  };
}

/** An account with a program that looks at its mounts, one after the other. */
class Account {
  readonly #world: World;
  readonly #elsewhere: Elsewhere;
  readonly #performer = new Performer();

  private constructor(world: World, elsewhere: Elsewhere) {
    this.#world = world;
    this.#elsewhere = elsewhere;
  }

  static async open(): Promise<Account> {
    const world = await createServiceWorld({ ...services['5sync'].sandbox });
    for (const path of files) await world.sandbox.store.putFile(`/${path}`, path);
    return new Account(world, await Elsewhere.open());
  }

  async close(): Promise<void> {
    this.#performer.end();
    await this.#elsewhere.close();
    await this.#world.end();
  }

  async run({ page, fault, strength }: Cell): Promise<Verdict> {
    const { faults } = this.#world.sandbox;
    const rule = faults.add({
      route: '^GET /files$',
      url: `[?&]page=${page}(&|$)`,
      ...(strength === 'once' ? { times: 1 } : {}),
      action: fault.action(target, this.#elsewhere.origin),
    });
    // If the first page fails, a person sees the message of the command.
    const mount = await (page === 1 ? this.#command() : this.#mount());
    const listed = mount === 'ok' ? await this.#list() : null;
    const isFaultMet = faults.fired(rule) > 0;
    faults.clear();

    const again = mount === 'ok' ? mount : await this.#mount();
    if (again !== 'ok') throw new Error(`it cannot be mounted afterwards: ${again}`);
    const giveUpAt = performance.now() + RECOVERY_MS;
    while ((await this.#list()).errno !== null && performance.now() < giveUpAt) await setTimeout(POLL_MS);
    const { errno, seen } = await this.#performer.run({ act: 'tree', path: this.#world.mnt });
    if (errno !== null) throw new Error(`it cannot be read afterwards: ${errno}`);
    await this.#forget();
    return {
      isFaultMet,
      mount,
      answer: listed?.errno ?? 'ok',
      seen: listed?.seen.at(-1) ?? null,
      isInTime: (listed?.ms ?? 0) <= LONGEST_MS,
      after: Object.keys(seen[0] as object).filter((path) => path.includes('/')).length,
    };
  }

  async #mount(): Promise<string> {
    return this.#world.mount(...mountOptions).then(() => 'ok', String);
  }

  async #command(): Promise<string> {
    const { code, stderr } = await this.#world.cli(['mount', 'work:', this.#world.mnt, ...mountOptions]);
    const lines = stderr.trimEnd().split('\n').length;
    return code === 0 ? 'ok' : `${code}, ${lines} line${lines === 1 ? '' : 's'}`;
  }

  #list(): Promise<Performance> {
    return this.#performer.run({ act: 'list', path: this.#world.mnt });
  }

  async #forget(): Promise<void> {
    await this.#world.umount();
    for (const kind of ['state', 'cache'])
      await rm(join(this.#world.directory, kind), { recursive: true, force: true });
  }
}

describe('faults at the first crawl of 5sync', () => {
  const ran = new Map<string, Verdict>();
  const accounts: Account[] = [];

  beforeAll(async () => {
    for (let i = 0; i < WORLDS; i++) accounts.push(await Account.open());
    const left = [...cells];
    await Promise.all(
      accounts.map(async (account) => {
        for (let cell = left.shift(); cell !== undefined; cell = left.shift())
          ran.set(nameOf(cell), await account.run(cell));
      }),
    );
  }, ALL_MS);
  afterAll(async () => {
    await Promise.allSettled(accounts.map((account) => account.close()));
  });

  it.each(cells.map((cell) => [nameOf(cell), cell] as const))('%s', (name, cell) => {
    const verdict = ran.get(name) as Verdict;
    expect(verdict).toEqual(wantedOf(cell, verdict));
  });
});
