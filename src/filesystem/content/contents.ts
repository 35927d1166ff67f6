/**
 * The content of files: where reads come from, where writes go.
 *
 * Reads of a file with a spool file come from it; all others from the revision that the handle is pinned to, through the
 * block cache. The first write makes the spool file.
 */
import { following, fromMs } from '../../base/timespec.js';
import { WHOLE_FILE_BYTES } from '../../cache/read-ahead.js';
import { ProviderError } from '../../providers/errors.js';
import type { RemoteFile } from '../../providers/provider.js';
import { revisionKey } from '../../providers/provider.js';
import type { ReadBase, SpoolFile } from '../../spool/spool-file.js';
import { type Ino, remoteFileOf } from '../../tree/inode.js';
import { orAborted } from '../core/abortable.js';
import type { Core } from '../core/core.js';
import { inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { type FileState, type Handle, pinnedAlike, shownRevision } from '../core/open-files.js';
import { notePassthroughWrites, settlePassthroughWrites } from './passthrough-writes.js';
import { readAhead } from './read-ahead-share.js';
import type { Relocation } from './relocation.js';
import { revalidate } from './revalidation.js';
import { createSpool, returnToCache } from './spool-files.js';

/** Of the cache's limit, how large a base may be for all of it to be fetched, and found there by who needs a part of it. */
const CONFIRMED_SHARE = 1 / 2;

export class Contents {
  readonly #core: Core;
  readonly #relocation: Relocation;
  /** Told of a file that nobody can read any more. */
  onAbandoned: (state: FileState) => void = () => {};

  constructor(core: Core, relocation: Relocation) {
    this.#core = core;
    this.#relocation = relocation;
  }

  async read(handle: Handle, into: Uint8Array, offset: number): Promise<number> {
    const { state } = handle;
    const { spool } = state;
    if (state.watch !== null) notePassthroughWrites(this.#core, state);
    if (spool !== null && !handle.isOnOldRevision) return spool.read(into, offset, this.readBase(state, spool));
    const before = handle.pinned;
    if (before === null) return 0;
    if (handle.isCorrupt) throw new FsError('EIO', `${before.name} was damaged on its way here; open it again`);
    const isStill = (): boolean => handle.pinned === before && (state.spool === null || handle.isOnOldRevision);
    try {
      const count = await this.#readPinned(handle, before, into, offset);
      // A spool file was stored meanwhile, or the content is being changed: what counts is the content of now.
      if (isStill()) {
        handle.hasRead = true;
        return count;
      }
    } catch (error) {
      // It may be on its way to where it is kept for its readers.
      if (state.removal.isBusy) await state.removal.idle();
      if (isStill()) {
        const now = await revalidate(this.#core, handle, error);
        for (const one of pinnedAlike(handle)) this.pin(one, now);
      }
    }
    return this.read(handle, into, offset);
  }

  async write(handle: Handle, data: Uint8Array, offset: number | 'end', signal?: AbortSignal): Promise<number> {
    const { state } = handle;
    await this.#change(
      state,
      () => this.baseOf(state, handle),
      signal,
      async (spool) => {
        if (offset === 'end') await spool.append(data);
        else await spool.write(data, offset);
        state.written = true;
      },
    );
    return data.length;
  }

  /** Through `handle`, or by name. */
  truncate(state: FileState, handle: Handle | null, size: number, signal?: AbortSignal): Promise<void> {
    // Of what is emptied by its name nothing is kept.
    const isNew = handle === null && size === 0;
    const base = () => (isNew ? remoteFileOf(inodeOf(this.#core, state.ino)) : this.baseOf(state, handle));
    return this.#change(state, base, signal, async (spool) => {
      // The journal first: a row that promises more than the file holds would have zeros uploaded.
      const isLess = size < spool.size && !state.unlinked;
      if (isLess) this.#core.journal.shrink(state.ino, size);
      if (isLess && state.promised) await this.#core.state.durable();
      await spool.truncate(size);
      // An fsync(2) that began before may have written down meanwhile what the file held then.
      if (isLess) this.#core.journal.shrink(state.ino, size);
      if (isLess && size === 0) this.#core.journal.wasEmptied(state.ino);
      if (size === 0) state.written = false;
    });
  }

  /**
   * Carries out a change of the content on its spool file, which is made where there is none. While an upload is under
   * way, a change waits for it if somebody waits for that upload's verdict, and cancels it if nobody does.
   */
  async #change(
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
    // No `await` between here and the start of the act: an upload that begins later waits for it.
    const before = { dirty: state.dirty, generation: ++state.generation };
    if (state.journaledGeneration === before.generation - 1 && !state.unlinked) {
      this.#core.journal.changing(state.ino, state.promised ? 'synced' : 'open');
    }
    state.dirty = true;
    try {
      await state.pendingChanges.during(() => act(spool));
      const last = state.mtime ?? this.#core.table.get(state.ino)?.overlay.mtime ?? null;
      state.mtime = following(last, fromMs(this.#core.clock.now()));
    } catch (error) {
      // The disk refused the first change: there is nothing to store.
      if (!before.dirty && state.generation === before.generation) state.dirty = false;
      throw error;
    }
  }

  /** Waits until the content of an open file is a spool file that may be changed; makes it where there is none. */
  async makeChangeable(state: FileState, handle: Handle): Promise<void> {
    while (state.activeUpload !== null || state.spool === null) {
      await this.#makeWritable(state, () => this.baseOf(state, handle));
    }
  }

  /** A new content, empty, for a file that has none yet. */
  createEmpty(state: FileState): Promise<void> {
    return this.#change(
      state,
      () => this.baseOf(state, null),
      undefined,
      () => Promise.resolve(),
    );
  }

  /** One step towards a spool file that may be changed. */
  async #makeWritable(state: FileState, base: () => RemoteFile | null): Promise<void> {
    if (state.activeUpload !== null) {
      // Somebody's close() waits for this very content to be stored: let it end. Nobody waits: start over later.
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

  /** How a spool file gets the bytes that are still its base's. */
  readBase(state: FileState, spool: SpoolFile): ReadBase {
    return async (into, offset, goesOnTo = 0) => {
      const { base } = spool;
      if (base === null) throw new FsError('EIO', 'the content has no base');
      state.baseReader ??= this.#core.readers.acquire(base);
      if (goesOnTo > 0) state.baseReader.prefetchSequential(offset, goesOnTo);
      await state.baseReader.read(into, offset);
    };
  }

  /**
   * Brings in what a spool file still needs of its base, which is then stored as ours: only once all of the base is known to
   * be right. What that fetches besides is less than what goes up again.
   */
  async fill(state: FileState, spool: SpoolFile, signal?: AbortSignal): Promise<void> {
    const { readers } = this.#core;
    const { base } = spool;
    if (base !== null && !spool.isComplete() && base.size <= readers.cache.limit * CONFIRMED_SHARE) {
      state.baseReader ??= readers.acquire(base);
      await state.baseReader.confirm(signal);
    }
    await spool.fill(this.readBase(state, spool), signal);
  }

  /** Lets go of the reader of a handle and pins it to another revision. */
  pin(handle: Handle, file: RemoteFile | null): void {
    if (handle.reader !== null) this.#core.readers.release(handle.reader);
    handle.reader = null;
    handle.pinned = file;
    handle.hasRead = false;
    handle.isCorrupt = false;
  }

  /**
   * At an open, where the pages of all who have the file open are one: so is its revision. It is the one that was shown, as
   * long as anybody has it open who was shown it, or else the latest.
   */
  alignRevision(handle: Handle): void {
    const { state, pinned } = handle;
    if (!this.#core.options.sharesPages || pinned === null) return;
    const revision = shownRevision(state) ?? pinned;
    const others = [...state.handles].filter(
      (other) => other.pinned !== null && revisionKey(other.pinned) !== revisionKey(revision),
    );
    for (const other of others) this.pin(other, revision);
    if (others.includes(handle))
      this.#core.log.info({ ino: state.ino }, 'opened in the version that others still read');
  }

  /** What a spool file of the content begins as, where some of that is kept. */
  baseOf(state: FileState, handle: Handle | null): RemoteFile | null {
    if (handle !== null && handle.pinned !== null) return handle.pinned;
    return this.sharedRevision(state) ?? remoteFileOf(inodeOf(this.#core, state.ino));
  }

  /** The revision that all who have the file open share, since it was shown; null where each may have its own. */
  sharedRevision(state: FileState): RemoteFile | null {
    return this.#core.options.sharesPages ? shownRevision(state) : null;
  }

  /**
   * At an open: may pages that the kernel has of an earlier one stay? Not while nobody knows whether they are right. The
   * reader is there from now on, and remembers what it shows.
   */
  mayKeepPages(handle: Handle): boolean {
    const { pinned, state } = handle;
    if (this.#core.options.sharesPages) return false;
    // A small file is shown only when all of it is known to be right.
    if (pinned === null || pinned.md5 === null || pinned.size <= WHOLE_FILE_BYTES || state.spool !== null) return true;
    handle.reader ??= this.#core.readers.acquire(pinned);
    return handle.reader.isSound;
  }

  /**
   * Takes the name of a file away, by `act`. The provider gives out nothing from its trash: `act` sees to it that those who have the
   * file open still find it (`AsideFiles`, `fetchForReaders`). Who opens it meanwhile waits for the outcome (`FileState.removal`).
   */
  whileRemoving<T>(state: FileState, act: () => Promise<T>): Promise<T> {
    state.lastRevision = remoteFileOf(inodeOf(this.#core, state.ino));
    return state.removal.during(act);
  }

  /** Brings here what those who have the file open may still ask for. */
  async fetchForReaders(state: FileState, signal?: AbortSignal): Promise<void> {
    for (let reader = readerOfMissing(state); reader !== null; reader = readerOfMissing(state)) {
      const { spool } = state;
      const base = reader;
      if (spool === null)
        await orAborted(
          this.#makeWritable(state, () => this.baseOf(state, base)),
          signal,
        );
      else await spool.fill(this.readBase(state, spool), signal);
    }
  }

  /** The whole content as a spool file, however it is kept now. It is forgotten with the next `discardUnchanged`. */
  async materialize(state: FileState, signal?: AbortSignal): Promise<SpoolFile> {
    while (state.spool === null)
      await orAborted(
        this.#makeWritable(state, () => this.baseOf(state, null)),
        signal,
      );
    await settlePassthroughWrites(this.#core, state);
    await this.fill(state, state.spool, signal);
    return state.spool;
  }

  /** The provider moved or renamed the file, maybe under a new id: the same bytes, to be asked for by another name. */
  noteMoved(state: FileState, file: RemoteFile): void {
    const { spool, baseReader } = state;
    if (spool?.base != null && isSameContent(spool.base, file)) {
      spool.baseMoved(file);
      this.#core.journal.setBase(state.ino, file);
      if (baseReader !== null && baseReader.key !== revisionKey(file)) {
        this.#core.readers.release(baseReader);
        state.baseReader = null;
      }
    }
    for (const handle of state.handles) {
      if (handle.pinned === null || handle.isOnOldRevision || !isSameContent(handle.pinned, file)) continue;
      if (revisionKey(handle.pinned) === revisionKey(file)) {
        handle.pinned = file;
        continue;
      }
      const { hasRead } = handle;
      this.pin(handle, file);
      handle.hasRead = hasRead;
    }
  }

  /** Runs a change of the names of some files; nothing else changes them meanwhile, and no upload of them begins. */
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

  /** Forgets a spool file that was made and never changed (the disk was full, or its file was to go and did not). */
  async discardUnchanged(state: FileState): Promise<void> {
    const { spool } = state;
    if (spool === null || state.dirty || state.handles.size > 0 || state.hasMappings() || state.activeUpload !== null)
      return;
    // What a change of the name kept for its readers is not to go under its hands.
    if (state.nameLock.isBusy) return;
    const { table, journal, files } = this.#core;
    table.transaction(() => {
      journal.remove(state.ino);
      if (table.get(state.ino) !== undefined) table.update(state.ino, { localSize: null });
    });
    // Of a file that is gone nobody wants a copy.
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
   * The name is gone for ever: so is what was not stored, once nobody has it open or may be about to open it. Nobody waits for
   * its file to go, which may be large or in the midst of a sync; the journal has it as dropped.
   */
  abandon(state: FileState): void {
    const { spool } = state;
    if (this.#core.files.isReferenced(state.ino) || state.handles.size > 0 || state.hasMappings()) return;
    this.onAbandoned(state);
    if (spool === null) return;
    this.dropSpool(state);
    this.#core.files.forgetIfUnused(state);
    this.removeSpool(spool).catch((error) => this.#core.log.warn({ error }, `${spool.path} stays for now`));
  }

  /** Lets go of the spool file of a state; the file itself is the caller's to keep or remove. */
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
    handle.reader ??= this.#core.readers.acquire(file);
    readAhead(handle, handle.reader, this.#core.readers.cache.limit, into.length, offset);
    return handle.reader.read(into, offset);
  }
}

/** Who has the file open and may ask for bytes that are only at the provider; null: nobody. */
function readerOfMissing({ handles, spool }: FileState): Handle | null {
  for (const handle of handles) {
    if (spool === null ? handle.pinned !== null : !spool.isComplete()) return handle;
  }
  return null;
}

/** Two descriptions of the same bytes, as far as the provider tells. */
function isSameContent(a: RemoteFile, b: RemoteFile): boolean {
  return a.size === b.size && a.md5 === b.md5;
}
