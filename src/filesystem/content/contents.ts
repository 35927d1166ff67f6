/**
 * The content of files: where reads come from, where writes go.
 *
 * Invariant: a file with a spool file is read from it; any other is read from the revision that its handle is pinned to,
 * through the block cache. The first write creates the spool file.
 */
import { fromMs, strictlyAfter } from '../../base/timespec.js';
import { ProviderError } from '../../providers/errors.js';
import type { RemoteFile } from '../../providers/provider.js';
import type { ReadBase, SpoolFile } from '../../spool/spool-file.js';
import { type Ino, remoteFileOf } from '../../tree/inode.js';
import { dropCapability } from '../attributes/capabilities.js';
import { orAborted } from '../core/abortable.js';
import type { Core } from '../core/core.js';
import { inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { type FileState, type Handle, pinnedAlike } from '../core/open-files.js';
import { notePassthroughWrites, settlePassthroughWrites } from './passthrough-writes.js';
import { readAhead } from './read-ahead-share.js';
import type { Relocation } from './relocation.js';
import { revalidate } from './revalidation.js';
import { baseOf, pin } from './revisions.js';
import { createSpool, returnToCache } from './spool-files.js';

/**
 * Largest base, as a share of the cache's limit, that is fetched as a whole when a part of it is needed: it must stay in
 * the cache until then.
 */
const CONFIRMED_SHARE = 1 / 2;

export class Contents {
  readonly #core: Core;
  readonly #relocation: Relocation;
  /** Called when no program can read a file any more. */
  onAbandoned: (state: FileState) => void = () => {};

  constructor(core: Core, relocation: Relocation) {
    this.#core = core;
    this.#relocation = relocation;
  }

  async read(handle: Handle, into: Uint8Array, offset: number): Promise<number> {
    const { state } = handle;
    const { spool } = state;
    if (state.writeDetector !== null) notePassthroughWrites(this.#core, state);
    if (spool !== null && !handle.isOnOldRevision) return spool.read(into, offset, this.readBase(state, spool));
    const before = handle.pinned;
    if (before === null) return 0;
    if (handle.isCorrupt) throw new FsError('EIO', `${before.name} was damaged on its way here; open it again`);
    const isStill = (): boolean => handle.pinned === before && (state.spool === null || handle.isOnOldRevision);
    try {
      if (handle.isOutdated) throw new ProviderError('revision-changed', `${before.name} was changed`, { data: {} });
      const count = await this.#readPinned(handle, before, into, offset);
      // Otherwise a spool file was stored, or the content changed, during the read: read the current content.
      if (isStill()) {
        handle.hasRead = true;
        return count;
      }
    } catch (error) {
      // The file may be moving aside at the provider: wait, then read it there.
      if (state.removal.isBusy) await state.removal.idle();
      if (isStill()) {
        const now = await revalidate(this.#core, handle, error);
        for (const one of pinnedAlike(handle)) pin(this.#core, one, now);
      }
    }
    return this.read(handle, into, offset);
  }

  async write(handle: Handle, data: Uint8Array, offset: number | 'end', signal?: AbortSignal): Promise<number> {
    const { state } = handle;
    dropCapability(this.#core, state.ino);
    await this.change(
      state,
      () => baseOf(this.#core, state, handle),
      signal,
      async (spool) => {
        if (offset === 'end') await spool.append(data);
        else await spool.write(data, offset);
        state.written = true;
      },
    );
    return data.length;
  }

  /** Changes the size, through `handle` or (null) by name. */
  truncate(state: FileState, handle: Handle | null, size: number, signal?: AbortSignal): Promise<void> {
    // Truncating to 0 by name drops the base: nothing of it is needed.
    const isNew = handle === null && size === 0;
    const base = () => (isNew ? remoteFileOf(inodeOf(this.#core, state.ino)) : baseOf(this.#core, state, handle));
    return this.change(state, base, signal, async (spool) => {
      // Journal first: if its row promised more bytes than the file holds, zeros would be uploaded.
      const isLess = size < spool.size && !state.unlinked;
      if (isLess) this.#core.journal.shrink(state.ino, size);
      if (isLess && state.promised) await this.#core.state.durable();
      await spool.truncate(size);
      // A concurrent fsync(2) may have written the former size to the journal meanwhile.
      if (isLess) this.#core.journal.shrink(state.ino, size);
      if (isLess && size === 0) this.#core.journal.truncationDone(state.ino);
      if (size === 0) state.written = false;
    });
  }

  /**
   * Changes the content in its spool file, which is created if there is none. If a close() waits for the result of an upload, the change
   * waits for the upload; otherwise it cancels the upload.
   */
  async change(
    state: FileState,
    base: () => RemoteFile | null,
    signal: AbortSignal | undefined,
    act: (spool: SpoolFile) => Promise<void>,
  ): Promise<void> {
    while (state.activeUpload !== null || state.spool === null) {
      if (signal?.aborted) throw new FsError('EINTR', 'interrupted');
      await orAborted(this.#makeWritable(state, base), signal);
    }
    notePassthroughWrites(this.#core, state);
    const { spool } = state;
    // No `await` between here and the start of `act`: an upload that begins later waits for the change.
    const before = { dirty: state.dirty, generation: ++state.generation };
    if (state.journaledGeneration === before.generation - 1 && !state.unlinked) {
      this.#core.journal.changing(state.ino, state.promised ? 'synced' : 'open');
    }
    state.dirty = true;
    try {
      await state.pendingChanges.during(() => act(spool));
      const last = state.mtime ?? this.#core.table.get(state.ino)?.overlay.mtime ?? null;
      state.mtime = strictlyAfter(last, fromMs(this.#core.clock.now()));
    } catch (error) {
      // The disk refused the first change: there is nothing to store.
      if (!before.dirty && state.generation === before.generation) state.dirty = false;
      throw error;
    }
  }

  /** Waits until the content of an open file is a writable spool file; creates it if there is none. */
  async makeChangeable(state: FileState, handle: Handle): Promise<void> {
    while (state.activeUpload !== null || state.spool === null) {
      await this.#makeWritable(state, () => baseOf(this.#core, state, handle));
    }
  }

  /** Creates an empty content for a file that has none. */
  createEmpty(state: FileState): Promise<void> {
    return this.change(
      state,
      () => baseOf(this.#core, state, null),
      undefined,
      () => Promise.resolve(),
    );
  }

  /** One step towards a writable spool file; the caller repeats it. */
  async #makeWritable(state: FileState, base: () => RemoteFile | null): Promise<void> {
    if (state.activeUpload !== null) {
      // A close() waits for this content to be stored: let the upload end. If nobody waits, cancel it; the content is
      // uploaded later.
      if (state.activeUpload.waiters === 0)
        state.activeUpload.abort.abort(new ProviderError('aborted', 'written again'));
      await state.activeUpload.done.catch(() => undefined);
      return;
    }
    state.spoolCreation ??= createSpool(this.#core, this.#relocation, state, base()).finally(() => {
      state.spoolCreation = null;
    });
    await state.spoolCreation;
  }

  /** Returns the function that reads the bytes which a spool file still takes from its base. */
  readBase(state: FileState, spool: SpoolFile): ReadBase {
    return async (into, offset, sequentialUntil = 0) => {
      const { base } = spool;
      if (base === null) throw new FsError('EIO', 'the content has no base');
      state.baseReader ??= this.#core.readers.acquire(base);
      if (sequentialUntil > 0) state.baseReader.prefetchSequential(offset, sequentialUntil);
      await state.baseReader.read(into, offset);
      // These bytes will be stored, so they must be proven first.
      await state.baseReader.proven();
    };
  }

  /**
   * Fetches all that the spool file still needs of its base, before the content is stored as ours. The whole base is
   * verified first; the extra bytes fetched for that are fewer than the upload sends.
   */
  async fill(state: FileState, spool: SpoolFile, signal?: AbortSignal): Promise<void> {
    const { readers } = this.#core;
    const { base } = spool;
    if (base !== null && !spool.isComplete() && base.size <= readers.cache.limit * CONFIRMED_SHARE) {
      state.baseReader ??= readers.acquire(base);
      await state.baseReader.readToVerdict(signal);
    }
    await spool.fill(this.readBase(state, spool), signal);
  }

  /**
   * Runs `act`, which removes the name of a file. The provider serves nothing from its trash, so `act` keeps the file
   * readable for the handles that have it open (`AsideFiles`, `fetchForReaders`). An open that comes meanwhile waits
   * for the outcome (`FileState.removal`).
   */
  whileRemoving<T>(state: FileState, act: () => Promise<T>): Promise<T> {
    state.lastRevision = remoteFileOf(inodeOf(this.#core, state.ino));
    return state.removal.during(act);
  }

  /** Fetches everything that open handles may still read. */
  fetchForReaders(state: FileState, signal?: AbortSignal): Promise<void> {
    return state.fetching.during(() => this.#fetchForReaders(state, signal));
  }

  async #fetchForReaders(state: FileState, signal?: AbortSignal): Promise<void> {
    for (let reader = readerOfMissing(state); reader !== null; reader = readerOfMissing(state)) {
      const { spool } = state;
      const base = reader;
      if (spool === null)
        await orAborted(
          this.#makeWritable(state, () => baseOf(this.#core, state, base)),
          signal,
        );
      else await spool.fill(this.readBase(state, spool), signal);
    }
  }

  /** Puts the whole content into a spool file. An unchanged one is removed by the next `discardUnchanged`. */
  async materialize(state: FileState, signal?: AbortSignal): Promise<SpoolFile> {
    while (state.spool === null)
      await orAborted(
        this.#makeWritable(state, () => baseOf(this.#core, state, null)),
        signal,
      );
    await settlePassthroughWrites(this.#core, state);
    await this.fill(state, state.spool, signal);
    return state.spool;
  }

  /**
   * Runs `act`, which changes the names of these files. Nothing else changes them meanwhile, and no upload of them
   * begins. Afterwards, spool files that were created but not changed are dropped.
   */
  async withNameLocks<T>(inos: readonly Ino[], act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { files } = this.#core;
    try {
      return await files.withNameLocks(inos, act, signal);
    } finally {
      for (const ino of inos) {
        const state = files.state(ino);
        if (state !== undefined) await this.discardUnchanged(state);
      }
    }
  }

  /** Drops a spool file that was created and never changed (the disk was full, or a removal of its file failed). */
  async discardUnchanged(state: FileState): Promise<void> {
    const { spool } = state;
    if (spool === null || state.dirty || state.handles.size > 0 || state.hasMappings() || state.activeUpload !== null)
      return;
    // Readers need this file, or its bytes are still being fetched for them: it must not vanish meanwhile.
    if (state.nameLock.isBusy || state.fetching.isBusy) return;
    const { table, journal, files, invalidate } = this.#core;
    const inode = table.get(state.ino);
    // Another client has removed the file meanwhile. Without this content nothing is left of it here either.
    const isGone = inode !== undefined && inode.parent !== null && inode.remote === null;
    table.transaction(() => {
      journal.remove(state.ino);
      if (inode !== undefined) table.update(state.ino, { localSize: null, ...(isGone ? { parent: null } : {}) });
    });
    if (isGone && inode.parent !== null) invalidate({ kind: 'entry', parent: inode.parent, name: inode.name });
    // Nobody needs the bytes of a removed file in the cache.
    const taken = state.unlinked ? null : state.cacheCrcs;
    this.dropSpool(state);
    files.forgetIfUnused(state);
    if (!(await returnToCache(this.#core, spool, taken))) await this.removeSpool(spool);
  }

  /** Removes a spool file whose row is gone, or that never had one. */
  async removeSpool(spool: SpoolFile): Promise<void> {
    await spool.remove();
    this.#core.journal.garbageRemoved(spool.name);
  }

  /**
   * The name is gone for good: drops the content that was not stored, once no handle is open or can be opened. The
   * caller does not wait for the removal of the spool file, which may be large or in the middle of a sync; the journal
   * lists it as dropped.
   */
  abandon(state: FileState): void {
    const { spool } = state;
    if (this.#core.files.isReferenced(state.ino) || state.handles.size > 0 || state.hasMappings()) return;
    if (state.fetching.isBusy) return;
    this.onAbandoned(state);
    if (spool === null) return;
    this.dropSpool(state);
    this.#core.files.forgetIfUnused(state);
    this.removeSpool(spool).catch((error) => this.#core.log.warn({ error }, `${spool.path} stays for now`));
  }

  /** Detaches the spool file from a state. The caller keeps or removes the file itself. */
  dropSpool(state: FileState): void {
    if (state.baseReader !== null) this.#core.readers.release(state.baseReader);
    state.baseReader = null;
    state.spool = null;
    state.cacheCrcs = null;
    if (state.backing?.owner === 'spool') state.backing = null;
    state.dirty = false;
    state.written = false;
    state.promised = false;
    state.attempts.clear();
    state.journaledGeneration = -1;
  }

  async #readPinned(handle: Handle, file: RemoteFile, into: Uint8Array, offset: number): Promise<number> {
    if (offset >= file.size) return 0;
    handle.reader ??= this.#core.readers.acquireAnew(file);
    readAhead(handle, handle.reader, this.#core.readers.cache.limit, into.length, offset);
    return handle.reader.read(into, offset);
  }
}

/** The first handle that may read bytes that are only at the provider; null: none. */
function readerOfMissing({ handles, spool }: FileState): Handle | null {
  for (const handle of handles) {
    if (spool === null ? handle.pinned !== null : !spool.isComplete()) return handle;
  }
  return null;
}
