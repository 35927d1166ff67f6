/**
 * SQLite as this program uses it: one process, one connection, write-ahead log.
 *
 * Commits do not wait for the disk (`synchronous=NORMAL`). They survive the death of the process at once, and a power loss
 * after the next `durable()`. That call syncs the log on a worker thread. So a commit costs microseconds on the event loop,
 * and callers that promise durability (fsync, close with write-back) share one sync.
 */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { codeOf, messageOf, SyncmountError } from './errors.js';
import { isPackage, packageRoot } from './installation.js';
import { WriteAheadLog } from './write-ahead-log.js';

export type Sql = Database.Database;
export type Statement = Database.Statement;

/** One step of a schema: statements that bring it from version `i` to `i + 1`. */
export type Migration = string;

/** The most bytes of log that a change of names needs, together with its other records: a hundred pages. */
const ROOM_FOR_A_CHANGE = 512 * 1024;

export interface StateDatabase {
  readonly sql: Sql;
  /** Resolves once everything committed before the call is on the disk. */
  durable(): Promise<void>;
  /** Throws ENOSPC if the disk is so full that a change of names could not be recorded. See `WriteAheadLog.requireRoom`. */
  requireRoom(): void;
  close(): void;
}

/**
 * Opens (or makes) a database and brings its schema up to date. With `checked` it first reads the whole database and checks its
 * integrity (1 s for 1,000,000 files), unless the file is as `close` left it. `onStatement` is called with each statement before it
 * runs. Throws `SyncmountError` `locked` if another process has it open, `damaged` if it is no sound database, `newer` if a later
 * version of the program wrote it, `database` if it cannot be read for another reason.
 */
export function openDatabase(
  path: string,
  migrations: readonly Migration[],
  checked = false,
  onStatement?: (statement: unknown) => void,
): StateDatabase {
  let sql: Sql | undefined;
  try {
    const wasClosedWhole = isAsClosed(path);
    sql = openSql(path, { timeout: 0, verbose: onStatement });
    // This is our lock on the account. The connection holds it until it is closed, and the kernel releases it if the process dies.
    sql.pragma('locking_mode = EXCLUSIVE');
    sql.pragma('journal_mode = WAL');
    sql.pragma('synchronous = NORMAL');
    // Listings of 100,000 files are scanned by index; 16 MiB keeps their pages in memory.
    sql.pragma('cache_size = -16384');
    // From now on this connection changes the file. If the process dies, there is no mark.
    rmSync(closedMark(path), { force: true });
    if (checked && !wasClosedWhole) requireSound(sql, path);
    migrate(sql, path, migrations);
  } catch (error) {
    sql?.close();
    if (error instanceof SyncmountError) throw error;
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error) ?? '')) {
      throw new SyncmountError('damaged', `${path} is damaged: ${messageOf(error)}`, { cause: error });
    }
    if (codeOf(error)?.startsWith('SQLITE_BUSY')) {
      throw new SyncmountError('locked', `${path} is in use by another process`, { cause: error });
    }
    throw new SyncmountError('database', `cannot open ${path}: ${messageOf(error)}`, { cause: error });
  }
  const database = sql;
  const log = new WriteAheadLog(database, path);
  if (checked) log.prepare();
  return {
    sql: database,
    durable: log.durable,
    requireRoom: () => log.requireRoom(ROOM_FOR_A_CHANGE),
    close() {
      database.close();
      if (checked) markAsClosed(path);
      log.close();
    },
  };
}

/** Opens a file. Throws the error of better-sqlite3, or `SyncmountError` `not-built` if its native addon is missing. */
export function openSql(path: string, options: Database.Options): Sql {
  try {
    return new Database(path, options);
  } catch (error) {
    throw isNotBuilt(error) ? notBuilt(error) : error;
  }
}

/** Throws `SyncmountError` `not-built`, with the command that repairs it, if this machine cannot open any database. */
export function requireSqlite(): void {
  openSql(':memory:', {}).close();
}

/** `npm ci --ignore-scripts` does not build the addon. After an update of Node it may be built for another version. */
function isNotBuilt(error: unknown): boolean {
  return codeOf(error) === 'ERR_DLOPEN_FAILED' || /^Could not locate the bindings file/.test(messageOf(error));
}

function notBuilt(cause: unknown): SyncmountError {
  const mend = isPackage
    ? `the package is for another machine or damaged (${messageOf(cause).split('\n')[0]})`
    : `cd ${packageRoot} && npm rebuild better-sqlite3 && npm run build:addon`;
  const message = `better-sqlite3 is not built for this Node.js (${process.version}): ${mend}`;
  return new SyncmountError('not-built', message, { cause });
}

/** The result of `read` on a database. `locked` if another process has it open, `none` if there is none that can be read. */
export function readFrom<T>(path: string, read: (sql: Sql) => T): T | 'locked' | 'none' {
  let sql: Sql | undefined;
  try {
    sql = openSql(path, { readonly: true, fileMustExist: true, timeout: 0 });
    return read(sql);
  } catch (error) {
    if (codeOf(error) === 'not-built') throw error;
    return codeOf(error)?.startsWith('SQLITE_BUSY') ? 'locked' : 'none';
  } finally {
    sql?.close();
  }
}

/**
 * Runs acts as transactions. An act within another is part of the outer one. The outer act must not catch an error of the
 * inner one, because both must be rolled back. Call this once per database: better-sqlite3 builds four functions for each
 * `transaction`.
 */
export function transactionsOf(sql: Sql): <T>(act: () => T) => T {
  const run = sql.transaction((act: () => unknown) => act()) as <T>(act: () => T) => T;
  return (act) => (sql.inTransaction ? act() : run(act));
}

/** The path of the mark, which names the file that `close` left. */
const closedMark = (path: string): string => `${path}-closed`;

/** A text that changes with every write to a file, and with every copy of it. */
function stampOf(path: string): string {
  const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}

/** Is this the file that was closed properly, with no write since? */
function isAsClosed(path: string): boolean {
  try {
    return !existsSync(`${path}-wal`) && readFileSync(closedMark(path), 'utf8') === stampOf(path);
  } catch {
    return false;
  }
}

/** Call it after SQLite has synced the file. If the mark cannot be written, the next open checks the file. */
function markAsClosed(path: string): void {
  try {
    writeFileSync(closedMark(path), stampOf(path), { mode: 0o600 });
  } catch {
    rmSync(closedMark(path), { force: true });
  }
}

function requireSound(sql: Sql, path: string): void {
  const found = sql.pragma('quick_check(1)', { simple: true });
  if (found !== 'ok') throw new SyncmountError('damaged', `${path} is damaged: ${found}`);
}

function migrate(sql: Sql, path: string, migrations: readonly Migration[]): void {
  const version = sql.pragma('user_version', { simple: true }) as number;
  if (version > migrations.length) {
    throw new SyncmountError('newer', `${path} was written by a newer version of syncmount`);
  }
  sql
    .transaction(() => {
      for (const step of migrations.slice(version)) sql.exec(step);
      sql.pragma(`user_version = ${migrations.length}`);
    })
    .exclusive();
}
