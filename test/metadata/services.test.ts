/** The store on every service, over real HTTP: two machines, removals, a crash, a folder that another client has removed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.js';
import { silentLog } from '../../src/base/log.js';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import type { NewEntry } from '../../src/metadata/entry.js';
import { MetadataStore } from '../../src/metadata/store.js';
import type { Provider, RemoteFolder } from '../../src/providers/provider.js';
import { stateMigrations } from '../../src/tree/state-schema.js';
import { acronisSetup } from '../contract/acronis-setup.js';
import type { ContractServer } from '../contract/bench.js';
import { fiveSyncSetup } from '../contract/fivesync-setup.js';
import { fourSharedSetup } from '../contract/fourshared-setup.js';

interface Machine {
  readonly store: MetadataStore;
  readonly provider: Provider;
  /** Looks at the root, and then at folder `d`, as a mount does. */
  look(): Promise<Record<string, unknown>>;
  put(name: string, fields: Partial<NewEntry>): void;
  end(): Promise<void>;
}

describe.each([fourSharedSetup('4shared'), fourSharedSetup('4sync'), fiveSyncSetup(), acronisSetup()])(
  'the store on $provider',
  (setup) => {
    let server: ContractServer;
    let machines: Machine[] = [];
    let directory: string;
    beforeAll(async () => {
      server = await setup.open();
    });
    afterAll(() => server.close());
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    });
    afterEach(async () => {
      for (const machine of machines) await machine.end();
      machines = [];
      await server.reset();
      for (const { path } of server.store.list('/')) server.store.remove(path);
      rmSync(directory, { recursive: true, force: true });
    });

    async function machine(name: string): Promise<Machine> {
      const provider = server.connect();
      const { root } = await provider.account();
      const state: StateDatabase = openDatabase(join(directory, `${name}.db`), stateMigrations);
      let ahead = 0;
      const clock: Clock = {
        now: () => Date.now() + ahead,
        sleep: (ms, signal) => server.clock.sleep(ms, signal),
      };
      const settings = { sql: state.sql, provider, clock, log: silentLog, root, readOnly: false, near: () => [] };
      const store = new MetadataStore(settings);
      let isOpen = true;
      const made: Machine = {
        store,
        provider,
        async look() {
          // Longer than a list of the store's files counts as current, ms.
          ahead += 61_000;
          // Longer than a change feed is not asked, and short enough that it does not skip what others did meanwhile, ms.
          server.clock.jump(61_000);
          store.learnRoot(await provider.list(root as RemoteFolder));
          await store.prepare('d', 'foreground');
          const entries = [...store.entriesOf('d').values()].filter(({ entry }) => entry.gone !== true);
          return Object.fromEntries(entries.map(({ entry }) => [entry.name, entry.mode ?? entry.target]).sort());
        },
        put: (entry, fields) => void store.put({ folder: 'd', name: entry, kind: 'file', ...fields } as NewEntry),
        async end() {
          if (!isOpen) return;
          isOpen = false;
          await store.close();
          state.close();
        },
      };
      machines.push(made);
      return made;
    }

    it('carries entries and removals from one machine to another, one request a file', async () => {
      const [a, b] = [await machine('a'), await machine('b')];
      await a.look();
      await b.look();
      a.put('x', { mode: '0600' });
      a.put('l', { kind: 'symlink', target: 'there' });
      await a.store.flush();
      // A change feed may tell of it only by its second look.
      await expect.poll(() => b.look(), { timeout: 10_000 }).toEqual({ l: 'there', x: '0600' });
      b.store.remove('d', 'l');
      b.put('x', { mode: '0640' });
      await b.store.flush();
      await expect.poll(() => a.look(), { timeout: 10_000 }).toEqual({ x: '0640' });
      await a.look();
      server.forget();
      a.put('x', { mode: '0644' });
      await a.store.flush();
      const acts = server.requests().filter(({ operation }) => !setup.lookups?.includes(operation ?? 'account'));
      expect(acts.map(({ operation }) => operation)).toHaveLength(1);
      await expect.poll(() => b.look(), { timeout: 10_000 }).toEqual({ x: '0644' });
      expect(server.violations()).toEqual([]);
    });

    it('has what two machines write at once', async () => {
      const [a, b] = [await machine('a'), await machine('b')];
      await a.look();
      await b.look();
      for (let n = 0; n < 20; n++) {
        a.put(`a${n}`, { mode: '0600' });
        b.put(`b${n}`, { mode: '0640' });
        await Promise.all([a.store.flush(), b.store.flush()]);
      }
      const seen = await (await machine('c')).look();
      expect(Object.keys(seen)).toHaveLength(40);
      for (const each of [a, b]) await expect.poll(() => each.look(), { timeout: 10_000 }).toEqual(seen);
    });

    it('goes on after a process that died in an upload, whose answer never came', async () => {
      const a = await machine('a');
      await a.look();
      a.put('x', { mode: '0600' });
      server.fault('upload', { kind: 'stall', ms: 10_000, when: 'after' }, { times: 1 });
      const abort = new AbortController();
      const writing = a.store.flush('foreground', abort.signal).catch(() => undefined);
      await expect.poll(() => server.store.tree().some(({ name }) => name.endsWith('.gz'))).toBe(true);
      abort.abort();
      await writing;
      await a.end();
      const revived = await machine('a');
      expect(await revived.look()).toEqual({ x: '0600' });
      revived.put('y', { mode: '0640' });
      await revived.store.flush();
      expect(await (await machine('b')).look()).toEqual({ x: '0600', y: '0640' });
      expect(server.store.tree().filter(({ name }) => name.endsWith('.gz'))).toHaveLength(1);
    });

    it('is written again when another client has removed its folder', async () => {
      const a = await machine('a');
      await a.look();
      a.put('x', { mode: '0600' });
      await a.store.flush();
      const b = await machine('b');
      // A change feed may tell of it only by its second look.
      const seen = async (): Promise<unknown> => {
        await a.look();
        await a.store.flush();
        return await b.look();
      };
      server.store.remove('/.syncmount');
      await expect.poll(seen, { timeout: 10_000 }).toEqual({ x: '0600' });
      server.store.remove('/.syncmount');
      a.put('y', { mode: '0640' });
      await a.store.flush();
      await expect.poll(seen, { timeout: 10_000 }).toEqual({ x: '0600', y: '0640' });
    });
  },
);
