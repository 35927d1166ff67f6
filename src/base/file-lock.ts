/** A lock between processes that the kernel takes away from one that dies. */
import { systemClock } from './clock.js';
import { codeOf, messageOf, SyncmountError } from './errors.js';
import { openSql, type Sql } from './sqlite.js';

/** How often it is looked whether the lock is free, ms: a person does not notice it. */
const LOOK_INTERVAL = 50;
/** Longer than any act under a lock takes: whoever has it then was stopped in the middle, ms. */
const PATIENCE = 90_000;

/**
 * Runs `act` while nobody else runs one under the lock of that file, which is made where it is missing and stays empty.
 * (Node has no flock(2); SQLite locks files on every system that we run on.)
 * Throws `SyncmountError` `lock` where the file cannot be locked, `locked` where another process keeps it for 90 s, and the
 * signal's reason.
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
  const giveUpAt = performance.now() + PATIENCE;
  for (;;) {
    signal?.throwIfAborted();
    const lock = tryLock(path);
    if (lock !== null) return lock;
    if (performance.now() > giveUpAt) throw new SyncmountError('locked', `another process does not let go of ${path}`);
    await systemClock.sleep(LOOK_INTERVAL, signal);
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
