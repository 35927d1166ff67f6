import type { UploadState } from '../../spool/journal.js';
import type { SpoolFile, SpoolState } from '../../spool/spool-file.js';
import { withContentOf } from '../attributes/attributes.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/** Writes the row of a state. `content` and `generation` are what is durable of a content that goes on changing. */
export function writeRow(
  core: Core,
  state: FileState,
  spool: SpoolFile,
  as: UploadState,
  durable: { readonly content?: SpoolState; readonly generation?: number; readonly kept?: Uint8Array | null } = {},
): void {
  const { journal, table, clock, options } = core;
  const { content = spool.state(), generation = state.generation, kept = null } = durable;
  const before = journal.get(state.ino);
  // An upload id belongs to the very bytes it was begun with.
  const isSame = state.journaled === generation;
  table.transaction(() => {
    journal.put({
      ino: state.ino,
      spool: state.spoolName,
      state: as,
      content,
      base: spool.base,
      checkpoint: isSame ? (before?.checkpoint ?? null) : null,
      attempts: [...state.attempts],
      code: null,
      message: null,
      since: before?.since ?? clock.now(),
    });
    if (kept !== null) journal.putInline(state.ino, kept, options.boot);
    else if (!isSame) journal.dropInline(state.ino);
    const inode = table.get(state.ino);
    if (inode === undefined) return;
    table.update(state.ino, {
      localSize: spool.size,
      overlay: withContentOf(inode.overlay, state.mtime),
    });
  });
  state.journaled = generation;
}
