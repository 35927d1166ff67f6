/**
 * Decides when changed content is stored at the provider: at close (the default), from the queue (write-back), or after a crash. Uploads
 * may be cancelled, paused and excluded. `Storing` stores one content.
 *
 * Invariant: a content that was promised to a program has a row in the journal until the inode has its new remote side.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import { ProviderError } from '../../providers/errors.js';
import type { Ino } from '../../tree/inode.js';
import type { Contents } from '../content/contents.js';
import { notePassthroughWrites, settlePassthroughWrites } from '../content/passthrough-writes.js';
import type { Relocation } from '../content/relocation.js';
import { type Core, inodeOf, pathOf } from '../core/core.js';
import type { FileState } from '../core/open-files.js';
import { AbandonedUploads } from './abandoned-uploads.js';
import { Delivery } from './delivery.js';
import { makeDurable } from './durability.js';
import type { Exclusion } from './exclusion.js';
import { writeRow } from './journal-row.js';
import type { Orphans } from './orphans.js';
import { type PendingUpload, pendingUploads } from './pending.js';
import { isTransient, queueWidth } from './policy.js';
import { UploadQueue, type Verdict } from './queue.js';
import { Storing } from './storing.js';
import { TransferPlaces } from './transfer-places.js';

interface UploaderParts {
  readonly contents: Contents;
  readonly orphans: Orphans;
  readonly relocation: Relocation;
  readonly exclusion: Exclusion;
}

export class Uploader {
  readonly #core: Core;
  readonly #delivery: Delivery;
  readonly #abandoned: AbandonedUploads;
  readonly #queue: UploadQueue;
  readonly #places: TransferPlaces;
  readonly #exclusion: Exclusion;
  readonly #storing: Storing;
  /** The mount ends: no further upload begins. */
  #isEnding = false;
  isPaused = false;

  /** `onSpace` is called with the change of used space, bytes, after an upload; with null when the provider has no space left. */
  constructor(
    core: Core,
    { contents, orphans, relocation, exclusion }: UploaderParts,
    onSpace: (bytes: number | null) => void,
  ) {
    this.#core = core;
    this.#delivery = new Delivery(core, orphans, relocation);
    this.#abandoned = new AbandonedUploads(core);
    this.#exclusion = exclusion;
    const { transfers } = core.options;
    this.#places = new TransferPlaces(transfers);
    this.#queue = new UploadQueue(core.clock, queueWidth(transfers), (ino) => this.#turn(ino));
    const [delivery, abandoned, places] = [this.#delivery, this.#abandoned, this.#places];
    this.#storing = new Storing(core, { contents, delivery, abandoned, places, onSpace });
  }

  /** Sets how many contents are sent at a time; null: as many as closes wait for, and a few from the queue. */
  setTransfers(transfers: number | null): void {
    this.#places.resize(transfers);
    this.#queue.resize(queueWidth(transfers));
  }

  /** From now on, contents with these names stay here. An upload of such a file that is under way is broken off. */
  async exclude(patterns: readonly string[]): Promise<void> {
    this.#exclusion.set(patterns);
    await this.#breakOff((state) => this.isExcluded(state));
    this.namesChanged();
  }

  /** Does the content stay here because of the name that the file has now? */
  isExcluded({ ino }: FileState): boolean {
    return this.#exclusion.has(ino);
  }

  /** Call this after names have changed: queues contents that stayed here because of a name that they no longer have. */
  namesChanged(): void {
    for (const ino of this.#exclusion.freed()) {
      const state = this.#core.files.state(ino);
      // While a program writes to it, its close decides.
      if (state?.dirty && !state.unlinked && (state.promised || !state.hasWriters())) this.enqueue(state);
    }
  }

  /**
   * close(): stores the changes. Resolves when they are stored, or (write-back) durable on the local disk.
   *
   * A file that was created or emptied and not written yet is only made durable here, and stored at its last close: a
   * shell closes a duplicate of the descriptor before the first byte (`echo x > f`), and an empty file would be
   * uploaded first.
   */
  async flush(state: FileState): Promise<void> {
    await settlePassthroughWrites(this.#core, state);
    if (state.spool?.size !== 0 || state.written) return this.settle(state);
    if (state.unlinked || !state.dirty || state.activeUpload !== null) return;
    const { generation } = state;
    await makeDurable(this.#core, state, 'queued');
    // The next writes were not promised. If they stay incomplete, they must not replace a stored content.
    if (state.generation === generation) state.promised = false;
  }

  /** Like `flush`, without the exception for empty files. */
  async settle(state: FileState): Promise<void> {
    if (state.unlinked || state.spool === null) return;
    if (this.#core.options.writeBack || this.isPaused || this.isExcluded(state)) {
      if (!state.dirty && state.activeUpload === null) return;
      await makeDurable(this.#core, state, 'queued');
      this.enqueue(state);
      return;
    }
    await this.store(state);
  }

  /** Stores the current content, or joins its upload that is under way. */
  async store(state: FileState): Promise<void> {
    while (state.nameLock.isBusy) await state.nameLock.idle();
    if (state.unlinked) return;
    if (state.activeUpload === null && this.isExcluded(state)) return await this.settle(state);
    const upload = state.activeUpload ?? (state.dirty ? this.#storing.begin(state) : null);
    if (upload === null) return;
    upload.waiters++;
    try {
      await upload.done;
    } catch (error) {
      // A rename, a write, a removal or a pause cancelled the upload: it begins again, unless nothing must be stored now.
      if (upload.abort.signal.aborted && !this.#isEnding)
        return await (this.isPaused ? this.settle(state) : this.store(state));
      if (state.dirty && state.activeUpload === null && isTransient(error))
        this.#queue.postpone(state.ino, state.spool?.size ?? 0);
      throw error;
    } finally {
      upload.waiters--;
    }
  }

  /**
   * Queues the content for storing in the background; a failure goes to the journal and the log. While the kernel
   * writes to the file by itself, it is not queued: the last writer's close does that (`released`).
   */
  enqueue(state: FileState): void {
    if (this.#isEnding || state.hasPassthroughWriters() || state.isLeftToNextMount) return;
    if (!this.#exclusion.hold(state.ino)) this.#queue.add(state.ino, state.spool?.size ?? 0, state.generation);
  }

  /** Stores a file when its turn in the queue has come. */
  async #turn(ino: Ino): Promise<Verdict> {
    const state = this.#core.files.state(ino);
    while (state?.nameLock.isBusy) await state.nameLock.idle();
    if (state === undefined || state.unlinked || !state.dirty || state.activeUpload !== null) return 'cancelled';
    if (state.hasPassthroughWriters() || state.isLeftToNextMount || this.#exclusion.hold(ino)) return 'cancelled';
    try {
      await this.#storing.begin(state).done;
      return 'stored';
    } catch (error) {
      if (codeOf(error) === 'EINTR') return 'cancelled';
      return isTransient(error) ? 'transient' : 'refused';
    }
  }

  /** The last close: queues changes that no flush has seen (pages written through mmap after it). */
  released(state: FileState): void {
    if (state.unlinked || !state.dirty || state.failedGeneration === state.generation || state.activeUpload !== null)
      return;
    this.enqueue(state);
    // An upload that has begun writes its own entry. Until then, the existing entry is enough for the next mount.
    const hasBegun = state.activeUpload !== null;
    if (!hasBegun && state.promised && state.journaledGeneration === state.generation)
      this.#core.journal.setState(state.ino, 'queued');
  }

  /**
   * Call this when the name of the file is about to change or go. That must not wait for a transfer, so this cancels the upload. For
   * waiters in close() the upload begins again afterwards. True: the caller must then call `released`, for files without waiters.
   */
  async suspend(state: FileState): Promise<boolean> {
    if (state.activeUpload === null) return false;
    await this.cancel(state);
    return true;
  }

  /**
   * The same for several files; also adopts files that their ended uploads have stored (`adoptStoredAttempt`). Adds to `suspended` the
   * states that the caller must pass to `released`, also if this throws.
   */
  async suspendAll(inos: readonly Ino[], suspended: FileState[]): Promise<void> {
    for (const ino of inos) {
      const state = this.#core.files.state(ino);
      if (state === undefined) continue;
      if (await this.suspend(state)) suspended.push(state);
      await this.adoptStoredAttempt(state);
    }
  }

  /** Cancels the upload of a state and waits for its end. */
  async cancel(state: FileState): Promise<void> {
    while (state.activeUpload !== null) {
      state.activeUpload.abort.abort(new ProviderError('aborted', 'not wanted any more'));
      await state.activeUpload.done.catch(() => undefined);
    }
  }

  /**
   * Call this before the name of a file changes, after its upload has ended. An upload with an unknown result may have stored the file at
   * the provider; if so, the inode takes that file as its remote side.
   */
  async adoptStoredAttempt(state: FileState): Promise<void> {
    if (state.attempts.size > 0) await this.#delivery.adoptStoredAttempt(inodeOf(this.#core, state.ino), state);
  }

  /** Like `adoptStoredAttempt`, before a file is removed: also clears the unfinished upload. */
  async abandon(state: FileState): Promise<void> {
    if (state.attempts.size === 0) return;
    this.#core.journal.abandon(state.ino);
    await this.#abandoned.clear();
    await this.adoptStoredAttempt(state);
  }

  /** All contents that are not stored yet, oldest first; paths as seen from the directory `root`. */
  pending(root: Ino): Promise<PendingUpload[]> {
    return pendingUploads(this.#core, this.#exclusion, root);
  }

  /** Retries all failed uploads; returns their number. */
  retryFailed(): number {
    const failed = this.#core.journal.all().filter((row) => row.state === 'failed');
    for (const row of failed) {
      const state = this.#core.files.state(row.ino);
      if (state === undefined || state.spool === null) continue;
      state.dirty = true;
      // The person who asks for a retry wants the content stored as it is, even if writing it was cut short.
      state.promised = true;
      this.#core.journal.setState(row.ino, 'queued');
      this.enqueue(state);
    }
    this.#queue.runNow();
    return failed.length;
  }

  /**
   * Sends no content until `resume`. Each close(), also one that waits now, makes its content durable here, as in write-back mode.
   * Uploads under way are broken off, and resume from there.
   */
  async pause(): Promise<void> {
    this.isPaused = true;
    this.#queue.pause();
    await this.#breakOff(() => true);
  }

  async #breakOff(isMeant: (state: FileState) => boolean): Promise<void> {
    const meant = [...this.#core.files.states()].filter(isMeant);
    await Promise.all(meant.map(async (state) => ((await this.suspend(state)) ? this.released(state) : undefined)));
  }

  resume(): void {
    this.isPaused = false;
    this.#queue.resume();
  }

  /** Cancels all uploads; their contents wait in the journal for the next mount. */
  async interrupt(): Promise<void> {
    const { log } = this.#core;
    this.#isEnding = true;
    this.#queue.end();
    // In parallel: in sequence, each would wait for the end of the one before.
    await Promise.all([...this.#core.files.states()].map((state) => this.cancel(state)));
    for (const state of this.#core.files.states()) {
      // A close() may have begun another upload meanwhile.
      await this.cancel(state);
      const { spool } = state;
      notePassthroughWrites(this.#core, state);
      if (spool === null || state.unlinked || !state.dirty) continue;
      try {
        await settlePassthroughWrites(this.#core, state);
        if (state.durableGeneration !== state.generation) await spool.sync();
        // There may be more waiting contents than file descriptors.
        if (state.handles.size === 0) await spool.close();
      } catch (error) {
        // One broken spool file must not prevent the others from being made safe.
        log.error({ ino: state.ino }, `${pathOf(this.#core, state.ino)} may not be safe: ${messageOf(error)}`);
      }
      if (state.unlinked || state.failedGeneration === state.generation) continue;
      if (isQueued(this.#core, state)) continue;
      // A file that is still being written was promised nothing, unless by an fsync(2).
      const asWritten = state.promised ? 'synced' : 'open';
      writeRow(this.#core, state, spool, state.hasWriters() ? asWritten : 'queued');
    }
    await this.#core.state.durable();
  }

  /**
   * Stores all waiting contents without delay. Resolves when no upload is under way. Contents that remain were
   * refused, or the provider is unavailable, as one try has shown.
   */
  async drain(): Promise<void> {
    this.#queue.runNow();
    for (;;) {
      const uploads = [...this.#core.files.states()].flatMap((state) => state.activeUpload?.done ?? []);
      if (uploads.length === 0 && !this.#queue.isBusy) return this.#abandoned.clear();
      await Promise.allSettled([...uploads, this.#queue.idle()]);
    }
  }
}

/** Does the journal already say that this very content waits for its upload, and can no writer change it? */
function isQueued({ journal }: Core, state: FileState): boolean {
  if (state.journaledGeneration !== state.generation || state.hasWriters()) return false;
  return journal.stateOf(state.ino) === 'queued';
}
