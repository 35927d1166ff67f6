import type { UploadState } from '../../spool/journal.js';
import { NOT_SENT } from '../../spool/journal.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { SpoolState } from '../../spool/spool-state.js';
import { withContentTimes } from '../attributes/attributes.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/**
 * Writes the journal row of a state. `content` and `generation` describe the durable part of a content that is still
 * changing.
 */
export function writeRow(
  core: Core,
  state: FileState,
  spool: SpoolFile,
  as: UploadState,
  durable: { readonly content?: SpoolState; readonly generation?: number; readonly inline?: Uint8Array | null } = {},
): void {
  const { journal, table, clock, options } = core;
  const { content = spool.state(), generation = state.generation, inline = null } = durable;
  const before = journal.get(state.ino);
  // An upload id belongs to the very bytes it was begun with.
  const isSame = state.journaledGeneration === generation;
  table.transaction(() => {
    journal.put({
      ino: state.ino,
      spool: state.spoolName,
      state: as,
      content,
      base: spool.base,
      checkpoint: isSame ? (before?.checkpoint ?? null) : null,
      attempts: isSame || state.attempts.size === 0 ? [...state.attempts] : [...state.attempts, NOT_SENT],
      code: null,
      message: null,
      since: before?.since ?? clock.now(),
    });
    if (inline !== null) journal.putInline(state.ino, inline, options.boot);
    else if (!isSame) journal.dropInline(state.ino);
    const inode = table.get(state.ino);
    if (inode === undefined) return;
    table.update(state.ino, {
      localSize: spool.size,
      overlay: withContentTimes(inode.overlay, state.mtime),
    });
  });
  state.journaledGeneration = generation;
}
