/** A lock between processes. The kernel releases it when its holder dies. */
import { systemClock } from './clock.js';
import { codeOf, messageOf, SyncmountError } from './errors.js';
import { openSql, type Sql } from './sqlite.js';

/** How often a waiting process tries the lock, ms: too short for the user to notice. */
const RETRY_INTERVAL_MS = 50;
/** Longer than any act under a lock takes, ms. A process that holds the lock for longer was stopped in the middle. */
const TIMEOUT_MS = 90_000;

/**
 * Runs `act` under the lock of the file `path`: no other process runs an act under it meanwhile. The file is made if it is missing, and
 * stays empty. (Node has no flock(2). SQLite locks files on every system that we run on.)
 * Throws `SyncmountError` `lock` if the file cannot be locked, `locked` if another process keeps it for 90 s, and the signal's
 * reason.
 */
export async function underLock<T>(path: string, act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const lock = await locked(path, signal);
  try {
    return await act();
  } finally {
    lock.close();
  }
}

async function locked(path: string, signal: AbortSignal | undefined): Promise<Sql> {
  const giveUpAt = performance.now() + TIMEOUT_MS;
  for (;;) {
    signal?.throwIfAborted();
    const lock = tryLock(path);
    if (lock !== null) return lock;
    if (performance.now() > giveUpAt) throw new SyncmountError('locked', `another process does not let go of ${path}`);
    await systemClock.sleep(RETRY_INTERVAL_MS, signal);
  }
}

function tryLock(path: string): Sql | null {
  let lock: Sql | undefined;
  try {
    lock = openSql(path, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if (codeOf(error)?.startsWith('SQLITE_BUSY')) return null;
    if (codeOf(error) === 'not-built') throw error;
    throw new SyncmountError('lock', `cannot lock ${path}: ${messageOf(error)}`, { cause: error });
  }
}
