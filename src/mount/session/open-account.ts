/** Opens the state, spool and cache of an account on this machine, and builds the file system over them. */

import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { steadyTimeOf, systemClock } from '../../base/clock.js';
import { crashPoint } from '../../base/crash-point.js';
import { codeOf, SyncmountError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { bootId } from '../../base/processes.js';
import type { SparseCalls } from '../../base/sparse-calls.js';
import { openDatabase } from '../../base/sqlite.js';
import { BlockCache } from '../../cache/block-cache.js';
import { BLOCK_BYTES } from '../../cache/blocks.js';
import { ReaderPool } from '../../cache/reader-pool.js';
import type { PunchHole } from '../../cache/sparse-file.js';
import type { StoredAccount } from '../../config/accounts.js';
import { type BaseDirectories as Places, privateDirectory } from '../../config/base-directories.js';
import type { MountOptions } from '../../config/options.js';
import { CloudFilesystem } from '../../filesystem/cloud-filesystem.js';
import { fetchKnown } from '../../filesystem/content/fetching.js';
import type { Core } from '../../filesystem/core/core.js';
import { OpenFiles } from '../../filesystem/core/open-files.js';
import { AccountMetadata } from '../../filesystem/metadata/account-metadata.js';
import { LocalHeldFiles } from '../../filesystem/metadata/local-held-files.js';
import { type RetainedVersion, retainedVersions } from '../../filesystem/recovery/retained-versions.js';
import { resolvePath } from '../../filesystem/resolve-path.js';
import { BegunUploads } from '../../metadata/held/begun-uploads.js';
import { HeldFiles } from '../../metadata/held/held-files.js';
import { HoldingProvider } from '../../metadata/held/holding-provider.js';
import { hideStoreFolder } from '../../metadata/hidden-folder.js';
import { forgetCarried, type MetadataStatus, MetadataStore } from '../../metadata/store.js';
import type { Account, Provider, RemoteFolder } from '../../providers/provider.js';
import { Journal } from '../../spool/journal.js';
import { Spool } from '../../spool/spool.js';
import type { DataThreads } from '../../threads/data-threads.js';
import { Directories } from '../../tree/directories.js';
import { type Ino, remoteFolderOf } from '../../tree/inode.js';
import { InodeTable } from '../../tree/inode-table.js';
import { stateMigrations } from '../../tree/state-schema.js';
import { identityOf } from '../state/same-account.js';
import { setStateAside } from '../state/state-quarantine.js';
import { identifyAccount } from './account-identity.js';

/** How long a mount waits for the recovery of renames that a crash interrupted, ms; then it goes on in the background. */
const RECOVERY_TIMEOUT_MS = 5000;

export interface OpenAccount {
  readonly filesystem: CloudFilesystem;
  readonly cache: BlockCache;
  keptVersions(): readonly RetainedVersion[];
  /** The metadata that the account does not have yet; null if it stays on this machine. */
  metadata(): MetadataStatus | null;
  /** Writes the metadata to the account now. Throws the provider's error; then the next mount writes it. */
  storeMetadata(): Promise<void>;
  /** Warnings for the user, a sentence each. */
  readonly warnings: readonly string[];
  /** Ends background work and closes the databases. Uploads under way must have ended. */
  close(): Promise<void>;
}

export interface OpenAccountOptions {
  readonly name: string;
  readonly stored: StoredAccount;
  readonly provider: Provider;
  readonly places: Places;
  readonly options: MountOptions;
  /** A folder within the account; '' or '/' for all of it. */
  readonly path: string;
  readonly log: Log;
  readonly threads: DataThreads;
  readonly sharesPages: boolean;
  /** Warnings for the user that are known already: the first ones of `OpenAccount.warnings`. */
  readonly warnings?: readonly string[];
  readonly punchHole?: PunchHole;
  /** Is the file open or mapped through another descriptor than this one? */
  readonly isOpenElsewhere?: (fd: number) => boolean;
  /** Is the file open or mapped for writing anywhere? The descriptor itself is read-only. */
  readonly isOpenForWriting?: (fd: number) => boolean;
  readonly sparse?: SparseCalls;
}

/**
 * Identifies the account, opens its state, and recovers what an earlier mount left unfinished. Throws the provider's error, `locked` when
 * another mount has the account, `FsError` if `path` is no folder.
 */
export async function openAccount(options: OpenAccountOptions): Promise<OpenAccount> {
  const { name, stored, provider, places, log } = options;
  const identity = identityOf(name, stored);
  const directory = privateDirectory(join(privateDirectory(places.state), 'accounts', identity));
  const warnings = [...(options.warnings ?? [])];
  const state = openState(directory, name, warnings);
  let cache: BlockCache | null = null;
  try {
    const table = new InodeTable(state.sql);
    const { account, unreachable } = await identifyAccount(provider, stored, state.sql);
    if (unreachable !== null) {
      warnings.push(`${stored.provider} cannot be reached (${unreachable}); what is known of '${name}' is shown`);
    }
    cache = new BlockCache({
      directory: privateDirectory(join(places.cache, identity)),
      limit: options.options.cacheSize,
      clock: systemClock,
      log,
      punchHole: options.punchHole,
      hasher: options.threads.hasher,
      boot: bootId(),
    });
    const { core, directories, metadata, start } = assemble(options, { state, table, account, cache, directory });
    const accountRoot = ensureRoot(table, account);
    const journal = new Journal(state.sql);
    table.sweep(new Set(journal.all().map((row) => row.ino)));
    metadata?.begin();
    const whole = start(accountRoot);
    const root = await resolvePath(whole, core, accountRoot, options.path);
    const filesystem = root === accountRoot ? whole : start(root);
    if (metadata !== null) await listFirst(core, root);
    // Recovery may change which file a name means. A start that takes a second longer is better than such a change later.
    await Promise.race([filesystem.recover(), systemClock.sleep(RECOVERY_TIMEOUT_MS)]);
    metadata?.carryExisting().catch((error) => log.error({ error }, 'carrying the metadata of this machine'));
    metadata?.store.start();
    filesystem.pins.start();
    // Rejects when `close` aborts it.
    directories.followChanges().catch(() => undefined);
    const opened = cache;
    return {
      filesystem,
      cache,
      warnings,
      keptVersions: () => retainedVersions(core, root),
      metadata: () => metadata?.store.status() ?? null,
      storeMetadata: async () => await metadata?.store.flush(),
      async close() {
        filesystem.close();
        await filesystem.pins.close();
        directories.close();
        metadata?.close();
        await metadata?.store.close();
        core.spool.freeSpaceWatch.close();
        await core.readers.stop();
        await provider.close();
        await options.threads.close();
        opened.close();
        state.close();
      },
    };
  } catch (error) {
    cache?.close();
    state.close();
    throw error;
  }
}

/**
 * The first listing of the mounted directory brings its own attributes too: a program asks for them before it lists. If the service does
 * not answer in time, the listing goes on in the background.
 */
async function listFirst({ directories }: Core, root: Ino): Promise<void> {
  if (directories.wasListed(root)) return;
  const listed = Promise.resolve(directories.ensureListed(root)).catch(() => undefined);
  await Promise.race([listed, systemClock.sleep(RECOVERY_TIMEOUT_MS)]);
}

/** If spool and cache share a disk, the cache is evicted for the spool, because the spool's contents exist nowhere else. */
function openSpool(
  directory: string,
  cache: BlockCache,
  cacheDirectory: string,
  {
    isOpenElsewhere,
    isOpenForWriting,
    sparse,
    options,
    threads,
  }: Pick<OpenAccountOptions, 'isOpenElsewhere' | 'isOpenForWriting' | 'sparse' | 'options' | 'threads'>,
): Spool {
  const isShared = statSync(directory).dev === statSync(cacheDirectory, { throwIfNoEntry: false })?.dev;
  return new Spool(directory, {
    reclaim: isShared ? (bytes) => cache.reclaim(bytes) : undefined,
    isOpenElsewhere,
    isOpenForWriting,
    sparse,
    takesCacheFiles: canMove(cacheDirectory, directory),
    // Without write-back close() waits for the upload, and hashing during the writes shortens that. With write-back hashing can wait.
    digestBlockBytes: options.writeBack ? undefined : BLOCK_BYTES,
    hasher: threads.hasher,
  });
}

/** Whether rename(2) can move files from one directory to the other. It cannot even between two mounts of one file system. */
function canMove(from: string, to: string): boolean {
  const name = `.probe-${process.pid}`;
  try {
    writeFileSync(join(from, name), '');
    renameSync(join(from, name), join(to, name));
    return true;
  } catch {
    return false;
  } finally {
    for (const directory of [from, to]) rmSync(join(directory, name), { force: true });
  }
}

function openState(directory: string, name: string, warnings: string[]): ReturnType<typeof openDatabase> {
  const path = join(directory, 'state.db');
  try {
    return openDatabase(path, stateMigrations, true, crashPoint());
  } catch (error) {
    if (codeOf(error) === 'locked') {
      throw new SyncmountError('locked', `account '${name}' is mounted already; 'syncmount status' tells where`, {
        cause: error,
      });
    }
    if (codeOf(error) !== 'damaged') throw error;
    const { directory: aside, contents } = setStateAside(directory, new Date(systemClock.now()), bootId());
    const what = contents === 0 ? 'Everything was stored' : `${contents} contents that were not stored are there`;
    warnings.push(`the state of the account was damaged and is set aside in ${aside}. ${what}`);
    return openDatabase(path, stateMigrations, true);
  }
}

function ensureRoot(table: InodeTable, account: Account): Ino {
  const known = table.byRemote('folder', account.root.id);
  if (known !== undefined) return known.ino;
  return table.insert({ parent: null, name: '', kind: 'directory', remote: account.root }).ino;
}

interface Parts {
  readonly state: ReturnType<typeof openDatabase>;
  readonly table: InodeTable;
  readonly account: Account;
  readonly cache: BlockCache;
  readonly directory: string;
}

/** Puts the parts together. `start` makes the file system for a root, which then gets the callbacks of the parts below it. */
function assemble(
  {
    provider,
    options,
    log,
    places,
    sharesPages,
    isOpenElsewhere,
    isOpenForWriting,
    sparse,
    threads,
  }: OpenAccountOptions,
  { state, table, account, cache, directory }: Parts,
): { core: Core; directories: Directories; metadata: AccountMetadata | null; start: (root: Ino) => CloudFilesystem } {
  let filesystem: CloudFilesystem | null = null;
  const metadata = options.metadata === 'account' ? accountMetadata() : null;
  if (metadata === null) forgetCarried(state.sql);
  const holding = holdingProvider();
  const directories = new Directories({
    table,
    provider: holding,
    clock: systemClock,
    log,
    ttl: options.dirTtl,
    onChange: (ino, changes) => filesystem?.listingChanged(ino, changes),
    metadata: metadata ?? hideStoreFolder(account.root.id),
  });
  const core: Core = {
    table,
    directories,
    provider: holding,
    readers: new ReaderPool(cache, fetchKnown(table, holding, !options.strictReads)),
    spool: openSpool(privateDirectory(join(directory, 'spool')), cache, places.cache, {
      isOpenElsewhere,
      isOpenForWriting,
      sparse,
      options,
      threads,
    }),
    journal: new Journal(state.sql),
    state,
    files: new OpenFiles(),
    options: {
      readOnly: options.readOnly,
      writeBack: options.writeBack,
      ttl: options.dirTtl,
      uid: options.uid,
      gid: options.gid,
      umask: options.umask,
      deadline: options.deadline,
      disposal: options.delete,
      sharesPages,
      transfers: options.transfers,
      exclude: options.exclude,
      host: hostname(),
      boot: bootId(),
    },
    clock: systemClock,
    log,
    invalidate: (what) => filesystem?.invalidate(what),
    metadata: metadata ?? undefined,
  };
  return {
    core,
    directories,
    metadata,
    start(root) {
      filesystem = new CloudFilesystem(core, root, account);
      return filesystem;
    },
  };

  function accountMetadata(): AccountMetadata {
    const near = (folder: string): string[] => AccountMetadata.near(table, folder);
    const { readOnly } = options;
    const { root } = account;
    const store = new MetadataStore({ sql: state.sql, provider, clock: systemClock, log, root, readOnly, near });
    return new AccountMetadata({ table, store, provider, defaults: options });
  }

  function holdingProvider(): Provider {
    const { root } = account;
    const now = (): number => systemClock.now();
    const folderOf = (id: string): RemoteFolder | null => {
      const inode = table.byRemote('folder', id);
      return inode === undefined ? null : remoteFolderOf(inode);
    };
    if (metadata === null) {
      const held = new LocalHeldFiles(state.sql);
      const nothing = { prepare: () => Promise.resolve(), rootListed: () => undefined, placeOf: () => null };
      return new HoldingProvider({ provider, held, root, now, folderOf, ...nothing });
    }
    const { store } = metadata;
    return new HoldingProvider({
      ...{
        provider,
        held: new HeldFiles(store, root.id),
        root,
        now,
        folderOf,
        begun: new BegunUploads(state.sql, () => steadyTimeOf(systemClock).now()),
      },
      prepare: ({ id }, { priority = 'foreground', signal }) => store.prepare(id, priority, signal),
      rootListed: (entries) => void store.learnRoot(entries),
      placeOf: (folder, name) => metadata.placeOf(folder, name),
    });
  }
}
