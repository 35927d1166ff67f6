/** Brings what was committed to the disk: the write-ahead log of a database, beside its connection. */
import { closeSync, fdatasync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import type Database from 'better-sqlite3';
import { SyncmountError } from './errors.js';
import { repeatableSync } from './repeatable-sync.js';

const syncFile = promisify(fdatasync);

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
      this.#fd ??= openSync(`${this.#path}-wal`, 'r+');
      this.#syncing = this.#syncFile(this.#fd);
      return this.#syncing;
    },
    writeAgain: async () => this.#checkpoint(),
  });

  /** Writes all of the log to the database itself, which SQLite syncs then. On the event loop: the disk is failing. */
  #checkpoint(): void {
    const [result] = this.#sql.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
    if (result?.busy !== 0)
      throw new SyncmountError('database', `the disk does not take what is written to ${this.#path}`);
  }

  /** To be called after the connection was closed. */
  close(): void {
    const fd = this.#fd;
    this.#fd = null;
    // Not while a sync is under way: the descriptor's number could belong to another file by then.
    if (fd !== null) void this.#syncing.catch(() => undefined).then(() => closeSync(fd));
  }
}
