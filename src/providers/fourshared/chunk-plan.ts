/** How a large upload is cut into chunks: pure, so that the policy is a table in the tests. */
import type { Span } from '../http/content-range.js';

const MiB = 1024 * 1024;

export interface ChunkPolicy {
  /** Bytes of one request. */
  readonly chunkBytes: number;
  /** Requests at once. */
  readonly parallel: number;
}

/**
 * Eight at once, each on a connection of its own, fill a line of 200 MB/s where a connection is held to 25 MB/s, and leave
 * three quarters of the places to others; 8 MiB keep a round trip of 50 ms below a seventh of a chunk's time, and lose
 * little when one is interrupted. Beyond 1,000 chunks they grow, so that the list of stored ranges stays short.
 */
export function chunkPolicy(size: number, chunkBytes?: number): ChunkPolicy {
  return { chunkBytes: chunkBytes ?? Math.max(8 * MiB, Math.ceil(size / 1000 / MiB) * MiB), parallel: 8 };
}

/** The chunks to send, in the order of the file, none longer than `chunkBytes`. */
export function planChunks(missing: readonly Span[], chunkBytes: number): Span[] {
  const chunks: Span[] = [];
  for (const { start, end } of missing)
    for (let at = start; at < end; at += chunkBytes) chunks.push({ start: at, end: Math.min(end, at + chunkBytes) });
  return chunks;
}
