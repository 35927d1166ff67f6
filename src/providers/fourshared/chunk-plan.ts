/** How a large upload is cut into chunks: pure, so that the policy is a table in the tests. */
import type { Span } from '../http/answers/content-range.js';

const MiB = 1024 * 1024;

export interface ChunkPolicy {
  /** Bytes of one request. */
  readonly chunkBytes: number;
  /** Bytes of the first request: its time tells soon how quick the line is. */
  readonly firstBytes: number;
  /** Requests at once, to begin with. */
  readonly parallel: number;
  /** Requests at once where chunks go quickly. */
  readonly most: number;
}

/** Bytes a ms of a connection on a line that takes more at once: 8 MiB in a second, the round trip included. */
const QUICK = (8 * MiB) / 1000;

/**
 * Eight at once, up to sixteen on a quick line: each on a connection of its own, they fill one of 400 MB/s where a connection
 * is held to 25 MB/s, and leave half of the places to others; on a slow line an interruption costs eight chunks at the most.
 * 8 MiB keep a round trip of 50 ms below a seventh of a chunk's time; the first one is of 2 MiB, so that a quick line is
 * known, and used, a quarter of a second earlier. Beyond 1,000 chunks they grow, so that the list
 * of stored ranges stays short.
 */
export function chunkPolicy(size: number, chunkBytes?: number): ChunkPolicy {
  const whole = chunkBytes ?? Math.max(8 * MiB, Math.ceil(size / 1000 / MiB) * MiB);
  return {
    chunkBytes: whole,
    firstBytes: Math.min(2 * MiB, whole),
    parallel: 8,
    most: 16,
  };
}

/**
 * How many more shall go at once, now that a chunk of `bytes` took `tookMs` while `running` went: on a quick line, as many
 * again. One after the other is a wish of the server's.
 */
export function moreAtOnce(policy: ChunkPolicy, running: number, bytes: number, tookMs: number): number {
  if (running === 1 || bytes < tookMs * QUICK) return 0;
  return Math.max(0, Math.min(running, policy.most - running));
}

/** The chunks to send, in the order of the file: one of `firstBytes`, the others of `chunkBytes`, none longer. */
export function planChunks(missing: readonly Span[], policy: Pick<ChunkPolicy, 'chunkBytes' | 'firstBytes'>): Span[] {
  const chunks: Span[] = [];
  for (const { start, end } of missing) {
    for (let at = start; at < end; ) {
      const to = Math.min(end, at + (chunks.length === 0 ? policy.firstBytes : policy.chunkBytes));
      chunks.push({ start: at, end: to });
      at = to;
    }
  }
  return chunks;
}
