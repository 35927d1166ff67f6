import { BLOCK_BYTES, blockOf } from '../../cache/blocks.js';
import { planReadAhead } from '../../cache/read-ahead.js';
import type { RevisionReader } from '../../cache/revision-reader.js';
import type { Handle } from '../core/open-files.js';

/** Share of the cache's limit that one handle may fill by reading ahead. */
const READ_AHEAD_SHARE = 1 / 4;

/** Called when a handle reads `length` bytes at `offset`: starts to fetch the bytes that it will want next. `limit`: the cache's, bytes. */
export function readAhead(handle: Handle, reader: RevisionReader, limit: number, length: number, offset: number): void {
  const maxWindow = limit * READ_AHEAD_SHARE;
  const plan = planReadAhead(handle.readAhead, { offset, length, size: reader.file.size, maxWindow });
  handle.readAhead = plan.state;
  if (plan.fetch === null) return;
  const [from, to] = plan.fetch;
  const isWanted = blockOf(from) <= blockOf(offset + length - 1);
  const start = blockOf(from) * BLOCK_BYTES;
  const urgent = Math.max(from, Math.min(to, start + plan.urgentBytes));
  // One request holds the bytes that the program waits for right now.
  const wanted = isWanted ? Math.max(urgent, Math.min(to, start + plan.requestBytes)) : urgent;
  reader.prefetch(from, urgent, plan.requestBytes, 'foreground', handle.closing);
  reader.prefetch(urgent, wanted, plan.requestBytes, 'foreground', handle.closing, true);
  reader.prefetch(wanted, to, plan.requestBytes, 'background', handle.closing);
}
