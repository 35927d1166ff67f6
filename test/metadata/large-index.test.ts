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
  storeFile(made, 'index', { pack: 0, packs: { 1: folders } }, []);
  storePack(made, [{ folder: 'd1', name: 'x', kind: 'file', clock: [1, 0], mode: '0640' }]);
}

function storePack(made: Machine, entries: readonly object[]): void {
  storeFile(made, '1', { pack: 1 }, entries);
}

function storeFile(made: Machine, name: string, header: object, lines: readonly object[]): void {
  const all = [{ format: 'syncmount-metadata', version: 1, machine, ...header }, ...lines];
  const text = all.map((line) => `${JSON.stringify(line)}\n`).join('');
  made.account.put(`.syncmount/${machine}.${name}.jsonl.gz`, gzipSync(text));
}

/** The class of all prepared statements. */
function statementClass(): { run: (...values: unknown[]) => unknown; get: (...values: unknown[]) => unknown } {
  const state = openDatabase(':memory:', []);
  const statements = Object.getPrototypeOf(state.sql.prepare('SELECT 1')) as ReturnType<typeof statementClass>;
  state.close();
  return statements;
}

/** The statements that ran while `act` went on, but for those that read many rows. */
async function statementsOf(act: () => Promise<unknown>): Promise<number> {
  const statements = statementClass();
  const spies = [vi.spyOn(statements, 'run'), vi.spyOn(statements, 'get')];
  await act();
  return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
}

/** The most statements that changed something between two turns of the event loop, while `act` went on. */
async function mostChangesInATurn(act: () => Promise<unknown>): Promise<number> {
  const run = vi.spyOn(statementClass(), 'run');
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

it('costs a statement for many entries, not one for each', async () => {
  const a = await accountWith(['d1']);
  const entries = Array.from({ length: 2000 }, (_, at) => ({ folder: 'd1', name: `file ${at}`, id: `id${at}` }));
  storePack(
    a,
    entries.map((entry) => ({ ...entry, kind: 'file', clock: [2, 0], mode: '0640' })),
  );
  const b = new Machine(a.account);
  expect(await statementsOf(() => b.look())).toBeLessThan(200);
  expect(Object.keys(b.shown())).toHaveLength(2000);
});
