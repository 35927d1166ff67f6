import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { StateDatabase } from '../../base/sqlite.js';
import type { ReaderPool } from '../../cache/reader-pool.js';
import type { Provider } from '../../providers/provider.js';
import type { Journal } from '../../spool/journal.js';
import type { Spool } from '../../spool/spool.js';
import type { Directories } from '../../tree/directories.js';
import type { Ino, Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { Invalidation } from '../api.js';
import type { AccountMetadata } from '../metadata/account-metadata.js';
import { FsError } from './fs-error.js';
import type { OpenFiles } from './open-files.js';

/** The options of a mount that the file system needs. */
export interface FilesystemOptions {
  readonly readOnly: boolean;
  /** close() answers once the content is safe on the local disk; the upload follows. */
  readonly writeBack: boolean;
  /** How long a listing counts as fresh, ms. */
  readonly ttl: number;
  readonly uid: number;
  readonly gid: number;
  /** Bits removed from 0666 and 0777 if no mode was set. */
  readonly umask: number;
  readonly disposal: 'trash' | 'permanent';
  /** How long a call waits for the provider, ms. */
  readonly deadline: number;
  /**
   * Identifies the current boot of the machine. Data written during this boot is still in the page cache, synced or
   * not. Null: unknown.
   */
  readonly boot: string | null;
  /**
   * The binding keeps one set of pages for each file, not one for each revision: all handles of a file must read the
   * same revision.
   */
  readonly sharesPages: boolean;
  /** How many contents are sent at a time; null: as many as closes wait for, and a few from the queue. */
  readonly transfers: number | null;
  /** Patterns of names whose content stays on this machine. */
  readonly exclude: readonly string[];
  /** For the names of conflict copies. */
  readonly host: string;
}

/** The dependencies that the parts of the file system share. */
export interface Core {
  readonly table: InodeTable;
  readonly directories: Directories;
  readonly provider: Provider;
  readonly readers: ReaderPool;
  readonly spool: Spool;
  readonly journal: Journal;
  readonly state: StateDatabase;
  readonly files: OpenFiles;
  readonly options: FilesystemOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly invalidate: (what: Invalidation) => void;
  /** Absent if modes, owners, times and the like stay on this machine. */
  readonly metadata?: AccountMetadata | undefined;
}

/** The row of an inode that the kernel still has. ESTALE if the row is gone. */
export function inodeOf(core: Core, ino: Ino): Inode {
  const inode = core.table.get(ino);
  if (inode === undefined) throw new FsError('ESTALE', `inode ${ino} is gone`);
  return inode;
}

export function directoryOf(core: Core, ino: Ino): Inode {
  const inode = inodeOf(core, ino);
  if (inode.kind !== 'directory') throw new FsError('ENOTDIR', `${inode.name} is not a directory`);
  return inode;
}

/**
 * Call this before each change. Throws EROFS on a read-only mount. Keeps free the disk space that the state database needs to record the
 * change: ENOSPC if there is none, before anything happens at the provider.
 */
export function requireWritable(core: Core): void {
  if (core.options.readOnly) throw new FsError('EROFS', 'the mount is read-only');
  if (!core.spool.keepReserve()) core.state.requireRoom();
}

/**
 * The path of an object, for people and logs: from the directory `root`, or from the account's own root. For a removed object, the names
 * that are still known, and a word that says so.
 */
export function pathOf({ table }: Pick<Core, 'table'>, ino: Ino, root?: Ino): string {
  const names: string[] = [];
  for (const at of table.upwards(ino)) {
    if (at.ino === root || table.isRoot(at)) return `/${names.join('/')}`;
    names.unshift(at.name);
  }
  return `/${names.join('/')} (removed)`;
}
