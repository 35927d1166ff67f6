/** A content that the service stores in the root only, where its upload is cut. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase, type StateDatabase } from '../../src/base/sqlite.js';
import type { NamePlace } from '../../src/metadata/entry.js';
import { BegunUploads } from '../../src/metadata/held/begun-uploads.js';
import type { Held, HeldObject } from '../../src/metadata/held/held-files.js';
import { HoldingProvider } from '../../src/metadata/held/holding-provider.js';
import type { UploadSource } from '../../src/providers/content.js';
import { ProviderError } from '../../src/providers/errors.js';
import type { RemoteFolder } from '../../src/providers/provider.js';
import { stateMigrations } from '../../src/tree/state-schema.js';
import { MemoryProvider } from '../support/memory-provider.js';
import { TestClock } from '../support/test-clock.js';

const content = Buffer.from('content of a large file');
const source: UploadSource = {
  size: content.length,
  async *read(offset, length) {
    yield content.subarray(offset, offset + length);
  },
  md5: () => Promise.resolve(createHash('md5').update(content).digest('hex')),
};

/** The entries of the account's metadata, which outlive a mount. */
class Entries implements Held {
  readonly #objects = new Map<string, HeldObject>();
  entryOnlyIn(): [] {
    return [];
  }
  entryOnly(): undefined {
    return undefined;
  }
  objects(): ReadonlyMap<string, HeldObject> {
    return this.#objects;
  }
  hold(object: HeldObject): void {
    this.#objects.set(object.id, object);
  }
  drop({ id }: HeldObject): void {
    this.#objects.delete(id);
  }
}

class RootOnly extends MemoryProvider {
  override upload(...[target, ...rest]: Parameters<MemoryProvider['upload']>): ReturnType<MemoryProvider['upload']> {
    if (target.parentId === this.other.rootId) return super.upload(target, ...rest);
    return Promise.reject(new ProviderError('unsupported', 'in the root only', { data: { onlyInRoot: true } }));
  }
}

interface Account {
  readonly provider: RootOnly;
  readonly entries: Entries;
  readonly clock: TestClock;
  readonly state: StateDatabase;
  readonly folder: RemoteFolder;
}

function account(): Account {
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  const state = openDatabase(join(directory, 'state.db'), stateMigrations);
  onTestFinished(() => {
    state.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const clock = new TestClock();
  const provider = new RootOnly({ clock });
  return { provider, entries: new Entries(), clock, state, folder: provider.other.folder(provider.other.mkdir('d')) };
}

/** The provider as a new process has it. */
function started({ provider, entries, clock, state }: Account): HoldingProvider {
  const now = (): number => clock.now();
  return new HoldingProvider({
    provider,
    held: entries,
    root: provider.other.folder(provider.other.rootId),
    placeOf: (folder, name): NamePlace => ({ folder, name, path: [] }),
    folderOf: () => null,
    now,
    begun: new BegunUploads(state.sql, now),
    prepare: () => Promise.resolve(),
    rootListed: () => undefined,
  });
}

const namesIn = async (provider: HoldingProvider, folder: RemoteFolder): Promise<string[]> =>
  (await provider.list(folder)).map(({ name }) => name);

it('is shown in its folder by the next process where the service has stored it', async () => {
  const made = account();
  const { provider, folder } = made;
  const gate = provider.gate('upload', 'after');
  const cut = started(made).upload({ parentId: folder.id, name: 'f' }, source);
  await gate.reached;
  const next = started(made);
  expect(await namesIn(next, folder)).toEqual(['f']);
  // It is one of its folder from then on: its removal leaves nothing in the root.
  const [file] = await next.list(folder);
  if (file === undefined) throw new Error('it was listed');
  await next.remove(file);
  expect(provider.other.tree()).toEqual({});
  gate.open(new Error('the process is dead'));
  await expect(cut).rejects.toThrow('dead');
});

it('is looked for until a slow service cannot store it any more', async () => {
  const made = account();
  const { provider, folder, clock, state } = made;
  provider.fail('upload', 'server');
  await expect(started(made).upload({ parentId: folder.id, name: 'f' }, source)).rejects.toThrow('told to fail');
  const next = started(made);
  const listsRoot = async (): Promise<number> => {
    provider.counts();
    expect(await namesIn(next, folder)).toEqual([]);
    return (provider.counts().list ?? 0) - 1;
  };
  expect(await listsRoot()).toBe(1);
  clock.advance(61_000);
  expect(await listsRoot()).toBe(1);
  expect(await listsRoot()).toBe(0);
  expect(state.sql.prepare('SELECT * FROM held_upload').all()).toEqual([]);
});
