/** Files that are handed to the kernel, which then reads them by itself: of the cache, and of the spool. */
import { type RemoteFile, revisionKey } from '../providers/provider.js';
import { LentFile } from '../spool/lent-file.js';
import type { SpoolFile } from '../spool/spool-file.js';
import type { Core } from './core.js';
import type { FileState, Handle } from './open-files.js';

export class Lending {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * The file with all that the handle reads, for the kernel to read in its place; null where there is none, or not all of it
   * is there. It is kept the same as the content until the handle is released.
   */
  lend(handle: Handle): LentFile | null {
    const { state } = handle;
    if (handle.lent !== null) return handle.lent;
    if (handle.flags.write || handle.isLeftBehind) return null;
    const lent = state.spool === null ? this.#ofCache(handle) : this.#ofSpool(state, state.spool);
    handle.lent = lent;
    // Nobody hears of what the kernel reads.
    handle.hasRead ||= lent !== null;
    return lent;
  }

  /** The handle is released. */
  giveBack(handle: Handle): void {
    const { lent, state } = handle;
    if (lent === null) return;
    handle.lent = null;
    this.#core.readers.cache.giveBack(lent);
    if (lent.users === 0 && state.loan === lent) state.loan = null;
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
    if (spool.size === 0 || !spool.isComplete()) return null;
    state.loan ??= new LentFile('spool', '', spool.size, spool.path);
    state.loan.users++;
    return state.loan;
  }
}
