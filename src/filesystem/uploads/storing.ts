/**
 * Stores one content: makes it durable, completes it, sends it, and applies the result here.
 *
 * Invariant: the journal row is written before each step. A content that cannot be stored stays in its spool file, with the reason in the
 * journal.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import type { Digest } from '../../base/running-digest.js';
import { BLOCK_BYTES } from '../../cache/blocks.js';
import { WaitBudget } from '../../providers/wait-budget.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { Contents } from '../content/contents.js';
import { notePassthroughWrites } from '../content/passthrough-writes.js';
import { orAborted } from '../core/abortable.js';
import { type Core, pathOf } from '../core/core.js';
import { toFsError } from '../core/errno.js';
import { markLogged } from '../core/failure-log.js';
import { type ErrnoName, FsError } from '../core/fs-error.js';
import type { FileState, ActiveUpload as Upload } from '../core/open-files.js';
import type { AbandonedUploads } from './abandoned-uploads.js';
import type { Delivery } from './delivery.js';
import { fillBase } from './fill-base.js';
import { writeRow } from './journal-row.js';
import { spaceHint } from './pending.js';
import { applyStored } from './stored.js';
import type { TransferPlaces } from './transfer-places.js';

interface StoringParts {
  readonly contents: Contents;
  readonly delivery: Delivery;
  readonly abandoned: AbandonedUploads;
  readonly places: TransferPlaces;
  /** Called with the change of used space, bytes, after an upload; with null when the provider has no space left. */
  readonly onSpace: (bytes: number | null) => void;
}

export class Storing {
  readonly #core: Core;
  readonly #parts: StoringParts;

  constructor(core: Core, parts: StoringParts) {
    this.#core = core;
    this.#parts = parts;
  }

  /** Begins the upload of the current content. `done` rejects with an `FsError`: EINTR if it was cancelled. */
  begin(state: FileState): Upload {
    const abort = new AbortController();
    state.sent = 0;
    // If this try is cancelled, for example by a rename, the content must be queued again: it has not failed.
    state.failedGeneration = -1;
    const upload: Upload = {
      abort,
      waiters: 0,
      done: this.#store(state, abort.signal).finally(() => {
        state.activeUpload = null;
        this.#core.files.forgetIfUnused(state);
      }),
    };
    upload.done.catch(() => undefined);
    state.activeUpload = upload;
    return upload;
  }

  async #store(state: FileState, signal: AbortSignal): Promise<void> {
    const { contents, delivery, abandoned, places, onSpace } = this.#parts;
    const { spool } = state;
    if (spool === null || state.unlinked) return;
    // Changes that began before the upload belong to it; none begins while it is under way.
    while (state.pendingChanges.isBusy) await state.pendingChanges.idle();
    notePassthroughWrites(this.#core, state);
    const { generation } = state;
    let hashing: Promise<Digest> | null = null;
    const digest = (): Promise<Digest> => {
      hashing ??= spool.digest(BLOCK_BYTES, signal);
      return hashing;
    };
    try {
      // Hashes while the disk writes. An error reaches the code that awaits the digest.
      if (spool.isComplete()) digest().catch(() => undefined);
      // After a power cut the next mount uploads what the row describes, so the bytes must be durable first.
      if (state.durableGeneration !== state.generation) await orAborted(spool.sync(), signal);
      if (state.journaledGeneration !== state.generation) writeRow(this.#core, state, spool, 'uploading');
      if (!spool.isComplete()) await fillBase(this.#core, contents, state, spool, signal);
      // An unfinished upload of other bytes may block this one.
      await orAborted(abandoned.clear(), signal);
      const content = { state, spool, digest, signal, waitBudget: new WaitBudget() };
      const deliver = () => delivery.deliver(state.ino, content);
      const { remote, isConflict } = await places.during(signal, deliver);
      const stored = { remote, isConflict, crcs: (await digest()).crcs, generation };
      await applyStored(this.#core, contents, state, spool, stored, onSpace);
    } catch (error) {
      if (!signal.aborted) throw this.#refused(state, spool, error);
      const as = state.promised ? 'synced' : 'open';
      if (!state.unlinked) this.#record(state, () => this.#core.journal.setState(state.ino, as));
      throw new FsError('EINTR', 'the upload was cancelled', { cause: error });
    }
  }

  /** The content stays here. Returns the error for the callers that wait for the upload. */
  #refused(state: FileState, spool: SpoolFile, error: unknown): FsError {
    const { table, log } = this.#core;
    const failure = toFsError(error);
    log.error(
      { ino: state.ino, errno: failure.code, code: codeOf(error), ...failure.data },
      `${pathOf(this.#core, state.ino)} is not stored: ${failure.message}`,
    );
    markLogged(failure);
    if (failure.code === 'ENOSPC') this.#parts.onSpace(null);
    this.#record(state, () => {
      refuse(this.#core, state, failure.code, `${failure.message}${spaceHint(this.#core, failure)}`);
      table.update(state.ino, { localSize: spool.size });
    });
    return failure;
  }

  /**
   * Records the end of an upload. A full disk, which may be the very failure, prevents that: then the existing row keeps the content, and
   * the caller gets the first error.
   */
  #record({ ino }: FileState, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#core.log.error({ ino }, `the journal cannot be written: ${messageOf(error)}`);
    }
  }
}

/** Records that the current content cannot be stored: it stays in the spool, with the reason in the journal. */
export function refuse({ journal }: Core, state: FileState, code: ErrnoName, message: string): void {
  state.failedGeneration = state.generation;
  journal.setState(state.ino, 'failed', { code, message });
}
