/**
 * Writes that the kernel carries out by itself (passthrough), on the spool file, without a word to us.
 *
 * Wherever the size, the times or the dirtiness of such a content matter, the file is looked at, and what is found there
 * counts as a change like any other. Its journal row says all the while that it is being written.
 */
import { fromMs } from '../../base/timespec.js';
import type { Look } from '../../spool/write-watch.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/** Takes note of what was written, at once: what is known then is right for whoever looks at a file. */
export function notePassthroughWrites(core: Core, state: FileState): void {
  if (state.watch !== null) note(core, state, state.watch.look());
}

/**
 * As `notePassthroughWrites`, and to the last byte: what was written before this was called belongs to the present generation, what is
 * written after it answers will belong to another. Needed before a promise is made or a time is set.
 */
export async function settlePassthroughWrites(core: Core, state: FileState): Promise<void> {
  const { watch } = state;
  if (watch === null) return;
  core.spool.freeSpaceWatch.check();
  const look = await watch.seal();
  // The last of them has left meanwhile, and was taken note of then.
  if (state.watch === watch) note(core, state, look);
}

function note(core: Core, state: FileState, { size, writtenAt, isChanged }: Look): void {
  if (!isChanged || state.spool === null) return;
  state.spool.writtenDirectly(size);
  state.generation++;
  state.dirty = true;
  if (size > 0) state.written = true;
  state.mtime = writtenAt ?? fromMs(core.clock.now());
}
