/**
 * The write-ahead log of a database: syncs commits to the disk, and allocates space on the disk in advance.
 *
 * After a complete checkpoint SQLite writes the log from its start again, and never makes it shorter. So the log keeps the space that
 * it once has, even when another program fills the disk. Removals can then still be recorded, and free space.
 */
import { closeSync, fdatasync, fstatSync, openSync, readSync, statfsSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type Database from 'better-sqlite3';
import { codeOf, SyncmountError } from './errors.js';
import { repeatableSync } from './repeatable-sync.js';

const syncFile = promisify(fdatasync);
/**
 * Bytes of the disk that the log takes from the start: the 1,000 pages after which SQLite makes a checkpoint, and the bytes of some
 * hundred changes of names.
 */
const PREPARED = 6 * 1024 * 1024;
/** On a small disk the log takes at most one part in this many. */
const SMALL_DISK = 16;
/** Offsets in the log (www.sqlite.org/fileformat2.html#walformat): a header, then pages with a header each. */
const HEADER = { bytes: 32, pageSize: 8, salt: 16 };
const FRAME = { header: 24, salt: 8 };
const SALT_BYTES = 8;
const ZEROS = Buffer.alloc(256 * 1024);

export class WriteAheadLog {
  readonly #sql: Database.Database;
  readonly #path: string;
  readonly #syncFile: (fd: number) => Promise<void>;
  /** The log stays the same file until the connection is closed: after a checkpoint SQLite only writes it from its start again. */
  #fd: number | null = null;
  #syncing: Promise<void> = Promise.resolve();

  /** `path`: the path of the database. */
  constructor(sql: Database.Database, path: string, sync = syncFile) {
    this.#sql = sql;
    this.#path = path;
    this.#syncFile = sync;
  }

  /** Resolves once everything committed before the call is on the disk. */
  readonly durable = repeatableSync({
    sync: () => {
      this.#syncing = this.#syncFile(this.#file());
      return this.#syncing;
    },
    writeAgain: async () => this.#checkpoint(),
  });

  /** Writes the whole log to the database, which SQLite then syncs. This blocks the event loop, but happens only after a disk error. */
  #checkpoint(): void {
    const [result] = this.#sql.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
    this.prepare();
    if (result?.busy !== 0)
      throw new SyncmountError('database', `the disk does not take what is written to ${this.#path}`);
  }

  /** Allocates the disk space that the log needs, as far as there is any. SQLite does not read beyond its last commit. */
  prepare(): void {
    try {
      const { blocks, bsize } = statfsSync(this.#path);
      this.#extendTo(Math.min(PREPARED, Math.floor((blocks * bsize) / SMALL_DISK)));
    } catch {
      // This is only a precaution. If the disk refuses it, each commit that needs space reports the error.
    }
  }

  /**
   * Throws `SyncmountError` ENOSPC if so many bytes cannot be committed, because the disk is full. Do not call it within a transaction. If
   * the log is nearly used up, it syncs the disk on the event loop.
   */
  requireRoom(bytes: number): void {
    const fd = this.#file();
    const { size } = fstatSync(fd);
    if (size - endOfCommits(fd, size) >= bytes || this.#startsAnew()) return;
    try {
      this.#extendTo(size + bytes);
    } catch (error) {
      if (codeOf(error) !== 'ENOSPC') throw error;
      throw new SyncmountError('ENOSPC', 'the disk of the state directory is full', { cause: error });
    }
  }

  /** Makes a checkpoint, as far as possible. True: it is complete, and the next commit begins at the log's start. */
  #startsAnew(): boolean {
    try {
      const [state] = this.#sql.pragma('wal_checkpoint(PASSIVE)') as { log: number; checkpointed: number }[];
      return state !== undefined && state.log === state.checkpointed;
    } catch {
      // The disk has no room for the pages that are new to the database.
      return false;
    }
  }

  #extendTo(size: number): void {
    const fd = this.#file();
    for (let at = fstatSync(fd).size; at < size; ) at += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, size - at), at);
  }

  #file(): number {
    this.#fd ??= openSync(`${this.#path}-wal`, 'r+');
    return this.#fd;
  }

  /** Call it after the connection is closed. */
  close(): void {
    const fd = this.#fd;
    this.#fd = null;
    // Not while a sync is in flight: it would use the number of the descriptor, which could then belong to another file.
    if (fd !== null) void this.#syncing.catch(() => undefined).then(() => closeSync(fd));
  }
}

/**
 * The end of the pages written since the log last began at its start, bytes. Each of them has the header's salt. Pages of an earlier
 * round, and zeros, do not have it. A page that was rolled back may count.
 */
function endOfCommits(fd: number, size: number): number {
  const header = Buffer.alloc(HEADER.bytes);
  if (readSync(fd, header, 0, HEADER.bytes, 0) < HEADER.bytes) return 0;
  const salt = header.subarray(HEADER.salt, HEADER.salt + SALT_BYTES);
  const frame = FRAME.header + header.readUInt32BE(HEADER.pageSize);
  const found = Buffer.alloc(SALT_BYTES);
  let [from, to] = [0, Math.floor((size - HEADER.bytes) / frame)];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    readSync(fd, found, 0, SALT_BYTES, HEADER.bytes + middle * frame + FRAME.salt);
    if (found.equals(salt)) from = middle + 1;
    else to = middle;
  }
  return HEADER.bytes + from * frame;
}
