/**
 * The write-ahead log of a database, beside its connection: brings what was committed to the disk, and has room there ahead.
 *
 * SQLite writes the log from its start again when all of it has come to the database, and never makes it shorter. So room that it
 * has once stays its own, also when another program fills the disk: removals can be recorded then, and make room.
 */
import { closeSync, fdatasync, fstatSync, openSync, readSync, statfsSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type Database from 'better-sqlite3';
import { codeOf, SyncmountError } from './errors.js';
import { repeatableSync } from './repeatable-sync.js';

const syncFile = promisify(fdatasync);
/**
 * Bytes of the disk that the log takes from the start: the 1,000 pages after which SQLite brings it to the database, and as much as some
 * hundred changes of names need beyond.
 */
const PREPARED = 6 * 1024 * 1024;
/** Of a small disk no more than this part. */
const SMALL_DISK = 16;
/** Of the log's format (www.sqlite.org/fileformat2.html#walformat): a header, then pages with a header each. */
const HEADER = { bytes: 32, pageSize: 8, salt: 16 };
const FRAME = { header: 24, salt: 8 };
const SALT_BYTES = 8;
const ZEROS = Buffer.alloc(256 * 1024);

export class WriteAheadLog {
  readonly #sql: Database.Database;
  readonly #path: string;
  readonly #syncFile: (fd: number) => Promise<void>;
  /** The log stays the same file as long as the connection lives: a checkpoint only makes SQLite write from its start again. */
  #fd: number | null = null;
  #syncing: Promise<void> = Promise.resolve();

  /** `path`: of the database. */
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

  /** Writes all of the log to the database itself, which SQLite syncs then. On the event loop: the disk is failing. */
  #checkpoint(): void {
    const [result] = this.#sql.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
    this.prepare();
    if (result?.busy !== 0)
      throw new SyncmountError('database', `the disk does not take what is written to ${this.#path}`);
  }

  /** Takes the room on the disk that the log needs, as far as there is any. SQLite does not read beyond what it has committed. */
  prepare(): void {
    try {
      const { blocks, bsize } = statfsSync(this.#path);
      this.#extendTo(Math.min(PREPARED, Math.floor((blocks * bsize) / SMALL_DISK)));
    } catch {
      // It is done ahead. Where the disk refuses it, each commit that needs room tells.
    }
  }

  /**
   * On a full disk: throws `SyncmountError` ENOSPC unless so many bytes can be committed all the same. Not within a transaction. Where
   * the log is nearly used up it syncs the disk on the event loop.
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

  /** Brings the log to the database, as far as that can take it. True: all of it, and the next commit begins at the log's start. */
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

  /** To be called after the connection was closed. */
  close(): void {
    const fd = this.#fd;
    this.#fd = null;
    // Not while a sync is under way: the descriptor's number could belong to another file by then.
    if (fd !== null) void this.#syncing.catch(() => undefined).then(() => closeSync(fd));
  }
}

/**
 * Where the pages end that were written since the log began anew, bytes: each has its salt, which those of an earlier round and zeros
 * have not. A page that was rolled back may count.
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
