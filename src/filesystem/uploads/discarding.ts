/** Discards contents that could not be stored: only those, and only at a person's request. */
import { messageOf } from '../../base/errors.js';
import type { Ino } from '../../tree/inode.js';
import type { Contents } from '../content/contents.js';
import { type Core, inodeOf, pathOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';

export interface Discarded {
  readonly path: string;
  /** Why it was not discarded. */
  readonly error?: string;
}

export class Discarding {
  readonly #core: Core;
  readonly #contents: Contents;

  constructor(core: Core, contents: Contents) {
    this.#core = core;
    this.#contents = contents;
  }

  /**
   * Discards the failed content of each path (as `Uploader.pending(root)` names it). A file that the provider has
   * shows its stored content again; any other file is removed.
   */
  async discard(paths: readonly string[], root: Ino): Promise<Discarded[]> {
    const wanted = new Set(paths);
    const results: Discarded[] = [];
    for (const { ino, state } of this.#core.journal.all()) {
      const path = pathOf(this.#core, ino, root);
      if (!wanted.delete(path)) continue;
      try {
        if (state !== 'failed') throw new FsError('EBUSY', 'it is being stored');
        await this.#discard(ino);
        this.#core.log.warn({ ino }, `${path} is discarded, as was asked`);
        results.push({ path });
      } catch (error) {
        results.push({ path, error: messageOf(error) });
      }
    }
    return [...results, ...[...wanted].map((path) => ({ path, error: 'it has not failed' }))];
  }

  async #discard(ino: Ino): Promise<void> {
    const { files, table, journal, invalidate } = this.#core;
    const state = files.state(ino);
    if (state === undefined) throw new FsError('EIO', 'its content is not known');
    await this.#contents.withNameLocks([ino], async () => {
      if (state.handles.size > 0) throw new FsError('EBUSY', 'a program has it open');
      if (state.activeUpload !== null) throw new FsError('EBUSY', 'it is being stored');
      const { remote, parent, name } = inodeOf(this.#core, ino);
      if (remote !== null) {
        // At its end, `withNameLocks` drops a spool file without changes.
        state.dirty = false;
        return;
      }
      table.transaction(() => {
        table.update(ino, { parent: null, localSize: null });
        journal.remove(ino);
      });
      state.unlinked = true;
      this.#contents.abandon(state);
      if (parent !== null) invalidate({ kind: 'entry', parent, name });
    });
    invalidate({ kind: 'inode', ino, content: true });
  }
}
