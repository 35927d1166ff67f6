/** Files that are handed to the kernel, which then reads them by itself: of the cache, and of the spool. */
import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import { BackingFile } from '../../spool/backing-file.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import { WriteWatch } from '../../spool/write-watch.js';
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
   * The file with all that the handle reads, for the kernel to read in its place; null where there is none, or not all of it
   * is there, or it is another than `inUse`. It stays the file of the content until the handle is released. To a writer the spool
   * file is lent, to be written without a word.
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
    // Nobody hears of what the kernel reads.
    handle.hasRead ||= file !== null;
    return file;
  }

  /** Somebody needs a file that is lent for as long as he looks at it. Pair with `leave`. */
  retain(file: BackingFile): void {
    file.users++;
  }

  /** The kernel has a file for the handle, and maps it. Where that may be written to, it is looked at from now on. */
  map(handle: Handle, file: BackingFile): void {
    const { state } = handle;
    file.users++;
    handle.mapped = file;
    if (!mayMapToWrite(handle)) return;
    state.watch ??= new WriteWatch(file.fd);
    if (state.spool !== null) state.spool.isShared = true;
  }

  /** The mount is gone: the program of the handle may go on writing, and nobody will say when it ends. */
  mountLost(handle: Handle): void {
    const { state, backing, flags } = handle;
    if ((flags.write && backing !== null) || mayMapToWrite(handle)) state.isLeftToNextMount = true;
  }

  /** The handle is released. True: it was the last that wrote without a word, and all that it wrote is known. */
  closeBacking(handle: Handle): boolean {
    const { backing, mapped, state } = handle;
    handle.mapped = null;
    if (mapped !== null) this.#releaseFile(state, mapped);
    if (backing === null) return false;
    handle.backing = null;
    if (handle.flags.write && !state.hasPassthroughWriters()) this.#core.spool.freeSpaceWatch.end();
    const isLastWriter = this.#unwatch(state);
    this.#releaseFile(state, backing);
    return isLastWriter;
  }

  /** A file that was joined is let go of: the mapping has ended, or others keep it. */
  release(state: FileState, mapped: BackingFile): void {
    this.#unwatch(state);
    this.#releaseFile(state, mapped);
  }

  /** Ends the watch where nobody writes by himself any more; true: it ended, and all that was written is known. */
  #unwatch(state: FileState): boolean {
    if (state.watch === null || state.hasPassthroughWriters() || state.hasMappings()) return false;
    notePassthroughWrites(this.#core, state);
    state.watch = null;
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

  /** A stored content: the cache's, or one that only its readers still have. */
  #ofRevision(handle: Handle): BackingFile | null {
    const { state, pinned } = handle;
    if (pinned === null || state.spoolCreation !== null || state.activeUpload !== null) return null;
    // Where it cannot become a spool file, its readers would not see what is written.
    if (!this.#core.spool.takesCacheFiles) return null;
    const { backing } = state;
    if (backing !== null && isBackingOf(backing, pinned)) {
      backing.users++;
      return backing;
    }
    handle.reader ??= this.#core.readers.acquire(pinned);
    return handle.reader.openBacking();
  }

  /** Uploads do not mind: they too only read. */
  #ofSpool(state: FileState, spool: SpoolFile): BackingFile | null {
    // Nothing to be read yet; and who makes a file may have the provider copy another into it.
    if ((spool.size === 0 && state.watch === null) || !spool.isComplete()) return null;
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
      state.watch ??= new WriteWatch(backing.fd);
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
   * May this handle write to the spool file by itself? Only a content that it makes from the beginning, and only in
   * write-back, where uploads can wait until nobody writes unseen (what is being uploaded must not change). Who can read what
   * he writes can map it too, and would write through the mapping long after the last close, when nobody looks any more; and
   * O_SYNC is a promise that needs the journal.
   */
  #mayWrite({ state, flags, opener }: Handle, spool: SpoolFile): boolean {
    if (flags.read || flags.sync || !this.#core.options.writeBack) return false;
    if (state.hasPassthroughWriters()) return true;
    if (spool.size > 0 || !spool.isComplete() || flags.append || state.unlinked) return false;
    const isAlone = state.handles.size === 1 && !state.hasMappings();
    // The journal has to say already that it is being written: by who made or emptied it, just now.
    const isMade = state.journaledGeneration !== state.generation;
    const isAtRest = isMade && state.activeUpload === null && !state.pendingChanges.isBusy && !state.nameLock.isBusy;
    return isAlone && isAtRest && !this.#mayCopy(opener);
  }

  /** Does the process read a stored file, which the provider may be asked to copy? Into a file that is lent it could not. */
  #mayCopy(opener: number | undefined): boolean {
    if (opener === undefined || !this.#core.provider.capabilities.copyFile) return false;
    for (const other of this.#core.files.handles()) {
      if (other.opener === opener && other.flags.read && other.pinned !== null) return true;
    }
    return false;
  }
}

/** Is this the file of that revision, kept by its readers? */
export function isBackingOf({ owner, key, path }: BackingFile, file: RemoteFile): boolean {
  return owner === 'readers' && path !== null && key === revisionKey(file);
}
