/**
 * The content of files: where reads come from, where writes go.
 *
 * Reads of a file with a spool file come from it; all others from the revision that the handle is pinned to, through the
 * block cache. The first write makes the spool file.
 */
import { fromMs } from '../base/timespec.js';
import { planReadAhead } from '../cache/read-ahead.js';
import type { RevisionReader } from '../cache/revision-reader.js';
import { ProviderError } from '../providers/errors.js';
import type { RemoteFile } from '../providers/provider.js';
import { revisionKey } from '../providers/provider.js';
import type { ReadBase, SpoolFile } from '../spool/spool-file.js';
import { remoteFileOf } from '../tree/inode.js';
import { refreshed } from '../tree/listing.js';
import type { Core } from './core.js';
import { inodeOf } from './core.js';
import { FsError } from './fs-error.js';
import type { FileState, Handle } from './open-files.js';

/** Of the cache's limit, what one handle may fill by reading ahead. */
const READ_AHEAD_SHARE = 1 / 4;

export class Contents {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async read(handle: Handle, into: Uint8Array, offset: number): Promise<number> {
    const { state } = handle;
    if (state.spool !== null) return state.spool.read(into, offset, this.readBase(state, state.spool));
    if (handle.pinned === null) return 0;
    const before = handle.pinned;
    try {
      const count = await this.#readPinned(handle, handle.pinned, into, offset);
      // A spool file was stored meanwhile, or the content is being changed: what counts is the content of now.
      if (state.spool === null && handle.pinned === before) {
        handle.hasRead = true;
        return count;
      }
    } catch (error) {
      if (state.spool === null && handle.pinned === before) await this.#repin(handle, error);
    }
    return this.read(handle, into, offset);
  }

  async write(handle: Handle, data: Uint8Array, offset: number): Promise<number> {
    const { state } = handle;
    const spool = await this.writableSpool(state, handle.pinned);
    const at = handle.flags.append ? spool.size : offset;
    await spool.write(data, at);
    state.written = true;
    this.#changed(state);
    return data.length;
  }

  async truncate(state: FileState, pinned: RemoteFile | null, size: number): Promise<void> {
    const spool = await this.writableSpool(state, pinned);
    await spool.truncate(size);
    if (size === 0) state.written = false;
    this.#changed(state);
  }

  /** The spool file of a state, made from `base` where there is none, once no upload stands in the way. */
  async writableSpool(state: FileState, base: RemoteFile | null): Promise<SpoolFile> {
    for (;;) {
      if (state.storing !== null) {
        // Somebody's close() waits for this very content to be stored: let it end. Nobody waits: start over later.
        if (state.storing.waiters === 0) state.storing.abort.abort(new ProviderError('aborted', 'written again'));
        await state.storing.done.catch(() => undefined);
      } else if (state.spool === null) {
        state.spooling ??= this.#makeSpool(state, base).finally(() => {
          state.spooling = null;
        });
        await state.spooling;
      } else {
        return state.spool;
      }
    }
  }

  /** How a spool file gets the bytes that are still its base's. */
  readBase(state: FileState, spool: SpoolFile): ReadBase {
    return async (into, offset) => {
      const { base } = spool;
      if (base === null) throw new FsError('EIO', 'the content has no base');
      state.baseReader ??= this.#core.readers.acquire(base);
      await state.baseReader.read(into, offset);
    };
  }

  /** Lets go of the reader of a handle and pins it to another revision. */
  pin(handle: Handle, file: RemoteFile | null): void {
    if (handle.reader !== null) this.#core.readers.release(handle.reader);
    handle.reader = null;
    handle.pinned = file;
    handle.hasRead = false;
  }

  /**
   * The file is about to go at the provider, which gives out nothing from its trash: what those who have it open may
   * still ask for is fetched before.
   */
  async keep(state: FileState): Promise<void> {
    if (state.spool !== null) return;
    const pinned = [...state.handles].find((handle) => handle.pinned !== null)?.pinned ?? null;
    if (pinned === null) return;
    const spool = await this.writableSpool(state, pinned);
    await spool.fill(this.readBase(state, spool));
  }

  /** The provider moved or renamed the file, maybe under a new id: the same bytes, to be asked for by another name. */
  moved(state: FileState, file: RemoteFile): void {
    const { spool, baseReader } = state;
    if (spool?.base != null) spool.baseMoved(file);
    if (baseReader !== null && baseReader.key !== revisionKey(file)) {
      this.#core.readers.release(baseReader);
      state.baseReader = null;
    }
    for (const handle of state.handles) {
      if (handle.pinned === null) continue;
      if (revisionKey(handle.pinned) === revisionKey(file)) handle.pinned = file;
      else this.pin(handle, file);
    }
  }

  /** Lets go of the spool file of a state; the file itself is the caller's to keep or remove. */
  dropSpool(state: FileState): void {
    if (state.baseReader !== null) this.#core.readers.release(state.baseReader);
    state.baseReader = null;
    state.spool = null;
    state.dirty = false;
    state.written = false;
  }

  async #readPinned(handle: Handle, file: RemoteFile, into: Uint8Array, offset: number): Promise<number> {
    if (offset >= file.size) return 0;
    handle.reader ??= this.#core.readers.acquire(file);
    this.#readAhead(handle, handle.reader, into.length, offset);
    return handle.reader.read(into, offset);
  }

  #readAhead(handle: Handle, reader: RevisionReader, length: number, offset: number): void {
    const maxWindow = this.#core.readers.cache.limit * READ_AHEAD_SHARE;
    const plan = planReadAhead(handle.readAhead, { offset, length, size: reader.file.size, maxWindow });
    handle.readAhead = plan.state;
    if (plan.fetch !== null) reader.prefetch(...plan.fetch, plan.requestBytes, handle.closing.signal);
  }

  /**
   * A read failed in a way that a changed revision explains: ask what the file is now. A handle that has shown nothing
   * yet goes on with the new revision; one that has must not mix the two (ESTALE).
   */
  async #repin(handle: Handle, error: unknown): Promise<void> {
    const { table, provider, directories, log, invalidate } = this.#core;
    const { state, pinned } = handle;
    if (!(error instanceof ProviderError) || pinned === null) throw error;
    if (error.code !== 'revision-changed' && error.code !== 'integrity' && error.code !== 'not-found') throw error;
    const now = await provider.stat({ kind: 'file', id: pinned.id });
    if (now.kind !== 'file' || revisionKey(now) === revisionKey(pinned)) throw error;
    const inode = table.get(state.ino);
    if (inode !== undefined && inode.remote?.id === now.id) {
      const change = refreshed(inode, now);
      if (change !== null) table.update(state.ino, change.fields);
      directories.changes.note('file', now.id);
      // Not from inside the request on this very inode.
      setImmediate(() => invalidate({ kind: 'inode', ino: state.ino, content: true }));
    }
    if (handle.hasRead) {
      throw new FsError('ESTALE', `${pinned.name} was changed at the provider while it was being read`, {
        cause: error,
      });
    }
    log.info({ ino: state.ino }, 'the file was changed at the provider; reading its new content');
    this.pin(handle, now);
  }

  async #makeSpool(state: FileState, pinned: RemoteFile | null): Promise<void> {
    const { spool, journal, clock } = this.#core;
    const base = pinned ?? remoteFileOf(inodeOf(this.#core, state.ino));
    const { name, file } = await spool.create(base);
    if (!state.unlinked) {
      journal.put({
        ino: state.ino,
        spool: name,
        state: 'open',
        content: file.state(),
        base,
        checkpoint: null,
        code: null,
        message: null,
        since: clock.now(),
      });
    }
    state.spool = file;
    state.spoolName = name;
  }

  #changed(state: FileState): void {
    state.dirty = true;
    state.generation++;
    state.mtime = fromMs(this.#core.clock.now());
  }
}
