/** Files that are handed to the kernel, which then reads them by itself: of the cache, and of the spool. */
import { type RemoteFile, revisionKey } from '../providers/provider.js';
import { LentFile } from '../spool/lent-file.js';
import type { SpoolFile } from '../spool/spool-file.js';
import { WriteWatch } from '../spool/write-watch.js';
import type { Backing } from './api.js';
import type { Core } from './core.js';
import { type FileState, type Handle, mayMapToWrite } from './open-files.js';
import { noteUnseen } from './unseen.js';

export class Lending {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The file with all that the handle reads, for the kernel to read in its place; null where there is none, or not all of it
   * is there, or it is another than `inUse`. It stays the file of the content until the handle is released. To a writer the spool
   * file is lent, to be written without a word.
   */
  lend(handle: Handle, inUse?: Backing): LentFile | null {
    const { state, flags } = handle;
    if (handle.lent !== null) return handle.lent;
    if (flags.direct || handle.isLeftBehind) return null;
    if (flags.write && inUse !== undefined && state.loan !== inUse) return null;
    let file: LentFile | null;
    if (flags.write) file = this.#forWriting(handle);
    else file = state.spool === null ? this.#ofRevision(handle) : this.#ofSpool(state, state.spool);
    if (file !== null && inUse !== undefined && file !== inUse) {
      this.#giveBackFile(state, file);
      return null;
    }
    handle.lent = file;
    // Nobody hears of what the kernel reads.
    handle.hasRead ||= file !== null;
    return file;
  }

  /** Somebody needs a file that is lent for as long as he looks at it. Pair with `leave`. */
  hold(file: LentFile): void {
    file.users++;
  }

  /** The kernel has a file for the handle, and maps it. Where that may be written to, it is looked at from now on. */
  join(handle: Handle, file: LentFile): void {
    const { state } = handle;
    file.users++;
    handle.joined = file;
    if (!mayMapToWrite(handle)) return;
    state.watch ??= new WriteWatch(file.fd);
    if (state.spool !== null) state.spool.isShared = true;
  }

  /** The mount is gone: the program of the handle may go on writing, and nobody will say when it ends. */
  orphaned(handle: Handle): void {
    const { state, lent, flags } = handle;
    if ((flags.write && lent !== null) || mayMapToWrite(handle)) state.isOrphaned = true;
  }

  /** The handle is released. True: it was the last that wrote without a word, and all that it wrote is known. */
  giveBack(handle: Handle): boolean {
    const { lent, joined, state } = handle;
    handle.joined = null;
    if (joined !== null) this.#giveBackFile(state, joined);
    if (lent === null) return false;
    handle.lent = null;
    if (handle.flags.write && !state.hasUnseenWriters()) this.#core.spool.headroom.end();
    const isLastWriter = this.#unwatch(state);
    this.#giveBackFile(state, lent);
    return isLastWriter;
  }

  /** A file that was joined is let go of: the mapping has ended, or others keep it. */
  leave(state: FileState, joined: LentFile): void {
    this.#unwatch(state);
    this.#giveBackFile(state, joined);
  }

  /** Ends the watch where nobody writes by himself any more; true: it ended, and all that was written is known. */
  #unwatch(state: FileState): boolean {
    if (state.watch === null || state.hasUnseenWriters() || state.hasMappings()) return false;
    noteUnseen(this.#core, state);
    state.watch = null;
    if (state.spool !== null) state.spool.isShared = false;
    return true;
  }

  #giveBackFile(state: FileState, file: LentFile): void {
    const { path } = file;
    this.#core.readers.cache.giveBack(file);
    if (file.users > 0) return;
    if (state.loan === file) state.loan = null;
    if (path !== null) this.#core.journal.gone(this.#core.spool.remove(path));
  }

  /** A stored content: the cache's, or one that only its readers still have. */
  #ofRevision(handle: Handle): LentFile | null {
    const { state, pinned } = handle;
    if (pinned === null || state.spooling !== null || state.storing !== null) return null;
    // Where it cannot become a spool file, its readers would not see what is written.
    if (!this.#core.spool.takesCacheFiles) return null;
    const { loan } = state;
    if (loan !== null && isOf(loan, pinned)) {
      loan.users++;
      return loan;
    }
    handle.reader ??= this.#core.readers.acquire(pinned);
    return handle.reader.lend();
  }

  /** Uploads do not mind: they too only read. */
  #ofSpool(state: FileState, spool: SpoolFile): LentFile | null {
    // Nothing to be read yet; and who makes a file may have the provider copy another into it.
    if ((spool.size === 0 && state.watch === null) || !spool.isComplete()) return null;
    state.loan ??= new LentFile('spool', '', spool.size, spool.path);
    state.loan.users++;
    return state.loan;
  }

  #forWriting(handle: Handle): LentFile | null {
    const { state } = handle;
    const { spool } = state;
    const { headroom } = this.#core.spool;
    if (spool === null || !this.#mayWrite(handle, spool)) return null;
    const isFirst = !state.hasUnseenWriters();
    if (isFirst && !headroom.begin()) return null;
    let loan = state.loan;
    try {
      loan ??= new LentFile('spool', '', spool.size, spool.path);
      state.watch ??= new WriteWatch(loan.fd);
    } catch (error) {
      if (isFirst) headroom.end();
      if (state.loan === null) loan?.close();
      throw error;
    }
    spool.isShared = true;
    state.loan = loan;
    loan.users++;
    return loan;
  }

  /**
   * May this handle write to the spool file by itself? Only a content that it makes from the beginning, and only in
   * write-back, where uploads can wait until nobody writes unseen (what is being uploaded must not change). Who can read what
   * he writes can map it too, and would write through the mapping long after the last close, when nobody looks any more; and
   * O_SYNC is a promise that needs the journal.
   */
  #mayWrite({ state, flags, opener }: Handle, spool: SpoolFile): boolean {
    if (flags.read || flags.sync || !this.#core.options.writeBack) return false;
    if (state.hasUnseenWriters()) return true;
    if (spool.size > 0 || !spool.isComplete() || flags.append || state.unlinked) return false;
    const isAlone = state.handles.size === 1 && !state.hasMappings();
    // The journal has to say already that it is being written: by who made or emptied it, just now.
    const isMade = state.journaled !== state.generation;
    const isAtRest = isMade && state.storing === null && !state.changing.isBusy && !state.naming.isBusy;
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
export function isOf({ owner, key, path }: LentFile, file: RemoteFile): boolean {
  return owner === 'readers' && path !== null && key === revisionKey(file);
}
