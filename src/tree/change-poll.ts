/**
 * Polls the provider's feed of changes, where it has one (5sync), and lists the directories again that changed. The merge of such a listing
 * (merge.ts) finds what differs; `Directories` reports it to `onChange` (set in mount/session/open-account.ts), which invalidates the kernel's caches.
 */
import type { Clock } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Priority, Provider } from '../providers/provider.js';
import type { Ino } from './inode.js';
import type { InodeTable } from './inode-table.js';

/** How soon after the mount the feed is asked first, ms. */
const FIRST_POLL_MS = 5_000;
/** The pause after a poll that failed is at least this, ms. */
const OFFLINE_PAUSE_MS = 5_000;

export interface ChangePollOptions {
  readonly table: InodeTable;
  readonly provider: Provider;
  readonly clock: Clock;
  readonly log: Log;
}

/** Lists directories again. */
interface ChangedDirectories {
  /** The next read of the directory lists it first. */
  expire(directory: Ino): void;
  refresh(directory: Ino, priority: Priority): Promise<unknown>;
}

/** Ends when `signal` aborts, and at once for a provider without a feed. The provider says when to ask next. */
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
      // The feed names them once: what is not listed below must be listed when it is next read.
      for (const ino of changed) directories.expire(ino);
      for (const ino of changed) await directories.refresh(ino, 'background');
    } catch (error) {
      if (signal.aborted) return;
      pause = Math.max(pause, OFFLINE_PAUSE_MS);
      log.warn({ code: codeOf(error) }, `changes: ${messageOf(error)}`);
    }
  }
}
