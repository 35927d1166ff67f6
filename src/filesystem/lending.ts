/** Files that are handed to the kernel, which then reads them by itself: of the cache, and of the spool. */
import { type RemoteFile, revisionKey } from '../providers/provider.js';
import { LentFile } from '../spool/lent-file.js';
import type { SpoolFile } from '../spool/spool-file.js';
import { WriteWatch } from '../spool/write-watch.js';
import type { Core } from './core.js';
import type { FileState, Handle } from './open-files.js';
import { noteUnseen } from './unseen.js';

export class Lending {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The file with all that the handle reads, for the kernel to read in its place; null where there is none, or not all of it
   * is there. It is kept the same as the content until the handle is released. To a writer the spool file is lent, to be
   * written without a word.
   */
  lend(handle: Handle): LentFile | null {
    const { state, flags } = handle;
    if (handle.lent !== null) return handle.lent;
    if (flags.direct || handle.isLeftBehind) return null;
    if (flags.write) handle.lent = this.#forWriting(handle);
    else handle.lent = state.spool === null ? this.#ofCache(handle) : this.#ofSpool(state, state.spool);
    // Nobody hears of what the kernel reads.
    handle.hasRead ||= handle.lent !== null;
    return handle.lent;
  }

  /** The mount is gone: the program of the handle may go on writing, and nobody will say when it ends. */
  orphaned({ state, lent, flags }: Handle): void {
    if (lent !== null && flags.write) state.isOrphaned = true;
  }

  /** The handle is released. True: it was the last that wrote without a word, and all that it wrote is known. */
  giveBack(handle: Handle): boolean {
    const { lent, state } = handle;
    if (lent === null) return false;
    handle.lent = null;
    const isLastWriter = state.watch !== null && !state.hasUnseenWriters();
    if (isLastWriter) {
      noteUnseen(this.#core, state);
      state.watch = null;
      if (state.spool !== null) state.spool.isShared = false;
      this.#core.spool.headroom.end();
    }
    this.#core.readers.cache.giveBack(lent);
    if (lent.users === 0 && state.loan === lent) state.loan = null;
    return isLastWriter;
  }

  /**
   * The content is to be changed, and gets a spool file of its own: the cache gives up what it has lent of `base`. Those bytes
   * are the base's, so the spool file, which would otherwise download them, gets them first, by `fill`.
   */
  async detach({ handles }: FileState, base: RemoteFile | null, fill: () => Promise<void>): Promise<void> {
    if (base === null) return;
    const lent = (): LentFile[] =>
      [...handles].flatMap((handle) => {
        const isOfBase = handle.pinned !== null && revisionKey(handle.pinned) === revisionKey(base);
        return handle.lent?.owner === 'cache' && isOfBase ? [handle.lent] : [];
      });
    if (lent().length === 0) return;
    await fill();
    for (const one of lent()) this.#core.readers.cache.detach(one);
  }

  #ofCache(handle: Handle): LentFile | null {
    const { state, pinned } = handle;
    if (pinned === null || state.spooling !== null || state.storing !== null) return null;
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
    const loan = state.loan ?? new LentFile('spool', '', spool.size, spool.path);
    if (state.watch === null) {
      if (!headroom.begin()) {
        if (state.loan === null) loan.close();
        return null;
      }
      try {
        state.watch = new WriteWatch(loan.fd);
      } catch (error) {
        headroom.end();
        if (state.loan === null) loan.close();
        throw error;
      }
      spool.isShared = true;
    }
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
    if (state.watch !== null) return true;
    if (spool.size > 0 || !spool.isComplete() || flags.append || state.unlinked) return false;
    const isAlone = state.handles.size === 1 && state.mirrors().size === 0;
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
