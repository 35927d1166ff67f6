import { blockOf } from '../../cache/blocks.js';
import { planReadAhead } from '../../cache/read-ahead.js';
import type { RevisionReader } from '../../cache/revision-reader.js';
import type { Handle } from '../core/open-files.js';

/** Share of the cache's limit that one handle may fill by reading ahead. */
const READ_AHEAD_SHARE = 1 / 4;

/**
 * Called when a handle reads `length` bytes at `offset`: starts to fetch what it will want next. `limit`: of the cache,
 * bytes.
 */
export function readAhead(handle: Handle, reader: RevisionReader, limit: number, length: number, offset: number): void {
  const maxWindow = limit * READ_AHEAD_SHARE;
  const plan = planReadAhead(handle.readAhead, { offset, length, size: reader.file.size, maxWindow });
  handle.readAhead = plan.state;
  if (plan.fetch === null) return;
  // The first window holds the bytes that the program waits for right now.
  const isWanted = blockOf(plan.fetch[0]) <= blockOf(offset + length - 1);
  const priority = isWanted ? 'foreground' : 'background';
  reader.prefetch(...plan.fetch, plan.requestBytes, priority, handle.closing);
}
