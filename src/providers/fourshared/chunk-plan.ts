/** How a large upload is cut into chunks: pure, so that the policy is a table in the tests. */
import type { Span } from '../http/content-range.js';

const MiB = 1024 * 1024;

export interface ChunkPolicy {
  /** Bytes of one request. */
  readonly chunkBytes: number;
  /** Requests at once, to begin with. */
  readonly parallel: number;
  /** Requests at once where chunks go quickly. */
  readonly most: number;
}

/** A chunk that takes no longer than this, ms, is on a line that takes more at once: 8 MB/s a connection and above. */
const QUICK_MS = 1000;

/**
 * Eight at once, up to sixteen on a quick line: each on a connection of its own, they fill one of 400 MB/s where a connection
 * is held to 25 MB/s, and leave half of the places to others; on a slow line an interruption costs eight chunks at the most.
 * 8 MiB keep a round trip of 50 ms below a seventh of a chunk's time. Beyond 1,000 chunks they grow, so that the list
 * of stored ranges stays short.
 */
export function chunkPolicy(size: number, chunkBytes?: number): ChunkPolicy {
  return {
    chunkBytes: chunkBytes ?? Math.max(8 * MiB, Math.ceil(size / 1000 / MiB) * MiB),
    parallel: 8,
    most: 16,
  };
}

/** Shall one more go at once, now that a chunk took `tookMs` while `running` went? One after the other is a wish of the server's. */
export function mayAddOne(policy: ChunkPolicy, running: number, tookMs: number): boolean {
  return running > 1 && running < policy.most && tookMs <= QUICK_MS;
}

/** The chunks to send, in the order of the file, none longer than `chunkBytes`. */
export function planChunks(missing: readonly Span[], chunkBytes: number): Span[] {
  const chunks: Span[] = [];
  for (const { start, end } of missing)
    for (let at = start; at < end; at += chunkBytes) chunks.push({ start: at, end: Math.min(end, at + chunkBytes) });
  return chunks;
}
