/** An index of another machine that lists very many folders does not keep the event loop from everything else. */
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it, vi } from 'vitest';
import { entriesPerTurn } from '../../src/base/event-loop-turns.js';
import { openDatabase } from '../../src/base/sqlite.js';
import { account, cleanUpMachines, Machine } from './machine.js';

cleanUpMachines();
afterEach(() => vi.restoreAllMocks());

const machine = '00c0ffee00c0ffee';

/** Stores the index of `machine`, and a pack whose entries are in d1. */
async function accountWith(folders: readonly string[]): Promise<Machine> {
  const made = new Machine(account());
  made.put('own', { mode: '0600' }, 'another folder');
  await made.store.flush();
  store(made, folders);
  return made;
}

function store(made: Machine, folders: readonly string[]): void {
  const file = (name: string, header: object, lines: readonly object[]): void => {
    const all = [{ format: 'syncmount-metadata', version: 1, machine, ...header }, ...lines];
    made.account.put(
      `.syncmount/${machine}.${name}.jsonl.gz`,
      gzipSync(all.map((line) => `${JSON.stringify(line)}\n`).join('')),
    );
  };
  file('index', { pack: 0, packs: { 1: folders } }, []);
  file('1', { pack: 1 }, [{ folder: 'd1', name: 'x', kind: 'file', clock: [1, 0], mode: '0640' }]);
}

/** The most statements that changed something between two turns of the event loop, while `act` went on. */
async function mostChangesInATurn(act: () => Promise<unknown>): Promise<number> {
  const state = openDatabase(':memory:', []);
  const statements = Object.getPrototypeOf(state.sql.prepare('SELECT 1')) as { run: (...values: unknown[]) => unknown };
  state.close();
  const run = vi.spyOn(statements, 'run');
  let most = 0;
  let isOver = false;
  const look = (): void => {
    most = Math.max(most, run.mock.calls.length);
    run.mockClear();
    if (!isOver) setImmediate(look);
  };
  look();
  await act();
  isOver = true;
  look();
  return most;
}

it('is taken in turns, and so is one that replaces it', async () => {
  const many = Array.from({ length: 20_000 }, (_, at) => `folder ${at}`);
  const a = await accountWith(['d1', ...many]);
  const b = new Machine(a.account);
  // The entries' own statements come in the same turns.
  const bound = 2 * entriesPerTurn;
  expect(await mostChangesInATurn(() => b.look())).toBeLessThan(bound);
  expect(b.shown()).toEqual({ x: '0640' });
  store(a, ['d1', ...many.slice(19_990)]);
  expect(await mostChangesInATurn(() => b.look())).toBeLessThan(bound);
  expect(b.shown()).toEqual({ x: '0640' });
  // Neither a folder that the index does not list any more, nor one whose pack is known, costs a request.
  b.provider.counts();
  await b.store.prepare('folder 7', 'foreground');
  await b.store.prepare('folder 19995', 'foreground');
  expect(b.provider.counts()).toEqual({});
});

it('shows no entry of a folder that it does not list any more', async () => {
  const a = await accountWith(['d1', 'd2']);
  const b = new Machine(a.account);
  expect(await b.look()).toEqual({ x: '0640' });
  store(a, ['d2']);
  expect(await b.look()).toEqual({});
});
