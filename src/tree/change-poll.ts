/**
 * Polls the provider's change feed, if it has one (5sync), and lists changed directories again. The merge of such a listing (merge.ts)
 * finds the differences. `Directories` reports them to `onChange` (set in mount/session/open-account.ts), which invalidates the kernel's
 * caches.
 */
import type { Clock } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Priority, Provider } from '../providers/provider.js';
import type { Ino } from './inode.js';
import type { InodeTable } from './inode-table.js';

/** The time from the mount to the first poll, ms. */
const FIRST_POLL_MS = 5_000;
/** The shortest pause after a failed poll, ms. */
const OFFLINE_PAUSE_MS = 5_000;

export interface ChangePollOptions {
  readonly table: InodeTable;
  readonly provider: Provider;
  readonly clock: Clock;
  readonly log: Log;
}

/** Lists directories again. */
interface ChangedDirectories {
  /** Marks the directory's listing as stale. */
  expire(directory: Ino): void;
  refresh(directory: Ino, priority: Priority): Promise<unknown>;
}

/** Ends when `signal` aborts, or at once if the provider has no feed. The provider tells the time of the next poll. */
export async function pollChanges(
  { provider, clock, table, log }: ChangePollOptions,
  directories: ChangedDirectories,
  signal: AbortSignal,
): Promise<void> {
  let pause = FIRST_POLL_MS;
  while (provider.changes !== undefined) {
    await clock.sleep(pause, signal);
    try {
      const { folders, nextInMs } = await provider.changes({ priority: 'background', signal });
      pause = nextInMs;
      const changed =
        folders === 'all'
          ? table.listedDirectories()
          : folders.flatMap((id) => table.byRemote('folder', id)?.ino ?? []);
      // The feed names a directory only once. If listing it fails below, its next read lists it.
      for (const ino of changed) directories.expire(ino);
      for (const ino of changed) await directories.refresh(ino, 'background');
    } catch (error) {
      if (signal.aborted) return;
      pause = Math.max(pause, OFFLINE_PAUSE_MS);
      log.warn({ code: codeOf(error) }, `changes: ${messageOf(error)}`);
    }
  }
}
