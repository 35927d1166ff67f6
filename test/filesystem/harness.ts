/**
 * A `CloudFilesystem` built as in src/mount/session/open-account.ts, with real directories, databases and files. Its provider is in
 * memory, and its clock stands still. There is no kernel: tests call it as a binding would.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Log } from '../../src/base/log.js';
import { openDatabase } from '../../src/base/sqlite.js';
import { BlockCache } from '../../src/cache/block-cache.js';
import { BLOCK_BYTES } from '../../src/cache/blocks.js';
import { ReaderPool } from '../../src/cache/reader-pool.js';
import type { Attributes, Caller, HandleId, Invalidation, OpenFlags } from '../../src/filesystem/api.js';
import { CloudFilesystem } from '../../src/filesystem/cloud-filesystem.js';
import { fetchKnown } from '../../src/filesystem/content/fetching.js';
import type { Core, FilesystemOptions } from '../../src/filesystem/core/core.js';
import { FsError } from '../../src/filesystem/core/fs-error.js';
import { OpenFiles } from '../../src/filesystem/core/open-files.js';
import { ProviderError } from '../../src/providers/errors.js';
import { Journal } from '../../src/spool/journal.js';
import { Spool, type SpoolOptions } from '../../src/spool/spool.js';
import type { SpoolFile } from '../../src/spool/spool-file.js';
import { Directories } from '../../src/tree/directories.js';
import type { Ino } from '../../src/tree/inode.js';
import { InodeTable } from '../../src/tree/inode-table.js';
import { stateMigrations } from '../../src/tree/state-schema.js';
import { MemoryProvider, type MemoryProviderOptions, type Method } from '../support/memory-provider.js';
import { TestClock } from '../support/test-clock.js';

export interface HarnessOptions extends Partial<FilesystemOptions> {
  readonly provider?: Omit<MemoryProviderOptions, 'clock'>;
  readonly cacheSize?: number;
  readonly isOpenElsewhere?: () => boolean;
  /** A state directory that an earlier mount has left. A copy of it is mounted. */
  readonly stateDirectory?: string;
  /** Replaces fdatasync(2) of spool files. */
  readonly syncFile?: SpoolOptions['syncFile'];
  /** Called with each statement before the state database runs it. */
  readonly onStatement?: (statement: unknown) => void;
}

export const reading: OpenFlags = { read: true, write: false, append: false, truncate: false, exclusive: false };
export const writing: OpenFlags = { ...reading, write: true };
export const appending: OpenFlags = { ...writing, append: true };
export const emptying: OpenFlags = { ...writing, truncate: true };
export const creating: OpenFlags = { ...writing, exclusive: true };
export const overwriting = { noReplace: false, exchange: false };

const opened = new Set<Mounted>();
const directories = new Set<string>();

async function cleanUp(): Promise<void> {
  for (const mounted of opened) await mounted.unmount();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  directories.clear();
}

/** A fresh account, mounted. `fill` puts there what other clients stored before. */
export async function mounted(
  options: HarnessOptions = {},
  fill: (provider: MemoryProvider) => void = () => undefined,
): Promise<Mounted> {
  // No `afterEach` here: if test files share a process, only the first of them would get it.
  onTestFinished(cleanUp);
  const clock = new TestClock();
  const provider = new MemoryProvider({ clock, ...options.provider });
  fill(provider);
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  directories.add(directory);
  if (options.stateDirectory !== undefined) cpSync(options.stateDirectory, directory, { recursive: true });
  return open(directory, provider, clock, options);
}

async function open(
  directory: string,
  provider: MemoryProvider,
  clock: TestClock,
  options: HarnessOptions,
): Promise<Mounted> {
  const account = await provider.account();
  provider.counts();
  const state = openDatabase(join(directory, 'state.db'), stateMigrations, false, options.onStatement);
  const table = new InodeTable(state.sql);
  const messages: string[] = [];
  const note = (data: object, message: string): void => void messages.push(`${message} ${JSON.stringify(data)}`);
  const log: Log = { debug() {}, info: note, warn: note, error: note };
  const cacheSize = options.cacheSize ?? 64 * 1024 * 1024;
  const cache = new BlockCache({ directory: join(directory, 'cache'), limit: cacheSize, clock, log });
  let filesystem: CloudFilesystem | null = null;
  const ttl = options.ttl ?? 60_000;
  const tree = new Directories({
    table,
    provider,
    clock,
    log,
    ttl,
    onChange: (ino, changes) => filesystem?.listingChanged(ino, changes),
  });
  const core: Core = {
    table,
    directories: tree,
    provider,
    readers: new ReaderPool(cache, fetchKnown(table, provider, true)),
    spool: new Spool(join(directory, 'spool'), {
      clock,
      isOpenElsewhere: options.isOpenElsewhere,
      digestBlockBytes: BLOCK_BYTES,
      syncFile: options.syncFile,
    }),
    journal: new Journal(state.sql),
    state,
    files: new OpenFiles(),
    options: {
      readOnly: false,
      writeBack: false,
      ttl,
      uid: 1000,
      gid: 1000,
      umask: 0o022,
      deadline: 60_000,
      disposal: 'trash',
      sharesPages: false,
      transfers: null,
      exclude: [],
      host: 'box',
      boot: 'first boot',
      ...options,
    },
    clock,
    log,
    invalidate: (what) => filesystem?.invalidate(what),
  };
  const known = table.byRemote('folder', account.root.id);
  const root = known?.ino ?? table.insert({ parent: null, name: '', kind: 'directory', remote: account.root }).ino;
  table.sweep(new Set(core.journal.all().map((row) => row.ino)));
  filesystem = new CloudFilesystem(core, root, account);
  const result = new Mounted(filesystem, core, cache, provider, clock, messages, directory, options);
  opened.add(result);
  void filesystem.recover();
  return result;
}

/** A mounted account, with shorthands for what programs do. Paths are relative to its root. */
export class Mounted {
  readonly invalidations: Invalidation[] = [];
  #dead = false;

  constructor(
    readonly fs: CloudFilesystem,
    readonly core: Core,
    readonly cache: BlockCache,
    readonly provider: MemoryProvider,
    readonly clock: TestClock,
    /** The log messages with their data. */
    readonly messages: readonly string[],
    readonly directory: string,
    readonly options: HarnessOptions,
  ) {
    fs.onInvalidate((what) => this.invalidations.push(what));
  }

  /** The same account after the process died: nothing was closed, drained or unmounted. */
  async crash(options: HarnessOptions = this.options): Promise<Mounted> {
    this.#end();
    // A dead process must not go on filling spool files.
    for (const { activeUpload: storing } of this.core.files.states()) storing?.abort.abort();
    // Work that was under way in memory must not reach the provider or the databases.
    const revived = new MemoryProvider({ clock: this.clock, ...this.options.provider, account: this.provider.other });
    this.provider.offline = true;
    return open(this.directory, revived, this.clock, options);
  }

  /** An orderly end and a new mount. */
  async remount(options: HarnessOptions = this.options): Promise<Mounted> {
    await this.fs.uploader.drain();
    this.#end();
    return open(this.directory, this.provider, this.clock, options);
  }

  async unmount(): Promise<void> {
    opened.delete(this);
    if (this.#dead) return;
    await this.fs.uploader.interrupt();
    this.#end();
  }

  async ino(path: string): Promise<Ino> {
    return (await this.stat(path)).ino;
  }

  async stat(path: string): Promise<Attributes> {
    let at = await this.fs.getattr(this.fs.root);
    for (const name of path.split('/').filter(Boolean)) {
      const found = await this.fs.lookup(at.ino, name);
      if (found === undefined) throw new FsError('ENOENT', `${path} does not exist`);
      at = found;
    }
    return at;
  }

  async names(path = ''): Promise<string[]> {
    return (await this.fs.readdir(await this.ino(path))).map((entry) => entry.name).sort();
  }

  async open(path: string, flags: OpenFlags = reading): Promise<HandleId> {
    return (await this.fs.open(await this.ino(path), flags)).handle;
  }

  async create(path: string, flags: OpenFlags = creating, caller?: Caller): Promise<HandleId> {
    const { parent, name } = await this.split(path);
    return (await this.fs.create(parent, name, 0o644, flags, caller)).handle;
  }

  async read(handle: HandleId, offset = 0, length = 1024 * 1024, caller?: Caller): Promise<string> {
    const into = Buffer.alloc(length);
    return into.subarray(0, await this.fs.read(handle, into, offset, caller)).toString();
  }

  async write(handle: HandleId, text: string, offset = 0): Promise<void> {
    await this.fs.write(handle, Buffer.from(text), offset);
  }

  /** close(2): the calls that the kernel makes for it, and the error that the program gets. */
  async close(handle: HandleId): Promise<void> {
    try {
      await this.fs.flush(handle);
    } finally {
      await this.fs.release(handle);
    }
  }

  async cat(path: string): Promise<string> {
    const handle = await this.open(path);
    try {
      return await this.read(handle);
    } finally {
      await this.fs.release(handle);
    }
  }

  /** Makes or overwrites a whole file, as `cat > path` does. */
  async put(path: string, text: string): Promise<void> {
    const handle = await this.create(path, emptying);
    if (text !== '') await this.write(handle, text);
    await this.close(handle);
    // An empty content is stored after the last close.
    if (text === '' && this.core.options.writeBack === false) await this.fs.uploader.drain();
  }

  async mkdir(path: string): Promise<Attributes> {
    const { parent, name } = await this.split(path);
    return this.fs.mkdir(parent, name, 0o755);
  }

  async rm(path: string): Promise<void> {
    const { parent, name } = await this.split(path);
    await this.fs.unlink(parent, name);
  }

  async rmdir(path: string): Promise<void> {
    const { parent, name } = await this.split(path);
    await this.fs.rmdir(parent, name);
  }

  async mv(from: string, to: string, flags = overwriting): Promise<void> {
    const a = await this.split(from);
    const b = await this.split(to);
    await this.fs.rename(a.parent, a.name, b.parent, b.name, flags);
  }

  async truncate(path: string, size: number): Promise<void> {
    await this.fs.setattr(await this.ino(path), { size });
  }

  async pending(): Promise<string[]> {
    return (await this.fs.uploader.pending(this.fs.root)).map(({ path, state }) => `${path} ${state}`);
  }

  /** Expects an empty journal and an empty spool directory. */
  isClean(): boolean {
    return this.core.journal.all().length === 0 && [...this.core.files.states()].length === 0;
  }

  async split(path: string): Promise<{ parent: Ino; name: string }> {
    const names = path.split('/').filter(Boolean);
    const name = names.pop() ?? '';
    return { parent: await this.ino(names.join('/')), name };
  }

  #end(): void {
    opened.delete(this);
    if (this.#dead) return;
    this.#dead = true;
    this.core.directories.close();
    this.core.spool.freeSpaceWatch.close();
    this.cache.close();
    this.core.state.close();
  }
}

/** Lets everything that is ready run: promises, timers of 0 ms, immediates. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** The errno name of a call that must fail. */
export async function errnoOf(work: unknown): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'no error';
}

/** The place where a process dies: at the `nth` call of a method, before or after the provider acts. */
export interface DeathPlace {
  readonly method: Method;
  readonly nth?: number;
  readonly when: 'before' | 'after';
}

/** Runs `work` until it reaches the place, kills the process there, and mounts again. */
export async function dieAt(m: Mounted, place: DeathPlace, work: () => Promise<unknown>): Promise<Mounted> {
  for (let n = 1; n < (place.nth ?? 1); n++) m.provider.during(place.method, place.when, () => undefined);
  const gate = m.provider.gate(place.method, place.when);
  const dying = work().catch(() => undefined);
  await gate.reached;
  const revived = await m.crash();
  gate.open(new ProviderError('network', 'the process is dead'));
  await dying;
  await settle();
  return revived;
}

/** The number of changes of names that are under way or wait in the journal. */
export const intents = (m: Mounted) => m.core.state.sql.prepare('SELECT COUNT(*) FROM intent').pluck().get();

/** Waits until nothing is under way any more, including retries in the background. */
export async function rested(m: Mounted): Promise<Mounted> {
  for (let turn = 1; intents(m) !== 0; turn++) {
    await settle(1);
    if (turn % 20 === 0) m.clock.advance(10_000);
  }
  await m.fs.uploader.drain();
  return m;
}

/** Holds the calls of a method back until `go`. */
export function delayed<K extends 'sync' | 'truncate'>(spool: SpoolFile, method: K): { go(): void } {
  const real = spool[method].bind(spool) as (...args: number[]) => Promise<void>;
  let go!: () => void;
  const allowed = new Promise<void>((yes) => {
    go = yes;
  });
  Object.assign(spool, {
    [method]: async (...args: number[]) => {
      await allowed;
      return real(...args);
    },
  });
  return { go };
}

/** A mount of an account with these files: texts by path. */
export const withFiles = (files: Record<string, string>, options: HarnessOptions = {}): Promise<Mounted> =>
  mounted(options, (provider) => {
    for (const [path, text] of Object.entries(files)) provider.other.put(path, text);
  });
