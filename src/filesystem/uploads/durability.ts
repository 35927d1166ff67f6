/** Makes contents that are not stored yet durable on the local disk. */
import { completeState } from '../../spool/spool-state.js';
import { settlePassthroughWrites } from '../content/passthrough-writes.js';
import type { Core } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState, Handle } from '../core/open-files.js';
import { writeRow } from './journal-row.js';

/**
 * Contents up to this size, bytes, are made durable as inline content of the journal: one sync of the disk instead of
 * two.
 */
const INLINE_BYTES = 64 * 1024;

/** fsync(): makes content and journal durable on the local disk. */
export async function makeDurable(core: Core, state: FileState, until: 'synced' | 'queued'): Promise<void> {
  await settlePassthroughWrites(core, state);
  const { spool, generation } = state;
  // The kernel is still writing to the file, and the row has to say so.
  const as = state.writeDetector === null ? until : 'synced';
  if (spool === null || state.unlinked || (state.durableGeneration === generation && as === 'synced')) return;
  // Later writes are not part of the promise; the row must not cover them.
  const content = spool.state();
  const inline = await spool.content(INLINE_BYTES);
  if (inline === null) await spool.sync();
  // Stored, dropped or removed meanwhile: nothing is left to promise. A row would bring a removed file back.
  if (state.spool !== spool || state.unlinked) return;
  if (state.activeUpload === null && state.generation === generation) writeRow(core, state, spool, as, { inline });
  else if (state.activeUpload === null)
    writeRow(core, state, spool, 'synced', {
      content: inline === null ? spool.truncatedState(content) : completeState(inline.length),
      generation,
      inline,
    });
  state.promised = true;
  await core.state.durable();
  state.durableGeneration = Math.max(state.durableGeneration, generation);
}

/** Makes a handle's content safe with `act`. EIO, once, also if the disk has failed to store the content for another handle. */
export async function withLosses(handle: Handle, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    // This error tells the program of the loss.
    handle.hearsOfLoss();
    throw error;
  }
  if (handle.hearsOfLoss()) throw new FsError('EIO', 'the disk has failed to store what was written');
}
