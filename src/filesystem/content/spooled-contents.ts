/** Lists the local files with contents that the provider does not have yet, for a person who copies them from there. */
import { messageOf } from '../../base/errors.js';
import { toMs } from '../../base/timespec.js';
import type { Ino } from '../../tree/inode.js';
import { type Core, pathOf } from '../core/core.js';
import type { Contents } from './contents.js';
import { notePassthroughWrites } from './passthrough-writes.js';

export interface SpooledContent {
  /** From the directory `root`, beginning with `/`. */
  readonly path: string;
  /** The spool file, absolute path. Its holes read as zeros. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** Ranges [start, end) that exist only at the provider. */
  readonly missing: readonly (readonly [number, number])[];
  /** When the content was last changed, ms; null: unknown. */
  readonly modified: number | null;
}

/** Oldest first. Missing bytes are fetched before, if possible. */
export async function spooledContents(core: Core, contents: Contents, root: Ino): Promise<SpooledContent[]> {
  const { journal, files, table, log } = core;
  const found: SpooledContent[] = [];
  for (const { ino } of journal.all()) {
    const state = files.state(ino);
    const spool = state?.spool;
    if (state === undefined || spool == null) continue;
    notePassthroughWrites(core, state);
    await contents.fill(state, spool).catch((error: unknown) => {
      log.warn({ ino }, `not all of ${pathOf(core, ino)} is here: ${messageOf(error)}`);
    });
    const { path: file, size } = spool;
    const modified = state.mtime ?? table.get(ino)?.overlay.mtime ?? null;
    found.push({
      path: pathOf(core, ino, root),
      file,
      size,
      missing: spool.missing(),
      modified: modified === null ? null : toMs(modified),
    });
  }
  return found;
}
