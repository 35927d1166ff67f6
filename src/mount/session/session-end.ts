/**
 * How a mount's session ends: by a command, or because somebody has unmounted. Pending contents are uploaded, the kernel removes the mount,
 * and the account is closed. This happens once, whoever asks. Contents that cannot be uploaded stay in the spool.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.js';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import { InUse } from '../../base/in-use.js';
import type { Log } from '../../base/log.js';
import type { Mounted } from '../../fuse/binding.js';
import type { Registry } from '../control/registry.js';
import type { DrainProgress, UploadStatus } from '../control/status.js';
import { unlessBrieflyBusy } from './briefly-busy.js';
import { isPending } from './gather-status.js';
import type { OpenAccount } from './open-account.js';
import type { RenewingProvider } from './renewing-provider.js';

/** How often a drain reports its progress, ms: a progress bar looks alive, and a log is not flooded. */
const PROGRESS_INTERVAL_MS = 250;
/** The pause between two reports is at least this many times as long as a report takes. */
const PAUSE_SHARE = 9;

/** How long the process waits at its end until a command has received its answer, ms. */
const ANSWER_TIMEOUT_MS = 2000;

export interface SessionEndOptions {
  readonly mountpoint: string;
  readonly readOnly: boolean;
  readonly mounted: Mounted;
  readonly opened: OpenAccount;
  readonly provider: Pick<RenewingProvider, 'metrics'>;
  readonly registry: Pick<Registry, 'remove'>;
  readonly log: Log;
  /** Called once, before the account is closed. Stops all other work of the session. */
  readonly stop: () => void;
  /** Called once, at the end: refuses further commands. Resolves when running commands have their answers. */
  readonly stopAnswering: () => Promise<void>;
}

export class SessionEnd {
  /** Resolves when the mount has ended and everything is closed. */
  readonly ended: Promise<void>;
  readonly #o: SessionEndOptions;
  /**
   * Unmount commands under way. The kernel removes the mount first and drops its caches later, which takes a while for a
   * million names. Until then these commands have no answer, although the session may be closed already.
   */
  readonly #unmounting = new InUse();
  /** The interruption of uploads under way. The account stays open until it has finished. */
  #interrupting: Promise<void> | null = null;
  /** The drain is over and the account is being closed: there are no uploads left to interrupt. */
  #isDrained = false;
  /** The uploads that were not finished when the account was closed. */
  #left: readonly UploadStatus[] = [];
  #closing: Promise<void> | null = null;
  /** The session ends without a drain. */
  #isForced = false;
  #resolveEnded: () => void = () => {};

  constructor(options: SessionEndOptions) {
    this.#o = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    // Somebody may have run umount(8). Pending contents are uploaded before the process ends.
    void options.mounted.ended.then(() => this.#close(!this.#isForced));
  }

  /**
   * Finishes the pending uploads, then unmounts. Returns the failed uploads, whose contents stay in the spool. Rejects with `busy`,
   * changing nothing, while a file is open for writing or the mountpoint is in use.
   */
  unmount(progress: (left: DrainProgress) => void): Promise<readonly UploadStatus[]> {
    return this.#unmounting.during(async () => {
      this.#requireIdle();
      await this.#drain(progress);
      this.#requireIdle();
      await unlessBrieflyBusy(() => this.#o.mounted.unmount(), systemClock);
      await this.#close(true);
      return this.#left;
    });
  }

  /**
   * Unmounts even while files are open. Pending contents wait in the spool for the next mount. `alive` is called again and again, because
   * making very many contents safe takes a while.
   */
  forceUnmount(alive: () => void): Promise<readonly UploadStatus[]> {
    this.#isForced = true;
    return this.#unmounting.during(async () => {
      await this.#o.mounted.detach();
      const regular = repeatedly(async () => alive());
      try {
        // A running drain ends now.
        if (this.#closing !== null && !this.#isDrained) {
          this.#interrupting = this.#o.opened.filesystem.uploader.interrupt();
          await this.#interrupting;
        }
        await this.#close(false);
      } finally {
        await regular.end();
      }
      return this.#left;
    });
  }

  #uploads(): Promise<UploadStatus[]> {
    const { filesystem } = this.#o.opened;
    return filesystem.uploader.pending(filesystem.root);
  }

  #requireIdle(): void {
    const writers = this.#o.opened.filesystem.writers();
    if (writers.length === 0) return;
    const more = writers.length > 3 ? ` and ${writers.length - 3} more` : '';
    throw new SyncmountError(
      'busy',
      `${this.#o.mountpoint} is busy: ${writers.slice(0, 3).join(', ')}${more} open for writing`,
    );
  }

  /** `progress`: null if nobody asks. */
  async #drain(progress: ((left: DrainProgress) => void) | null): Promise<void> {
    let metadata = 0;
    const tell = async (): Promise<void> => {
      if (progress === null || this.#isDrained) return;
      const uploads = await this.#uploads().catch((error: unknown) => {
        // The account was closed meanwhile, by a forced unmount.
        if (this.#isDrained) return [];
        throw error;
      });
      const pending = uploads.filter(isPending);
      const { outage } = this.#o.provider.metrics();
      progress({
        files: pending.length,
        bytes: pending.reduce((sum, { size, sent }) => sum + size - Math.min(size, sent), 0),
        ...(metadata > 0 && { metadata }),
        ...(outage !== null && { outage: outage.error }),
      });
    };
    await tell();
    const regular = repeatedly(tell);
    try {
      await this.#o.opened.filesystem.uploader.drain();
      metadata = this.#o.opened.metadata()?.pending ?? 0;
      await tell();
      if (metadata > 0) await this.#storeMetadata();
    } finally {
      await regular.end();
    }
    metadata = 0;
    await tell();
  }

  /** Metadata that cannot be written now waits for the next mount, and `#left` says so. */
  async #storeMetadata(): Promise<void> {
    await this.#o.opened.storeMetadata().catch((error) => {
      this.#o.log.warn({ code: codeOf(error) }, `the metadata waits for the next mount: ${messageOf(error)}`);
    });
  }

  /** The metadata that is not in the account, reported as a failed upload. */
  #leftMetadata(): UploadStatus[] {
    const { pending, error } = this.#o.opened.metadata() ?? { pending: 0, error: undefined };
    if (pending === 0 || this.#o.readOnly) return [];
    const path = `metadata of the account (${pending} changes)`;
    return [{ path, size: 0, sent: 0, state: 'failed', ...(error === undefined ? {} : { error }) }];
  }

  #close(drain: boolean): Promise<void> {
    this.#closing ??= this.#closeOnce(drain).finally(() => void this.#endWhenAnswered());
    return this.#closing;
  }

  /** Ends the session, once the command that asked for the end has its answer. */
  async #endWhenAnswered(): Promise<void> {
    await this.#unmounting.idle();
    void this.#o.stopAnswering().then(this.#resolveEnded);
    setTimeout(this.#resolveEnded, ANSWER_TIMEOUT_MS).unref();
  }

  async #closeOnce(drain: boolean): Promise<void> {
    const { registry, mountpoint, log } = this.#o;
    if (drain) await this.#drain(null).then(() => this.#o.opened.filesystem.disposeAside());
    else await this.#o.opened.filesystem.uploader.interrupt();
    await this.#interrupting;
    this.#isDrained = true;
    // Excluded contents stay here for good.
    const left = (await this.#uploads()).filter(({ state }) => state !== 'excluded');
    this.#left = [...left, ...this.#leftMetadata()];
    this.#o.stop();
    await this.#o.opened.close();
    registry.remove(mountpoint);
    log.info({ mountpoint, left: this.#left.length }, 'unmounted');
  }
}

/**
 * Calls `act` again and again, with a pause in between: the interval, or several times as long as the call took, if it counts very many
 * contents. `end` resolves when no call is running.
 */
function repeatedly(act: () => Promise<void>): { end(): Promise<void> } {
  const ended = new AbortController();
  const work = (async () => {
    for (let pause = PROGRESS_INTERVAL_MS; ; ) {
      await sleep(pause, undefined, { signal: ended.signal });
      const begun = performance.now();
      await act();
      pause = Math.max(PROGRESS_INTERVAL_MS, PAUSE_SHARE * (performance.now() - begun));
    }
  })().catch((error: unknown) => {
    if (!ended.signal.aborted) throw error;
  });
  // `end` returns the error to its caller.
  work.catch(() => undefined);
  return {
    end() {
      ended.abort();
      return work;
    },
  };
}
