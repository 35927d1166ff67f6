/**
 * Writes that the kernel makes to a spool file by itself (passthrough), without telling us.
 *
 * Invariant: the file is checked before the size, the times or the dirtiness of such a content is used. A change found there counts like
 * any other. Meanwhile its journal row says that it is being written.
 */
import { fromMs } from '../../base/timespec.js';
import type { WriteCheck } from '../../spool/write-detector.js';
import type { Core } from '../core/core.js';
import type { FileState } from '../core/open-files.js';

/** Records what the kernel has written. Synchronous: attributes are then right for the caller that asks for them. */
export function notePassthroughWrites(core: Core, state: FileState): void {
  if (state.writeDetector !== null) note(core, state, state.writeDetector.check());
}

/**
 * Like `notePassthroughWrites`, with an exact boundary: writes before this call belong to the current generation, writes
 * after its end to another. Needed before a promise is made or a time is set.
 */
export async function settlePassthroughWrites(core: Core, state: FileState): Promise<void> {
  const detector = state.writeDetector;
  if (detector === null) return;
  core.spool.freeSpaceWatch.check();
  const check = await detector.rearm();
  // The last writer has closed meanwhile; its writes were recorded then.
  if (state.writeDetector === detector) note(core, state, check);
}

function note(core: Core, state: FileState, { size, writtenAt, isChanged }: WriteCheck): void {
  if (!isChanged || state.spool === null) return;
  state.spool.writtenDirectly(size);
  state.generation++;
  state.dirty = true;
  if (size > 0) state.written = true;
  state.mtime = writtenAt ?? fromMs(core.clock.now());
}
