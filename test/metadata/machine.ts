/** A machine with a metadata store over an account in memory, for tests of several machines and crashes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, expect } from 'vitest';
import { turn } from '../../src/base/event-loop-turns.js';
import type { Log } from '../../src/base/log.js';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import type { NewEntry } from '../../src/metadata/entry.js';
import { MetadataStore } from '../../src/metadata/store.js';
import { stateMigrations } from '../../src/tree/state-schema.js';
import { MemoryAccount } from '../support/memory-account.js';
import { defaultCapabilities, MemoryProvider } from '../support/memory-provider.js';
import { TestClock } from '../support/test-clock.js';

const directories: string[] = [];
const machines = new Set<Machine>();

/** Ends the machines of a file and removes their directories after each test. */
export function cleanUpMachines(): void {
  afterEach(async () => {
    for (const machine of machines) await machine.end();
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });
}

/** A machine with a state directory of its own; `restart` is a new process over the same. */
export class Machine {
  readonly clock = new TestClock();
  readonly messages: string[] = [];
  provider: MemoryProvider;
  store: MetadataStore;
  #state: StateDatabase;

  constructor(
    readonly account: MemoryAccount,
    readonly directory = mkdtempSync(join(tmpdir(), 'syncmount-test-')),
    readOnly = false,
  ) {
    directories.push(directory);
    machines.add(this);
    this.provider = new MemoryProvider({ clock: this.clock, account });
    this.#state = openDatabase(join(directory, 'state.db'), stateMigrations);
    const note = (_: object, message: string): void => void this.messages.push(message);
    const log: Log = { debug() {}, info: note, warn: note, error: note };
    this.store = new MetadataStore({
      sql: this.#state.sql,
      provider: this.provider,
      clock: this.clock,
      log,
      root: account.folder(account.rootId),
      readOnly,
      near: () => [],
    });
  }

  async end(): Promise<void> {
    if (!machines.delete(this)) return;
    await this.store.close();
    this.#state.close();
  }

  async restart(readOnly = false): Promise<Machine> {
    await this.end();
    return new Machine(this.account, this.directory, readOnly);
  }

  /** Looks at the root, and then at a folder, as a mount does. */
  async look(folder = 'd1'): Promise<Record<string, unknown>> {
    this.clock.advance(61_000);
    this.store.learnRoot(this.account.list(this.account.rootId));
    await this.store.prepare(folder, 'foreground');
    return this.shown(folder);
  }

  shown(folder = 'd1'): Record<string, unknown> {
    const shown = [...this.store.entriesOf(folder)].flatMap(([name, { entry }]) =>
      entry.gone ? [] : [[name, entry.mode ?? entry.target ?? entry.kind] as const],
    );
    return Object.fromEntries(shown.sort());
  }

  /** Waits until everything is written, however long the store waits for more. */
  async settled(): Promise<void> {
    await expect
      .poll(async () => {
        await turn();
        if (this.clock.sleepers > 0) this.clock.advance(30_000);
        return this.store.isIdle && this.store.status().pending;
      })
      .toBe(0);
  }

  /** The lines of all files of the store but their headers. */
  async lines(): Promise<Record<string, unknown>[]> {
    const files = Object.keys(this.account.tree()).map((path) => this.account.at(path)?.data ?? new Uint8Array());
    return files.flatMap((data) =>
      gunzipSync(data)
        .toString()
        .split('\n')
        .filter(Boolean)
        .slice(1)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    );
  }

  put(name: string, fields: Partial<NewEntry>, folder = 'd1'): void {
    this.store.put({ folder, name, kind: 'file', ...fields } as NewEntry);
  }
}

export const account = (): MemoryAccount => new MemoryAccount(new TestClock(), defaultCapabilities);
/** 30 entries with it are most of a pack. */
export const large = { 'user.large': Buffer.alloc(75_000).toString('base64') };
export const link = { kind: 'symlink', target: 'there' } as const;
