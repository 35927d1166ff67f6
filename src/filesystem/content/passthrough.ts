/**
 * Gives the kernel backing files, of the cache and of the spool, which it then reads and writes by itself.
 *
 * Invariant: a backing file holds the content of its handles until they are released.
 */
import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import { BackingFile } from '../../spool/backing-file.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import { WriteDetector } from '../../spool/write-detector.js';
import type { Backing } from '../api.js';
import type { Core } from '../core/core.js';
import { type FileState, type Handle, mayMapToWrite } from '../core/open-files.js';
import { notePassthroughWrites } from './passthrough-writes.js';

export class Passthrough {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The backing file with everything that the handle reads. Null: there is none, it is incomplete, or it is not
   * `inUse`. It stays the file of the content until the handle is released. A writer may get the spool file, to which
   * the kernel then writes without telling us.
   */
  openBacking(handle: Handle, inUse?: Backing): BackingFile | null {
    const { state, flags } = handle;
    if (handle.backing !== null) return handle.backing;
    if (flags.direct || handle.isOnOldRevision) return null;
    if (flags.write && inUse !== undefined && state.backing !== inUse) return null;
    let file: BackingFile | null;
    if (flags.write) file = this.#forWriting(handle);
    else file = state.spool === null ? this.#ofRevision(handle) : this.#ofSpool(state, state.spool);
    if (file !== null && inUse !== undefined && file !== inUse) {
      this.#releaseFile(state, file);
      return null;
    }
    handle.backing = file;
    // We do not see what the kernel reads.
    handle.hasRead ||= file !== null;
    return file;
  }

  /** Keeps a backing file alive. Pair with `release`. */
  retain(file: BackingFile): void {
    file.users++;
  }

  /** The kernel maps this file for the handle. If it may be mapped writable, it is watched from now on. */
  map(handle: Handle, file: BackingFile): void {
    const { state } = handle;
    file.users++;
    handle.mapped = file;
    if (!mayMapToWrite(handle)) return;
    state.writeDetector ??= new WriteDetector(file.fd);
    if (state.spool !== null) state.spool.isShared = true;
  }

  /** The mount is gone: the program of the handle may go on writing, and nobody will report when it ends. */
  mountLost(handle: Handle): void {
    const { state, backing, flags } = handle;
    if ((flags.write && backing !== null) || mayMapToWrite(handle)) state.isLeftToNextMount = true;
  }

  /** The handle is released. True: it was the last passthrough writer, and all that it wrote is known. */
  closeBacking(handle: Handle): boolean {
    const { backing, mapped, state } = handle;
    handle.mapped = null;
    if (mapped !== null) this.#releaseFile(state, mapped);
    if (backing === null) return false;
    handle.backing = null;
    if (handle.flags.write && !state.hasPassthroughWriters()) this.#core.spool.freeSpaceWatch.end();
    const isLastWriter = this.#stopDetecting(state);
    this.#releaseFile(state, backing);
    return isLastWriter;
  }

  /** Releases a mapped file: the mapping has ended, or other users keep it. */
  release(state: FileState, mapped: BackingFile): void {
    this.#stopDetecting(state);
    this.#releaseFile(state, mapped);
  }

  /** Ends the detection when the kernel can no longer write to the file. True: it ended, and all writes are known. */
  #stopDetecting(state: FileState): boolean {
    if (state.writeDetector === null || state.hasPassthroughWriters() || state.hasMappings()) return false;
    notePassthroughWrites(this.#core, state);
    state.writeDetector = null;
    if (state.spool !== null) state.spool.isShared = false;
    return true;
  }

  #releaseFile(state: FileState, file: BackingFile): void {
    const { path } = file;
    this.#core.readers.cache.closeBacking(file);
    if (file.users > 0) return;
    if (state.backing === file) state.backing = null;
    if (path !== null) this.#core.journal.garbageRemoved(this.#core.spool.remove(path));
  }

  /** The backing file of a stored content: the cache's, or one that exists only for its readers. */
  #ofRevision(handle: Handle): BackingFile | null {
    const { state, pinned } = handle;
    if (pinned === null || state.spoolCreation !== null || state.activeUpload !== null) return null;
    // If the cache file could not move to the spool, its readers would not see later writes.
    if (!this.#core.spool.takesCacheFiles) return null;
    const { backing } = state;
    if (backing !== null && isBackingOf(backing, pinned)) {
      backing.users++;
      return backing;
    }
    handle.reader ??= this.#core.readers.acquireAnew(pinned);
    return handle.reader.openBacking();
  }

  /** Possible during an upload too: both only read. */
  #ofSpool(state: FileState, spool: SpoolFile): BackingFile | null {
    // An empty file offers nothing to read; and its writer may yet have the provider copy another file into it.
    if ((spool.size === 0 && state.writeDetector === null) || !spool.isComplete()) return null;
    state.backing ??= new BackingFile('spool', '', spool.size, spool.path);
    state.backing.users++;
    return state.backing;
  }

  #forWriting(handle: Handle): BackingFile | null {
    const { state } = handle;
    const { spool } = state;
    const { freeSpaceWatch } = this.#core.spool;
    if (spool === null || !this.#mayWrite(handle, spool)) return null;
    const isFirst = !state.hasPassthroughWriters();
    if (isFirst && !freeSpaceWatch.begin()) return null;
    let backing = state.backing;
    try {
      backing ??= new BackingFile('spool', '', spool.size, spool.path);
      state.writeDetector ??= new WriteDetector(backing.fd);
    } catch (error) {
      if (isFirst) freeSpaceWatch.end();
      if (state.backing === null) backing?.close();
      throw error;
    }
    spool.isShared = true;
    state.backing = backing;
    backing.users++;
    return backing;
  }

  /**
   * May the kernel write to the spool file for this handle? Only to a content that the handle creates from the beginning, and only in
   * write-back mode. There an upload can wait until the kernel has stopped writing: an upload must not see its file change. A handle that
   * can also read could be mapped, and the mapping would write long after the last close, when nobody watches. O_SYNC is a promise that
   * needs the journal.
   */
  #mayWrite({ state, flags, opener }: Handle, spool: SpoolFile): boolean {
    if (flags.read || flags.sync || !this.#core.options.writeBack) return false;
    if (state.hasPassthroughWriters()) return true;
    if (spool.size > 0 || !spool.isComplete() || flags.append || state.unlinked) return false;
    const isAlone = state.handles.size === 1 && !state.hasMappings();
    // The journal must already say that the file is being written: the call that just created or emptied it did that.
    const isMade = state.journaledGeneration !== state.generation;
    const isAtRest = isMade && state.activeUpload === null && !state.pendingChanges.isBusy && !state.nameLock.isBusy;
    return isAlone && isAtRest && !this.#mayCopy(opener);
  }

  /**
   * Does the process also read a stored file, which it may ask the provider to copy? The provider cannot copy into a
   * file that the kernel writes by itself.
   */
  #mayCopy(opener: number | undefined): boolean {
    if (opener === undefined || !this.#core.provider.capabilities.copyFile) return false;
    for (const other of this.#core.files.handles()) {
      if (other.opener === opener && other.flags.read && other.pinned !== null) return true;
    }
    return false;
  }
}

/** Is this the backing file of that revision, kept for its readers? */
export function isBackingOf({ owner, key, path }: BackingFile, file: RemoteFile): boolean {
  return owner === 'readers' && path !== null && key === revisionKey(file);
}
