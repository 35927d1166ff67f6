/**
 * Brings changed content to the provider: at close (the default), from the queue (write-back), after a crash.
 *
 * The journal row is written before each act, and goes in the same transaction in which the inode gets its new remote
 * side. What cannot be stored stays in its spool file, readable through the mount, with the reason in the journal.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import { BLOCK_BYTES } from '../../cache/blocks.js';
import { ProviderError } from '../../providers/errors.js';
import type { RemoteFile } from '../../providers/provider.js';
import { WaitBudget } from '../../providers/wait-budget.js';
import { completeState, type Digest, type SpoolFile } from '../../spool/spool-file.js';
import { type Ino, type Inode, remoteFileOf } from '../../tree/inode.js';
import { withContentTimes } from '../attributes/attributes.js';
import type { Contents } from '../content/contents.js';
import { notePassthroughWrites, settlePassthroughWrites } from '../content/passthrough-writes.js';
import { promoteToCache } from '../content/promotion.js';
import type { Relocation } from '../content/relocation.js';
import { orAborted } from '../core/abortable.js';
import { type Core, inodeOf, pathOf } from '../core/core.js';
import { toFsError } from '../core/errno.js';
import { markLogged } from '../core/failure-log.js';
import { type ErrnoName, FsError } from '../core/fs-error.js';
import type { FileState, ActiveUpload as Upload } from '../core/open-files.js';
import { AbandonedUploads } from './abandoned-uploads.js';
import { Delivery } from './delivery.js';
import { writeRow } from './journal-row.js';
import { rebaseMapped } from './mapped-upload.js';
import type { Orphans } from './orphans.js';
import { type PendingUpload, pendingUploads } from './pending.js';
import { isTransient } from './policy.js';
import { UploadQueue, type Verdict } from './queue.js';
import { followRemoteMove, freeName, hasMoved, releaseDuplicate } from './remote-moves.js';
import { requireBudgetToStore } from './request-budget.js';

/** Contents up to this size are promised by the journal alone, bytes: one sync of the disk instead of two. */
const INLINE_BYTES = 64 * 1024;

export type { PendingUpload } from './pending.js';

/** How an upload ended. */
interface Stored {
  readonly remote: RemoteFile;
  readonly isConflict: boolean;
  readonly digest: Digest;
  /** Of the content that was sent. */
  readonly generation: number;
}

export class Uploader {
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #delivery: Delivery;
  readonly #abandoned: AbandonedUploads;
  readonly #queue: UploadQueue;
  /** Told of bytes that we stored, and (null) that there is no room for more. */
  onSpace: (bytes: number | null) => void = () => {};
  /** The mount ends: nothing new is begun. */
  #isEnding = false;

  constructor(core: Core, contents: Contents, orphans: Orphans, relocation: Relocation) {
    this.#core = core;
    this.#contents = contents;
    this.#delivery = new Delivery(core, orphans, relocation);
    this.#abandoned = new AbandonedUploads(core);
    this.#queue = new UploadQueue(core.clock, (ino) => this.#turn(ino));
  }

  /**
   * close(): stores what changed and answers when it is stored, or (write-back) when it is safe on the local disk.
   *
   * A file that was made or emptied and not written yet is made safe here, and stored at its last close: a shell closes a
   * duplicate of the descriptor before the first byte (`echo x > f`), and an upload of nothing would come first.
   */
  async flush(state: FileState): Promise<void> {
    await settlePassthroughWrites(this.#core, state);
    if (state.spool?.size !== 0 || state.written) return this.settle(state);
    if (state.unlinked || !state.dirty || state.activeUpload !== null) return;
    const { generation } = state;
    await this.makeDurable(state, 'queued');
    // What is written next was promised to nobody: should it stay half done, it does not take the place of anything.
    if (state.generation === generation) state.promised = false;
  }

  /** As `flush`, whatever was written. */
  async settle(state: FileState): Promise<void> {
    if (state.unlinked || state.spool === null) return;
    if (this.#core.options.writeBack) {
      if (!state.dirty && state.activeUpload === null) return;
      await this.makeDurable(state, 'queued');
      this.enqueue(state);
      return;
    }
    await this.store(state);
  }

  /** fsync(): content and journal on the disk. */
  async makeDurable(state: FileState, until: 'synced' | 'queued'): Promise<void> {
    await settlePassthroughWrites(this.#core, state);
    const { spool, generation } = state;
    // It goes on being written without a word, and the row has to say so.
    const as = state.watch === null ? until : 'synced';
    if (spool === null || state.unlinked || (state.durableGeneration === generation && as === 'synced')) return;
    // What is written from here on is not part of the promise, and may not reach the disk with it.
    const content = spool.state();
    const inline = await spool.content(INLINE_BYTES);
    if (inline === null) await spool.sync();
    // Stored or dropped in the meantime: there is nothing left to promise.
    if (state.spool !== spool) return;
    if (state.activeUpload === null && state.generation === generation)
      writeRow(this.#core, state, spool, as, { inline });
    else if (state.activeUpload === null)
      writeRow(this.#core, state, spool, 'synced', {
        content: inline === null ? spool.truncatedState(content) : completeState(inline.length),
        generation,
        inline,
      });
    state.promised = true;
    await this.#core.state.durable();
    state.durableGeneration = Math.max(state.durableGeneration, generation);
  }

  /** The upload in which the present content is stored, waiting for the one under way where there is one. */
  async store(state: FileState): Promise<void> {
    while (state.nameLock.isBusy) await state.nameLock.idle();
    if (state.unlinked) return;
    const upload = state.activeUpload ?? (state.dirty ? this.#begin(state) : null);
    if (upload === null) return;
    upload.waiters++;
    try {
      await upload.done;
    } catch (error) {
      if (upload.isSuspended && !this.#isEnding) return await this.store(state);
      if (state.dirty && state.activeUpload === null && isTransient(error))
        this.#queue.postpone(state.ino, state.spool?.size ?? 0);
      throw error;
    } finally {
      upload.waiters--;
    }
  }

  /**
   * Stores in its turn, in the background; a failure is in the journal and the log. What is written without a word is to rest
   * first: the last of its writers brings it here (`released`).
   */
  enqueue(state: FileState): void {
    if (!this.#isEnding && !state.hasPassthroughWriters() && !state.isLeftToNextMount)
      this.#queue.add(state.ino, state.spool?.size ?? 0, state.generation);
  }

  /** The turn of a file that waited in the queue. */
  async #turn(ino: Ino): Promise<Verdict> {
    const state = this.#core.files.state(ino);
    while (state?.nameLock.isBusy) await state.nameLock.idle();
    if (state === undefined || state.unlinked || !state.dirty || state.activeUpload !== null) return 'cancelled';
    if (state.hasPassthroughWriters() || state.isLeftToNextMount) return 'cancelled';
    try {
      await this.#begin(state).done;
      return 'stored';
    } catch (error) {
      if (codeOf(error) === 'EINTR') return 'cancelled';
      return isTransient(error) ? 'transient' : 'refused';
    }
  }

  /** The last close: what no flush has seen (pages written through mmap after it) is stored in the background. */
  released(state: FileState): void {
    if (state.unlinked || !state.dirty || state.failedGeneration === state.generation || state.activeUpload !== null)
      return;
    if (state.promised && state.journaledGeneration === state.generation)
      this.#core.journal.setState(state.ino, 'queued');
    this.enqueue(state);
  }

  /**
   * The name of the file is about to change, which waits for no content: its upload is cancelled, and begins anew afterwards for
   * those who wait in close(). True: `released` is to be called then, for the others.
   */
  async suspend(state: FileState): Promise<boolean> {
    if (state.activeUpload === null) return false;
    state.activeUpload.isSuspended = true;
    await this.cancel(state);
    return true;
  }

  /** Cancels the upload of a state and waits for its end. */
  async cancel(state: FileState): Promise<void> {
    while (state.activeUpload !== null) {
      state.activeUpload.abort.abort(new ProviderError('aborted', 'not wanted any more'));
      await state.activeUpload.done.catch(() => undefined);
    }
  }

  /**
   * Before the name of a file changes: an upload whose end nobody saw may have stored it at the provider, which is then
   * part of what the name stands for. Its upload must have ended.
   */
  async adoptStoredAttempt(state: FileState): Promise<void> {
    if (state.attempts.size > 0) await this.#delivery.adoptStoredAttempt(inodeOf(this.#core, state.ino), state);
  }

  /** As `learn`, before a file goes: nothing of the upload is to stay. */
  async abandon(state: FileState): Promise<void> {
    if (state.attempts.size === 0) return;
    this.#core.journal.abandon(state.ino);
    await this.#abandoned.clear();
    await this.adoptStoredAttempt(state);
  }

  /** Everything not stored yet, oldest first; paths as seen from the directory `root`. */
  pending(root: Ino): PendingUpload[] {
    return pendingUploads(this.#core, root);
  }

  /** The present content cannot be stored: it waits in the spool, with the reason in the journal. */
  refuse(state: FileState, code: ErrnoName, message: string): void {
    state.failedGeneration = state.generation;
    this.#core.journal.setState(state.ino, 'failed', { code, message });
  }

  /** Tries everything that failed again; answers how many. */
  retryFailed(): number {
    const failed = this.#core.journal.all().filter((row) => row.state === 'failed');
    for (const row of failed) {
      const state = this.#core.files.state(row.ino);
      if (state === undefined || state.spool === null) continue;
      state.dirty = true;
      // Whoever asks for it wants it stored as it is, also one that was cut off in the midst of being written.
      state.promised = true;
      this.#core.journal.setState(row.ino, 'queued');
      this.enqueue(state);
    }
    this.#queue.runNow();
    return failed.length;
  }

  /** Ends all uploads; what they were about waits in the journal for the next mount. */
  async interrupt(): Promise<void> {
    const { log } = this.#core;
    this.#isEnding = true;
    this.#queue.end();
    // All at once, lest each waits for its outcome behind the others.
    await Promise.all([...this.#core.files.states()].map((state) => this.cancel(state)));
    for (const state of this.#core.files.states()) {
      // Somebody's close() may have begun another meanwhile.
      await this.cancel(state);
      const { spool } = state;
      notePassthroughWrites(this.#core, state);
      if (spool === null || state.unlinked || !state.dirty) continue;
      try {
        await settlePassthroughWrites(this.#core, state);
        await spool.sync();
      } catch (error) {
        // One broken spool file must not keep the others from being safe.
        log.error({ ino: state.ino }, `${pathOf(this.#core, state.ino)} may not be safe: ${messageOf(error)}`);
      }
      if (state.failedGeneration === state.generation) continue;
      // A file that is still being written was promised nothing.
      const asWritten = state.promised ? 'synced' : 'open';
      writeRow(this.#core, state, spool, state.hasWriters() ? asWritten : 'queued');
    }
    await this.#core.state.durable();
  }

  /**
   * Stores all that waits, without delay; resolves when nothing is under way. What is not stored then cannot be: it was
   * refused, or the provider does not answer, as one try has shown.
   */
  async drain(): Promise<void> {
    this.#queue.runNow();
    for (;;) {
      const uploads = [...this.#core.files.states()].flatMap((state) => state.activeUpload?.done ?? []);
      if (uploads.length === 0 && !this.#queue.isBusy) return this.#abandoned.clear();
      await Promise.allSettled([...uploads, this.#queue.idle()]);
    }
  }

  #begin(state: FileState): Upload {
    const abort = new AbortController();
    state.sent = 0;
    const upload: Upload = {
      abort,
      waiters: 0,
      isSuspended: false,
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
    const { table, log } = this.#core;
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
      // While the disk writes. What goes wrong shows to who waits for it.
      if (spool.isComplete()) digest().catch(() => undefined);
      // After a power cut the next mount uploads what a row says: by then the bytes must be there.
      if (state.durableGeneration !== state.generation) await orAborted(spool.sync(), signal);
      if (state.journaledGeneration !== state.generation) writeRow(this.#core, state, spool, 'uploading');
      if (!spool.isComplete()) await this.#fill(state, spool, signal);
      // What an earlier try of other bytes left may stand in the way of this one.
      await orAborted(this.#abandoned.clear(), signal);
      const content = { state, spool, digest, signal, waitBudget: new WaitBudget() };
      const { remote, isConflict } = await this.#delivery.deliver(state.ino, content);
      await this.#stored(state, spool, { remote, isConflict, digest: await digest(), generation });
    } catch (error) {
      if (signal.aborted) {
        if (!state.unlinked) this.#core.journal.setState(state.ino, state.promised ? 'synced' : 'open');
        throw new FsError('EINTR', 'the upload was cancelled', { cause: error });
      }
      const failure = toFsError(error);
      log.error(
        { ino: state.ino, errno: failure.code, code: codeOf(error), ...failure.data },
        `${pathOf(this.#core, state.ino)} is not stored: ${failure.message}`,
      );
      markLogged(failure);
      if (failure.code === 'ENOSPC') this.onSpace(null);
      const { options, provider } = this.#core;
      const isInTrash =
        codeOf(failure.cause) === 'quota' && options.disposal === 'trash' && provider.capabilities.trash;
      const hint = isInTrash ? '; what was removed may hold its space in the trash of the service' : '';
      this.refuse(state, failure.code, `${failure.message}${hint}`);
      table.update(state.ino, { localSize: spool.size });
      throw failure;
    }
  }

  /**
   * Brings in what is still the base's, and makes it safe: once the upload is under way the provider may have our content in
   * the base's place, and nobody gives those bytes again.
   */
  async #fill(state: FileState, spool: SpoolFile, signal: AbortSignal): Promise<void> {
    requireBudgetToStore(this.#core, state.ino, spool);
    await this.#contents.fill(state, spool, signal);
    await orAborted(spool.sync(), signal);
    writeRow(this.#core, state, spool, 'uploading');
    await orAborted(this.#core.state.durable(), signal);
  }

  /** The provider has it: the inode gets its remote side, the handles their new revision, the cache the bytes. */
  async #stored(state: FileState, spool: SpoolFile, { remote, isConflict, digest, generation }: Stored): Promise<void> {
    const { table, journal, directories, clock } = this.#core;
    const before = inodeOf(this.#core, state.ino);
    const was = remoteFileOf(before);
    const isOwnName = !isConflict || before.parent === null;
    const name = isOwnName ? before.name : freeName(this.#core, before.parent, remote, state.ino);
    table.transaction(() => {
      releaseDuplicate(this.#core, state.ino, remote);
      table.update(state.ino, {
        remote,
        name,
        localSize: null,
        confirmedAt: clock.now(),
        overlay: withContentTimes(before.overlay, state.mtime),
      });
      journal.stored(state.ino);
    });
    directories.changes.note('file', remote.id);
    this.onSpace(remote.size - (isConflict || was === null ? 0 : was.size));
    if (isConflict) this.#renamedByConflict(before, name);
    else if (was !== null && hasMoved(was, remote)) followRemoteMove(this.#core, state.ino, was, remote);
    for (const handle of state.handles) {
      if (handle.isOnOldRevision) continue;
      this.#contents.pin(handle, remote);
      // Pages of it are in the kernel since they were written: nobody knows who was shown what.
      handle.hasRead = true;
    }
    if (state.watch !== null) return rebaseMapped(this.#core, state, spool, { remote, crcs: digest.crcs, generation });
    state.mtime = null;
    const { backing } = state;
    this.#contents.dropSpool(state);
    const moved = promoteToCache(this.#core, spool, remote, digest.crcs, backing);
    // The cache has no place for it, and its readers go on: so does the content, with the next write.
    if (backing?.owner === 'readers') state.backing = backing;
    await moved;
  }

  #renamedByConflict(before: Inode, newName: string): void {
    const { parent } = before;
    if (parent === null) return;
    const { invalidate, directories } = this.#core;
    setImmediate(() => {
      for (const name of [before.name, newName]) invalidate({ kind: 'entry', parent, name });
      // Shows the other client's file under the name that ours had.
      directories.refresh(parent).catch(() => undefined);
    });
  }
}
